"""What `aditus connect` is told, from its command line, the environment and a profile."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from aditus.config import access_key
from aditus.config.access_key import FoundKey, check_access_key, find_access_key
from aditus.config.address import Address, parse_optional
from aditus.config.agent_file import file_notices, with_file
from aditus.config.client_cert import ClientCert, client_cert
from aditus.config.profiles import DEFAULT, Profile, find_profile, profile_names
from aditus.config.proxy import Proxy, proxy_for
from aditus.config.surroundings import Surroundings
from aditus.domain.connect_url import ConnectUrl, RelayUrl, parse_relay_url
from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import SecretText
from aditus.domain.spec import Spec, parse_specs

HEALTH_LISTEN = "127.0.0.1:3127"
MAX_LINKS = 4
"""Link slots that the protocol has."""
RELAY_VARIABLE = "ADITUS_RELAY"
PASSWORD_ON_COMMAND_LINE = (
    "--proxy has a password on the command line, where other users of this machine see it"
)
MAX_SPECS = 1_024  # as the protocol's OFFER has room for
MAX_CONNECT_URLS = 16  # one tunnel each; a region has fewer relays

_CHUNK_SIZE = re.compile(r"[0-9]{1,9}\s*(?:KB?)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """The command line of `connect`, one field per option, as typed; None: not given."""

    specs: tuple[str, ...] = ()
    connect_urls: tuple[str, ...] = ()
    config: Path | None = None
    config_dir: Path | None = None
    profile: str | None = None
    relay: str | None = None
    access_key: str | None = None
    access_key_file: str | None = None
    links: int | None = None
    infinite_retries: bool | None = None
    network_check_url: str | None = None
    log_format: Literal["text", "json"] | None = None
    log_file: Path | None = None
    debug: bool | None = None
    payload: bool | None = None
    data_chunk_size: str | None = None
    data_ack_mode: bool | None = None
    remote_debug: bool | None = None
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: str | None = None
    health_listen: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectConfig:
    """What the agent's program runs with; every value is checked.

    `connect_urls` are one or more, of one key, without doubles; the connect id is empty where the relay
    finds it by the key. `health_named`: the health address was asked for, so that a taken port is an
    error. `notices` are warnings to be said once, at the start.
    """

    secret: SecretText
    connect_urls: tuple[ConnectUrl, ...]
    specs: tuple[Spec, ...]
    links: int
    infinite_retries: bool
    network_check_url: str | None
    log_format: Literal["text", "json"]
    log_file: Path | None
    debug: bool
    payload: bool
    ca_file: Path | None
    client_cert: ClientCert | None
    proxies: Mapping[RelayUrl, Proxy]  # those relays that are not dialled directly
    health_listen: Address | None  # None: off
    health_named: bool
    notices: tuple[str, ...]
    typed: ConnectOptions = field(default_factory=ConnectOptions, repr=False, compare=False)
    """The command line alone, without what stands in its `config`."""
    others: ConnectOptions = field(default_factory=ConnectOptions, repr=False, compare=False)
    """All options, but no specs."""


def connect_config(typed: ConnectOptions, surroundings: Surroundings) -> ConnectConfig:
    """Read and check everything, offline. Raises `AditusError` (invalid), never with a secret in it."""
    options = with_file(typed, typed.config) if typed.config is not None else typed
    specs = _specs(options)
    places = _Places(options, surroundings)
    found = places.access_key()
    shown = client_cert(options.client_cert, options.client_key)
    urls, url_notices = places.connect_urls()
    return ConnectConfig(
        secret=found.secret,
        connect_urls=urls,
        specs=specs,
        links=options.links or 1,
        infinite_retries=bool(options.infinite_retries),
        network_check_url=_network_check_url(options.network_check_url),
        log_format=options.log_format or "text",
        log_file=options.log_file,
        debug=bool(options.debug),
        payload=bool(options.payload and options.debug),
        ca_file=options.ca_file,
        client_cert=shown,
        proxies=_proxies(urls, options.proxy, surroundings),
        health_listen=parse_optional(
            HEALTH_LISTEN if options.health_listen is None else options.health_listen, "--health-listen"
        ),
        health_named=options.health_listen is not None,
        notices=(
            *found.notices,
            *url_notices,
            *(shown.notices if shown else ()),
            *_option_notices(options, typed),
        ),
        typed=typed,
        others=_others(options),
    )


def specs_anew(config: ConnectConfig) -> tuple[tuple[Spec, ...], bool]:
    """The specs as they are now, `--config` read again, and whether other options in it have changed.

    Raises `AditusError` (invalid). Without `--config` they are as they were.
    """
    if config.typed.config is None:
        return config.specs, False
    now = with_file(config.typed, config.typed.config)
    return _specs(now), _others(now) != config.others


def _specs(options: ConnectOptions) -> tuple[Spec, ...]:
    specs = parse_specs(options.specs)
    if not specs:
        raise invalid(
            "no-spec",
            "There is nothing to offer.",
            remedy="Add at least one -s appPort:host:port, for example -s 5432:db.internal:5432.",
            field="spec",
        )
    if len(specs) > MAX_SPECS:
        raise invalid(
            "many-specs",
            f"An agent offers at most {MAX_SPECS} app ports.",
            remedy="Start another agent for the others.",
            field="spec",
        )
    return specs


def _others(options: ConnectOptions) -> ConnectOptions:
    """The options without those that can be changed while the agent runs."""
    return replace(options, specs=())


@dataclass(frozen=True, slots=True)
class DoctorConfig:
    """What `aditus doctor` looks at: as `ConnectConfig`, but there may be no spec, and no secret."""

    secret: SecretText | None
    no_secret: AditusError | None  # why there is none, or none that is well-formed
    connect_urls: tuple[ConnectUrl, ...]
    specs: tuple[Spec, ...]
    ca_file: Path | None
    client_cert: ClientCert | None
    proxies: Mapping[RelayUrl, Proxy]
    notices: tuple[str, ...]


def doctor_config(options: ConnectOptions, surroundings: Surroundings) -> DoctorConfig:
    """Read what an agent would be told. Raises `AditusError` (invalid) where it is not said which relay."""
    options = with_file(options, options.config) if options.config is not None else options
    places = _Places(options, surroundings)
    urls, notices = places.connect_urls()
    shown = client_cert(options.client_cert, options.client_key)
    if shown is not None:
        notices = (*shown.notices, *notices)
    secret, no_secret = None, None
    try:
        found = places.access_key()
    except AditusError as error:
        no_secret = error
    else:
        secret, notices = found.secret, (*found.notices, *notices)
    return DoctorConfig(
        secret=secret,
        no_secret=no_secret,
        connect_urls=urls,
        specs=parse_specs(options.specs),
        ca_file=options.ca_file,
        client_cert=shown,
        proxies=_proxies(urls, options.proxy, surroundings),
        notices=notices,
    )


def relay_to_ask(
    relay: str | None, profile: str | None, proxy: str | None, surroundings: Surroundings
) -> tuple[ConnectUrl, Proxy | None]:
    """Where to dial when only a relay is asked something, and the proxy. Raises `AditusError` (invalid)."""
    places = _Places(ConnectOptions(relay=relay, profile=profile), surroundings)
    (url,), _ = places.connect_urls()
    return url, proxy_for(url.relay, proxy, surroundings)


class _Places:
    """Where secret and relay may stand. The profile is looked up once, and only if something needs it."""

    def __init__(self, options: ConnectOptions, surroundings: Surroundings) -> None:
        self._options = options
        self._surroundings = surroundings
        self._name = DEFAULT if options.profile is None else options.profile
        self._read = False
        self._profile: Profile | None = None

    def access_key(self) -> FoundKey:
        """From the command line, its file or the environment, else from the profile."""
        options = self._options
        found = find_access_key(options.access_key, options.access_key_file, self._surroundings)
        if found and options.profile is not None:
            self._look_up()  # a profile that was named has to exist, even if only its relay counts
            if found.source == access_key.VARIABLE:
                notice = f"{found.source} is set and goes before the secret of the profile {self._name}"
                return FoundKey(found.secret, found.source, (*found.notices, notice))
        if found:
            return found
        profile = self._look_up()
        if profile is None or profile.access_key is None:
            raise invalid(
                "no-secret",
                "There is no secret access key to connect with: not on the command line, not in"
                f" {access_key.VARIABLE}, not in the profile {self._name}.",
                remedy="Store it once with: aditus configure --access-key-file - (then paste it, Ctrl-D).",
                field="access_key",
            )
        return check_access_key(
            profile.access_key, f"the profile {profile.name} in {profile.path}", profile.notices
        )

    def connect_urls(self) -> tuple[tuple[ConnectUrl, ...], tuple[str, ...]]:
        """The Connect URLs of the command line, else `/connect` at the relay; and warnings."""
        options = self._options
        if not options.connect_urls:
            return (self._relay(),), ()
        if len(options.connect_urls) > MAX_CONNECT_URLS:
            raise invalid(
                "many-urls",
                f"An agent dials at most {MAX_CONNECT_URLS} Connect URLs.",
                remedy="Start another agent for the others.",
                field="connect_url",
            )
        urls = tuple(dict.fromkeys(ConnectUrl.parse(text) for text in options.connect_urls))
        if len({url.connect_id for url in urls if url.connect_id}) > 1:
            raise self._other_key()
        if options.relay is not None:
            return urls, ("--relay is not used, because Connect URLs are given",)
        return urls, ()

    def _relay(self) -> ConnectUrl:
        for source, text in (
            ("--relay", self._options.relay or ""),
            (RELAY_VARIABLE, self._surroundings.variable(RELAY_VARIABLE)),
        ):
            if text:
                return _relay(text, source)
        profile = self._look_up()
        if profile is None or not profile.relay:
            raise invalid(
                "no-relay",
                "It is not said which relay to dial.",
                remedy="Add the Connect URL that was shown with the access key, or --relay wss://host[:port];"
                " `aditus configure --relay` stores one.",
                field="relay",
            )
        return _relay(profile.relay, f"the profile {profile.name} in {profile.path}")

    def _look_up(self) -> Profile | None:
        if not self._read:
            self._profile = find_profile(self._name, self._options.config_dir, self._surroundings)
            self._read = True
        if self._profile is None and self._options.profile is not None:
            names = profile_names(self._options.config_dir, self._surroundings)
            raise invalid(
                "no-profile",
                f"There is no profile {self._name}; there is {', '.join(names) or 'none at all'}.",
                remedy="Choose one of them, or make it with: aditus configure --profile NAME …",
                field="profile",
            )
        return self._profile

    def _other_key(self) -> AditusError:
        try:
            names = profile_names(self._options.config_dir, self._surroundings)
        except AditusError:
            names = ()  # they are advice; what is wrong is something else
        others = ", ".join(name for name in names if name != self._name)
        return invalid(
            "other-key",
            "The Connect URLs have different ids, so they are of different access keys. An agent has one key:"
            f" here that of the profile {self._name}.",
            remedy="Start one agent per key, each with its own Connect URL and "
            + (f"--profile ({others})." if others else "a profile (aditus configure --profile NAME …)."),
            field="connect_url",
        )


def _relay(text: str, source: str) -> ConnectUrl:
    try:
        return parse_relay_url(text).connect()
    except AditusError as error:
        raise invalid(
            error.reason,
            f"The relay URL from {source} cannot be right. {error.message}",
            remedy=error.remedy,
            field=error.field,
        ) from None


def _network_check_url(text: str | None) -> str | None:
    if text is None:
        return None
    if not _is_url(text, ("http", "https")):
        raise invalid(
            "bad-url",
            "--network-check-url is not a URL that begins with http:// or https:// and a host.",
            remedy="Give a page that answers whenever the network is up.",
            field="network_check_url",
        )
    return text


def _proxies(
    urls: tuple[ConnectUrl, ...], named: str | None, surroundings: Surroundings
) -> dict[RelayUrl, Proxy]:
    found = {url.relay: proxy_for(url.relay, named, surroundings) for url in urls}
    return {relay: proxy for relay, proxy in found.items() if proxy is not None}


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket without the other
        return False


def _option_notices(options: ConnectOptions, typed: ConnectOptions) -> tuple[str, ...]:
    notices = []
    if options.network_check_url is not None:
        notices.append(
            "--network-check-url has no meaning here: the log says whether network or relay failed"
        )
    if options.data_chunk_size is not None:
        if not _CHUNK_SIZE.fullmatch(options.data_chunk_size.strip()):
            raise invalid(
                "bad-chunk-size",
                "--data-chunk-size is not a number of KB.",
                remedy="Leave it away: it has no meaning here.",
                field="data_chunk_size",
            )
        notices.append("--data-chunk-size has no meaning here: frames are sized by the relay's limits")
    if options.data_ack_mode is not None:
        notices.append("--data-ack-mode has no meaning here: credit is always given back on consumption")
    if options.remote_debug is not None:
        notices.append("--remote-debug has no meaning here: nobody can debug an agent from afar; see --debug")
    if options.payload and not options.debug:
        notices.append("--payload does nothing without --debug")
    elif options.payload:
        notices.append("--payload writes what apps and services send into the log, passwords included")
    if typed.proxy is not None and "@" in typed.proxy:
        notices.append(PASSWORD_ON_COMMAND_LINE)
    if typed.config is not None:
        has_password = typed.proxy is None and "@" in (options.proxy or "")
        notices.extend(file_notices(typed.config, has_password))
    return tuple(notices)
