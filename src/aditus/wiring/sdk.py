"""`aditus.app`: how a program in Python reaches the services of its app, without a sidecar beside it."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aditus.config.connect import RELAY_VARIABLE
from aditus.config.files import read_secret
from aditus.config.sidecar import SECRET_VARIABLE, SidecarOptions, app_secret, sidecar_config
from aditus.config.surroundings import Surroundings
from aditus.domain.errors import invalid
from aditus.domain.keytext import SecretText
from aditus.sidecar.sdk import App
from aditus.wiring.sidecar import sidecar

ATTACH_SECONDS = 30.0


def app(
    name: str,
    *,
    secret: str | Path | None = None,
    relay: str | Sequence[str] = (),
    ca_file: str | os.PathLike[str] | None = None,
    client_cert: str | os.PathLike[str] | None = None,
    client_key: str | os.PathLike[str] | None = None,
    proxy: str | None = None,
    timeout: float = ATTACH_SECONDS,
) -> App:
    """The app `name` (or its app_id), to be attached: `async with aditus.app("reports") as app: ...`.

    `secret`: its credential `adta_…`, or the `Path` of a file with it; else from ADITUS_APP_SECRET.
    `relay`: `wss://host[:port]`, one or several; else from ADITUS_RELAY. `ca_file`, `client_cert`,
    `client_key` and `proxy` as the options of `aditus sidecar`; proxies of the environment are used, too.
    `timeout`: seconds until it must be attached. Raises `AditusError` (invalid) for what cannot be right.
    """
    around = Surroundings.of_process()
    checked = _secret(secret, around)
    relays = (relay,) if isinstance(relay, str) else tuple(relay)
    if not (relays or around.variable(RELAY_VARIABLE)):
        raise invalid(
            "no-relay",
            "It is not said which relay to dial.",
            remedy=f'Say relay="wss://host[:port]", or set {RELAY_VARIABLE}.',
            field="relay",
        )
    options = SidecarOptions(
        app=name,
        relays=relays,
        ca_file=_path(ca_file),
        client_cert=_path(client_cert),
        client_key=_path(client_key),
        proxy=proxy,
        health_listen="off",
    )
    given = replace(around, env={**around.env, SECRET_VARIABLE: checked.reveal()})
    return App(sidecar(sidecar_config(options, given), listens=False), timeout)


def _secret(secret: str | Path | None, around: Surroundings) -> SecretText:
    """The credential in its normal form."""
    if isinstance(secret, Path):
        found, _ = read_secret(str(secret), "secret=", around)
        return app_secret(found, str(secret))
    if secret is not None:
        return app_secret(SecretText(secret), "secret=")
    if not around.variable(SECRET_VARIABLE):
        raise invalid(
            "no-secret",
            f"There is no credential of the app: neither secret= nor {SECRET_VARIABLE}.",
            remedy="Have one made with: aditus apps credential APP",
            field="app_secret",
        )
    return app_secret(SecretText(around.variable(SECRET_VARIABLE)), SECRET_VARIABLE)


def _path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)
