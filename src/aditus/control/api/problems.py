"""Errors as problem+json (RFC 9457). No answer echoes its input."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from aditus.control.http.limits import SlowDown
from aditus.control.http.status import TITLES, status_of
from aditus.control.service.replay import IdempotentReplay
from aditus.domain.errors import AditusError, Code, invalid
from aditus.telemetry.log import fields

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)

TYPE_PREFIX = "urn:aditus:problem:"
"""Before the code, in `type`: what clients read the code from."""

RETRY_SECONDS = 15
"""For what is not a rate, and frees itself when somebody else ends."""
_SPEC = "The fields and their forms are in /openapi.json."
_BY_STATUS = {
    400: (Code.INVALID, "bad-request", "The request cannot be read.", "Send JSON, in UTF-8."),
    404: (Code.NOT_FOUND, "no-such-address", "There is nothing at this address.", "See /openapi.json."),
    405: (
        Code.INVALID,
        "method-not-allowed",
        "This address does not know this method.",
        "See /openapi.json.",
    ),
}


def problem(
    error: AditusError,
    request_id: str,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that tells `error`; `status` where HTTP knows better than the table."""
    status = status or status_of(error)
    if error.code is Code.UNAVAILABLE:  # the operator's trouble, and the cause is not for the caller
        cause = error if error.__cause__ else None  # what is only busy has none, and strangers can make it so
        _log.warning(error.reason, exc_info=cause, extra=fields(request_id=request_id))
    body: dict[str, Any] = {
        "type": f"{TYPE_PREFIX}{error.code}",
        "title": TITLES[error.code],
        "status": status,
        "detail": error.message,
        "reason": error.reason,
        "remedy": error.remedy,
        "field": error.field,
        "request_id": request_id,
    }
    if isinstance(error, IdempotentReplay):
        body[error.kind] = error.object_id
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if error.code is Code.UNAUTHENTICATED:
        sent["WWW-Authenticate"] = 'Bearer realm="aditus"'
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        sent["Retry-After"] = str(error.retry_after if isinstance(error, SlowDown) else RETRY_SECONDS)
    present = {name: value for name, value in body.items() if value != ""}
    return JSONResponse(present, status, sent, media_type=MEDIA_TYPE)


def internal(request_id: str) -> JSONResponse:
    """What a defect looks like from outside; the log has the rest under the same request id."""
    error = AditusError(
        Code.INTERNAL,
        "internal",
        "The server failed in a way that it should not.",
        remedy="Look for the request id in the server's log.",
    )
    return problem(error, request_id)


def too_large(most: int) -> AditusError:
    """A body above the bound (HTTP 413)."""
    return invalid("body-too-large", f"The body is larger than {most} bytes.", remedy="Ask for less at once.")


async def on_aditus_error(request: Request, error: Exception) -> JSONResponse:
    """Handles what use cases raise."""
    if not isinstance(error, AditusError):
        raise error
    return problem(error, request.state.request_id)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Handles what the framework raises, without its text: that may hold parts of the request."""
    if not isinstance(error, HTTPException):
        raise error
    code, reason, message, remedy = _BY_STATUS.get(error.status_code, _BY_STATUS[400])
    told = AditusError(code, reason, message, remedy=remedy)
    return problem(told, request.state.request_id, status=error.status_code, headers=error.headers)


async def on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Handles what a model refuses: names the first wrong field, never shows what stood in it."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where, kind, message = first["loc"], first["type"], first["msg"]
    if kind == "json_invalid":
        told = invalid("bad-json", "The body is not JSON.", remedy=_SPEC)
    elif kind == "extra_forbidden":  # the name of the field is the stranger's own text
        told = invalid("unknown-field", "The request has a field that is not known here.", remedy=_SPEC)
    elif kind == "missing":
        told = invalid("missing-field", "A field is missing.", remedy=_SPEC, field=_path(where))
    else:
        if kind == "value_error":  # our own text (see texts.py), without the framework's words before it
            message = str(first["ctx"]["error"])
        told = invalid("bad-field", f"{message}.", remedy=_SPEC, field=_path(where))
    return problem(told, request.state.request_id)


def _path(where: Sequence[str | int]) -> str:
    """`access_key_ids.3`; the whole body is `body`."""
    inner = [str(part) for part in where[1:]]
    return ".".join(inner) or str(where[0])
