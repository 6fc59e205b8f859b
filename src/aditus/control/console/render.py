"""Templates to pages: one strict environment, and the headers that every page of the console has."""

import gzip
import secrets
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from aditus.control.console import words
from aditus.control.console.static_files import StaticFiles

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types aditus",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "clipboard-write=(self), camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
    "Vary": "Cookie, Sec-Fetch-Site",
}


WORTH_ZIPPING = 8_192  # bytes
ZIP_LEVEL = 4  # two milliseconds for the longest page


class Renderer:
    """Renders the templates of the console. Whatever they are given is escaped, and what is missing fails."""

    def __init__(self, static: StaticFiles, ca_regions: Collection[str] = ()) -> None:
        self._templates = Environment(
            loader=PackageLoader("aditus.control.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals.update(
            static=static.url,
            ca_regions=frozenset(ca_regions),
            scripts=[static.url(name) for name in static.names("js")],
            notices=words.NOTICES,
            roles=words.ROLES,
            states=words.STATES,
            unique=lambda: secrets.token_urlsafe(16),
        )
        self._templates.filters.update(
            browser=words.browser,
            count=words.count,
            day=words.day,
            did=words.did,
            exact=words.exact,
            pairs=lambda values: [(value, value) for value in values],
            quoted=shlex.quote,
            size=words.size,
            when=words.when,
        )

    def page(
        self, template: str, values: Mapping[str, Any], status: int = 200, *, zipped: bool = False
    ) -> Response:
        """The page that a template makes of these values.

        What is `zipped` must answer no other site's requests, as its length tells of what is in it: those
        come without the cookie, which is SameSite=Strict.
        """
        html = self._templates.get_template(template).render(values).encode()
        if not zipped or len(html) < WORTH_ZIPPING:
            return HTMLResponse(html, status, HEADERS)
        headers = HEADERS | {"Content-Encoding": "gzip", "Vary": f"{HEADERS['Vary']}, Accept-Encoding"}
        return HTMLResponse(gzip.compress(html, ZIP_LEVEL, mtime=0), status, headers)
