"""What every request passes first: a request id, the credential, and the bound on the body."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aditus.control.api.problems import internal, problem, too_large
from aditus.control.auth import Authenticator
from aditus.control.http.cookie import cookie_of, refuse_other_sites
from aditus.control.http.limits import Limits, source_of
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.model import Caller
from aditus.telemetry import log
from aditus.telemetry.log import fields

MAX_BODY = 64 * 1024  # bytes; a revoke of 500 keys, the largest request that is meant, is smaller
BODY_SECONDS = 10.0  # between two parts of a body; a client that is slower is left
MAX_LENGTH_DIGITS = 18  # of Content-Length
PROTECTED = "/v1"
"""Below here nothing is answered without a token, not even that there is nothing."""

OPEN = frozenset({"/v1/sign-in", "/v1/invitations/accept"})
"""But these, which make a credential, or take one that is in the body."""
REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE})
"""What counts there as a failed authentication of its source; 503 too: who crowds others out of the turns
for hashing a password must not go on for being told to come back."""

_REQUEST_ID = re.compile(r"[0-9A-Za-z_-]{8,64}", re.ASCII)
_log = logging.getLogger(__name__)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Gate:
    """ASGI middleware; leaves `caller`, `request_id` and `ask_again` in the request's state.

    `ask_again` gives the caller anew, or raises when the credential is none any more. `answered` is told the
    status of each answer and the seconds until it began.
    """

    def __init__(
        self,
        app: ASGIApp,
        auth: Authenticator,
        limits: Limits,
        answered: Callable[[int, float], None],
    ) -> None:
        self._app = app
        self._auth = auth
        self._limits = limits
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        log.request_id.set(request_id)
        protected = scope["path"] == PROTECTED or scope["path"].startswith(f"{PROTECTED}/")
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                told = MutableHeaders(scope=message)
                told["X-Request-Id"] = request_id
                for name, value in _HEADERS.items():
                    told.setdefault(name, value)
                if protected:
                    told["Cache-Control"] = "no-store"
                self._answered(message["status"], time.monotonic() - began)
                if scope["path"] in OPEN and message["status"] in REFUSED:
                    self._limits.failed(source_of(scope.get("client")))
            await send(message)

        refusal: Response | None = None
        try:
            if scope["path"] in OPEN:
                self._limits.admit(source_of(scope.get("client")), "")
                refuse_other_sites(scope["method"], headers)
            elif protected:
                await self._let_in(scope, headers, state)
            body = await _read(headers, receive)
            if body is None:
                refusal = problem(too_large(MAX_BODY), request_id)
            else:
                await self._app(scope, _replay(body, receive), answer)
        except AditusError as error:
            refusal = problem(error, request_id)
        except Exception:  # noqa: BLE001 - the last one that can answer, and it is logged
            _log.exception("request failed", extra=fields(request_id=request_id, method=scope["method"]))
            refusal = internal(request_id)
        if refusal is not None and not started:
            await refusal(scope, receive, answer)

    async def _let_in(self, scope: Scope, headers: Headers, state: dict[str, Any]) -> None:
        """Find out who asks: by a token, else by the cookie of a session, which other sites may not use."""
        cookie = cookie_of(Request(scope).cookies, scope["scheme"])
        if "authorization" in headers or not cookie:
            state["ask_again"] = partial(self._auth.caller, _bearer(headers))
            credential, ask = headers.get("authorization", ""), state["ask_again"]
        else:
            refuse_other_sites(scope["method"], headers)
            state["ask_again"] = partial(self._auth.person, cookie, is_use=False)
            credential, ask = cookie, partial(self._auth.person, cookie)
        state["caller"] = await self._caller(source_of(scope.get("client")), credential, ask)

    async def _caller(self, source: str, credential: str, ask: Callable[[], Caller]) -> Caller:
        """Who asks, within the limits. Raises what makes the answer a 401 or a 429."""
        self._limits.admit(source, credential)
        try:
            caller = await run_in_threadpool(ask)
        except AditusError as error:
            if error.code is Code.UNAUTHENTICATED:
                self._limits.failed(source)
            raise
        self._limits.authenticated(caller.caller_id, credential)
        return caller


def _request_id(headers: Headers) -> str:
    """The caller's own, where it is well-formed: so that a script finds its requests in our log."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _bearer(headers: Headers) -> str:
    """The token of the `Authorization` header; the empty text, which is no token, when there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


async def _read(headers: Headers, receive: Receive) -> bytes | None:
    """The whole body; None when it is too large. (The framework's own bound answers in plain text.)"""
    length = headers.get("content-length", "0")
    if len(length) > MAX_LENGTH_DIGITS or (length.isdecimal() and int(length) > MAX_BODY):
        return None
    body = bytearray()
    while True:
        try:
            message = await asyncio.wait_for(receive(), BODY_SECONDS)
        except TimeoutError:
            raise invalid("slow-body", "The body of the request did not come.", remedy="Send it.") from None
        if message["type"] != "http.request":
            return bytes(body)  # the client has gone; nobody will read the answer
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what else comes (that the client has gone)."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
