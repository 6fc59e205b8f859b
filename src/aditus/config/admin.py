"""Which API the commands of administrators ask, and as whom."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aditus.config.address import Address
from aditus.config.files import open_to_others, read_ini, read_secret, update_ini
from aditus.config.profiles import OUR_FOLDER
from aditus.config.surroundings import Surroundings
from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import SecretText, parse_token

FILE = "admin.ini"
SECTION = "default"
API_VARIABLE = "ADITUS_API"
TOKEN_VARIABLE = "ADITUS_TOKEN"


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """An API and the token to ask it with. `ca_file` is trusted besides the system's CAs."""

    api: str
    token: SecretText
    ca_file: Path | None
    notices: tuple[str, ...] = ()


def admin_config(
    api: str | None, token_file: str | None, ca_file: Path | None, surroundings: Surroundings
) -> AdminConfig:
    """From options, else the environment, else what `aditus login` stored. Raises `AditusError` (invalid).

    The stored token is sent to the API it was stored for and to no other.
    """
    stored, notices = _stored(surroundings)
    given = api or surroundings.variable(API_VARIABLE)
    url = api_url(given) if given else stored.get("api", "")
    if not url:
        raise invalid(
            "no-api",
            "It is not said which API to ask.",
            remedy=f"Run aditus login URL once, or set {API_VARIABLE} (and {TOKEN_VARIABLE}).",
            field="api",
        )
    is_stored = url == stored.get("api")
    if ca_file is None and is_stored and stored.get("cafile"):
        ca_file = Path(stored["cafile"])
    if found := find_token(token_file, surroundings):
        return AdminConfig(url, found[0], ca_file, found[1])
    if not is_stored or not stored.get("token"):
        raise invalid(
            "no-token",
            "There is no API token to ask that API with.",
            remedy=f"Run aditus login URL once, or set {TOKEN_VARIABLE}, or say --token-file.",
            field="token",
        )
    return AdminConfig(
        url, check_token(SecretText(stored["token"]), str(_path(surroundings))), ca_file, notices
    )


def find_token(
    token_file: str | None, surroundings: Surroundings
) -> tuple[SecretText, tuple[str, ...]] | None:
    """The token in the file or the environment, checked, and warnings. Raises `AditusError` (invalid)."""
    if token_file is not None:
        token, notices = read_secret(token_file, "--token-file", surroundings)
        return check_token(token, "--token-file"), notices
    if variable := surroundings.variable(TOKEN_VARIABLE):
        return check_token(SecretText(variable), TOKEN_VARIABLE), ()
    return None


def check_token(token: SecretText, source: str) -> SecretText:
    """The token if it is well-formed. Raises `AditusError` (invalid) that names the source, without echo."""
    try:
        parse_token(token.reveal())
    except AditusError as error:
        raise invalid(
            error.reason,
            f"The API token from {source} cannot be right. {error.message}",
            remedy=error.remedy,
            field=error.field,
        ) from None
    return token


def api_url(text: str) -> str:
    """An API's address in one form. Plain http is for this machine alone: a token goes with every request."""
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise invalid(
            "bad-api-url",
            "The address of the API is not https://host[:port].",
            remedy="For example https://aditus.example.com, or http://127.0.0.1:8080 on the machine itself.",
            field="api",
        )
    if parts.scheme == "http" and not Address(host, port or 80).is_loopback:
        raise invalid(
            "clear-api-url",
            "The address of the API begins with http://: a token would travel over the network in the clear.",
            remedy="Use https:// (with --ca-file for a certificate of your own).",
            field="api",
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def store_admin(api: str, token: SecretText, ca_file: Path | None, surroundings: Surroundings) -> Path:
    """Remember an API and its token; returns the file. Raises `AditusError` (invalid)."""
    path = _path(surroundings)
    update_ini(
        path,
        SECTION,
        {"api": api, "token": token.reveal(), "caFile": str(ca_file.absolute()) if ca_file else ""},
    )
    return path


def _stored(surroundings: Surroundings) -> tuple[dict[str, str], tuple[str, ...]]:
    if surroundings.home is None:
        return {}, ()
    path = _path(surroundings)
    section = dict(read_ini(path).get(SECTION, {}))
    return section, open_to_others(path) if section.get("token") else ()


def _path(surroundings: Surroundings) -> Path:
    return surroundings.folder(OUR_FOLDER) / FILE
