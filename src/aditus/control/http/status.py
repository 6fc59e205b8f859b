"""The one table from codes to HTTP, and how a kind of failure is called there."""

from http import HTTPStatus

from aditus.control.service.versions import CHANGED_MEANWHILE
from aditus.domain.errors import AditusError, Code

STATUS = {
    Code.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Code.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.CONFLICT: HTTPStatus.CONFLICT,
    Code.LIMIT: HTTPStatus.CONFLICT,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
STATUS_OF_REASON = {
    CHANGED_MEANWHILE: HTTPStatus.PRECONDITION_FAILED,
    "slow-down": HTTPStatus.TOO_MANY_REQUESTS,
    "too-many-followers": HTTPStatus.TOO_MANY_REQUESTS,
    "body-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
"""Where HTTP has a status for just this."""
TITLES = {
    Code.INVALID: "The request cannot be right",
    Code.UNAUTHENTICATED: "Who are you?",
    Code.FORBIDDEN: "You may not do this",
    Code.NOT_FOUND: "There is no such thing",
    Code.CONFLICT: "It clashes with what is there",
    Code.LIMIT: "A limit is reached",
    Code.UNAVAILABLE: "Not now",
    Code.INTERNAL: "A defect of this server",
}


def status_of(error: AditusError) -> HTTPStatus:
    """How HTTP says it."""
    return STATUS_OF_REASON.get(error.reason) or STATUS[error.code]
