"""The cookie of a session: how it is named, set and read, and that no other site makes use of it."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response

from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import SecretText

HOST_COOKIE = "__Host-aditus"
"""Bound to this host by the browser: no subdomain and no plain HTTP can set it."""
PLAIN_COOKIE = "aditus"
"""On plain HTTP only, which is loopback: there not every browser takes the other one."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def set_cookie(response: Response, scheme: str, secret: SecretText) -> None:
    """Hand the session over; it ends with the browser's, if not before."""
    names = (HOST_COOKIE,) if scheme == "https" else (HOST_COOKIE, PLAIN_COOKIE)
    for name in names:
        secure = name == HOST_COOKIE
        response.set_cookie(name, secret.reveal(), path="/", secure=secure, httponly=True, samesite="strict")


def forget_cookie(response: Response) -> None:
    """Have the browser forget the session."""
    for name in (HOST_COOKIE, PLAIN_COOKIE):
        response.delete_cookie(name, path="/", secure=name == HOST_COOKIE, httponly=True, samesite="strict")


def cookie_of(cookies: Mapping[str, str], scheme: str) -> str:
    """The session's text, or nothing."""
    return cookies.get(HOST_COOKIE) or (cookies.get(PLAIN_COOKIE, "") if scheme != "https" else "")


def refuse_other_sites(method: str, headers: Headers, *, browsers_only: bool = False) -> None:
    """A browser sends cookies along with what other sites ask of us. Raises forbidden `cross-site`.

    Fetch Metadata tells, else the origin has to be the host that is asked. Who sends neither is no browser,
    and is refused with `browsers_only`.
    """
    if method in SAFE:
        return
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        fine = site in ("same-origin", "none")
    elif origin is not None:
        fine = urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    else:
        fine = not browsers_only
    if not fine:
        raise AditusError(
            Code.FORBIDDEN,
            "cross-site",
            "The request comes from another site than this one.",
            remedy="Open this server's own pages; scripts use an API token.",
        )
