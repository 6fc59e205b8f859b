"""What every request passes first: a request id, the token, and the bound on the body."""

import asyncio
import logging
import secrets

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aditus.control.api.problems import internal, problem, too_large
from aditus.control.auth import Authenticator
from aditus.domain.errors import AditusError, invalid
from aditus.telemetry.log import fields

MAX_BODY = 64 * 1024  # bytes; a revoke of 500 keys, the largest request that is meant, is smaller
BODY_SECONDS = 10.0  # between two parts of a body; a client that is slower is left
MAX_LENGTH_DIGITS = 18  # of Content-Length
PROTECTED = "/v1"
"""Below here nothing is answered without a token, not even that there is nothing."""

_log = logging.getLogger(__name__)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Gate:
    """ASGI middleware; leaves `caller` and `request_id` in the request's state."""

    def __init__(self, app: ASGIApp, auth: Authenticator) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        protected = scope["path"] == PROTECTED or scope["path"].startswith(f"{PROTECTED}/")
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if protected:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal: Response | None = None
        try:
            headers = Headers(scope=scope)
            if protected:
                state["caller"] = await run_in_threadpool(self._auth.caller, _bearer(headers))
            body = await _read(headers, receive)
            if body is None:
                refusal = problem(too_large(MAX_BODY), request_id, status=413)
            else:
                await self._app(scope, _replay(body, receive), answer)
        except AditusError as error:
            refusal = problem(error, request_id)
        except Exception:  # noqa: BLE001 - the last one that can answer, and it is logged
            _log.exception("request failed", extra=fields(request_id=request_id, method=scope["method"]))
            refusal = internal(request_id)
        if refusal is not None and not started:
            await refusal(scope, receive, answer)


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
