"""The OpenAPI document: which errors each operation can answer, told by what it asks and does."""

from collections.abc import Iterator, Mapping
from typing import Any

from aditus.control.api.answers import Problem
from aditus.control.api.gate import PROTECTED
from aditus.control.api.problems import MEDIA_TYPE

MEANINGS = {
    400: "The body cannot be read",
    401: "No valid credential",
    403: "The caller may not do this",
    404: "There is no such thing, or none that the caller may know of",
    409: "It clashes with what is there, or a limit is reached",
    412: "It was changed since it was read: nothing is changed now",
    413: "The body is too large",
    422: "A field, a parameter or a header cannot be right",
    429: "Too many requests: come back after Retry-After seconds",
    503: "The server cannot answer now",
}
_CHANGES = frozenset({"post", "put", "patch", "delete"})
_FRAMEWORK = ("HTTPValidationError", "ValidationError")


def tell_errors(document: dict[str, Any]) -> None:
    """Name in each operation of an OpenAPI document the errors that it can answer, all as `Problem`."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORK:  # its own form of a 422, which is never sent
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            told = {str(status): _response(status) for status in _errors(path, method, operation)}
            operation["responses"] = dict(sorted((operation["responses"] | told).items()))


def _response(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": MEANINGS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status == 429:
        described["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer"}}}
    return described


def _errors(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[int]:
    yield from (413, 422)  # a body is read, or does not come, before it is known whether one is wanted
    if path != "/healthz":
        yield 503
    if not path.startswith(f"{PROTECTED}/"):
        return
    yield from (401, 403, 429)
    if "requestBody" in operation:
        yield 400
    if "{" in path or "requestBody" in operation:  # a body may name things too
        yield 404
    if method in _CHANGES:
        yield 409
    if any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", ())):
        yield 412
