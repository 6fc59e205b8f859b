"""`/docs`: the OpenAPI document as a page to read, without scripts, from this server alone."""

import json
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any
from xml.etree.ElementTree import Element, tostring

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
IN_PATH = {"locator": "0"}
"""What an example says instead of a variable of the shell."""
LIMITS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}
_SCHEMAS = "#/components/schemas/"

Document = Mapping[str, Any]
Child = Element | str


def router(document: Callable[[], Document]) -> APIRouter:
    """The page and its stylesheet. The document is read once, at the first request."""
    routes = APIRouter(include_in_schema=False)

    @cache
    def rendered() -> bytes:
        return page(document())

    style = files("aditus.control.api").joinpath("docs.css").read_bytes()

    @routes.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(rendered(), headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    @routes.get("/docs.css")
    async def docs_style() -> Response:
        return Response(style, media_type="text/css")

    return routes


def page(document: Document) -> bytes:
    """The whole page, in UTF-8."""
    info = document["info"]
    operations = sorted(_operations(document), key=lambda operation: operation["tags"][0])
    grouped = [
        (tag, list(found)) for tag, found in groupby(operations, lambda operation: operation["tags"][0])
    ]
    contents = [
        _e("li", _e("h2", tag), _e("ul", *(_e("li", _line(one, link=True)) for one in found)))
        for tag, found in grouped
    ]
    sections = [
        _e("section", _e("h2", tag, id=tag.replace(" ", "-")), *(_operation(document, one) for one in found))
        for tag, found in grouped
    ]
    schemas = [_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    title = f"{info['title']} {info['version']}: the REST API"
    lead = _e(
        "p", f"{info['summary']}. The same for programs: ", _e("a", "openapi.json", href="openapi.json"), "."
    )
    html = _e(
        "html",
        _e(
            "head",
            _e("meta", charset="utf-8"),
            _e("meta", name="viewport", content="width=device-width, initial-scale=1"),
            _e("title", title),
            _e("link", rel="stylesheet", href="docs.css"),
        ),
        _e(
            "body",
            _e("header", _e("h1", title), lead),
            _e("nav", _e("ul", *contents, _e("li", _e("a", "Schemas", href="#schemas")))),
            _e("main", *sections, _e("section", _e("h2", "Schemas", id="schemas"), *schemas)),
        ),
        lang="en",
    )
    written: bytes = tostring(html, encoding="utf-8", method="html")
    return b"<!doctype html>\n" + written


def example(document: Document, operation: Mapping[str, Any]) -> str:
    """A command for a shell that knows ADITUS_API and ADITUS_TOKEN, and what the path and query name."""
    path, method = operation["path"], operation["method"]
    asked = []
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        variable = IN_PATH.get(name, f"${name.upper()}")
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", variable)
        elif parameter["in"] == "query" and parameter["required"]:
            asked.append(f"{name}={variable}")
    words = ["curl"] if method == "GET" else ["curl", "-X", method]
    if "security" in operation:
        words.append('-H "Authorization: Bearer $ADITUS_TOKEN"')
    if "requestBody" in operation:
        body = _value(document, operation["requestBody"]["content"]["application/json"]["schema"])
        words += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(body))}"]
    return " ".join([*words, f'"$ADITUS_API{path}{"?" * bool(asked)}{"&".join(asked)}"'])


def _operations(document: Document) -> list[dict[str, Any]]:
    return [
        {"path": path, "method": method.upper(), **operation}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def _operation(document: Document, operation: Mapping[str, Any]) -> Element:
    parts = [_e("h3", _line(operation)), *_paragraphs(operation.get("description", ""))]
    parameters = [
        [
            _e("code", parameter["name"]),
            f"{parameter['in']}{', needed' * parameter['required']}",
            _type(parameter["schema"]),
            parameter.get("description", ""),
        ]
        for parameter in operation.get("parameters", ())
    ]
    if parameters:
        parts.append(_table(("Parameter", "in", "is", ""), parameters))
    if "requestBody" in operation:
        (sent,) = operation["requestBody"]["content"].values()
        parts.append(_e("p", "Body: ", _type(sent["schema"])))
    answers = [
        [
            _e("code", status),
            "" if status.startswith("2") else answer["description"],
            *(_type(content["schema"]) for content in answer.get("content", {}).values()),
        ]
        for status, answer in operation["responses"].items()
    ]
    parts.append(_table(("Answer", "when", "is"), answers))
    parts.append(_e("pre", _e("code", example(document, operation))))
    return _e("article", *parts, id=operation["operationId"])


def _line(operation: Mapping[str, Any], *, link: bool = False) -> Element:
    method, path = operation["method"], operation["path"]
    inner = (_e("span", method, **{"class": f"method {method.lower()}"}), " ", _e("code", path))
    return _e("a", *inner, href=f"#{operation['operationId']}") if link else _e("span", *inner)


def _schema(name: str, schema: Mapping[str, Any]) -> Element:
    parts = [_e("h3", name), *_paragraphs(schema.get("description", ""))]
    needed = schema.get("required", ())
    fields = [
        [
            _e("code", field),
            "needed" if field in needed else "",
            _type(what),
            what.get("description", ""),
        ]
        for field, what in schema.get("properties", {}).items()
    ]
    parts.append(_table(("Field", "", "is", ""), fields) if fields else _e("p", _type(schema)))
    return _e("article", *parts, id=f"schema-{name}")


def _type(schema: Mapping[str, Any]) -> Element:
    return _e("span", *_words(schema), **{"class": "type"})


def _words(schema: Mapping[str, Any]) -> list[Child]:
    """What a value may be, in words."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return [_e("a", name, href=f"#schema-{name}")]
    if "anyOf" in schema:
        first, *others = schema["anyOf"]
        return [*_words(first), *(word for one in others for word in (" or ", *_words(one)))]
    if "enum" in schema:
        return [" or ".join(json.dumps(value) for value in schema["enum"])]
    words: list[Child] = [schema.get("format", schema.get("type", "anything"))]
    if schema.get("type") == "array":
        words = ["list of ", *_words(schema["items"])]
    elif isinstance(schema.get("additionalProperties"), Mapping):
        words = ["by name: ", *_words(schema["additionalProperties"])]
    limits = [told.format(schema[limit]) for limit, told in LIMITS.items() if limit in schema]
    return [*words, f" ({', '.join(limits)})"] if limits else words


def _value(document: Document, schema: Mapping[str, Any], name: str = "") -> object:
    """The least that such a value must have; a text is what is to be put there."""
    if "$ref" in schema:
        found = document["components"]["schemas"][schema["$ref"].removeprefix(_SCHEMAS)]
        return _value(document, found, name)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        return {field: _value(document, fields[field], field.upper()) for field in schema.get("required", ())}
    if schema.get("type") == "array":
        return [_value(document, schema["items"], name)]
    return name


def _paragraphs(text: str) -> list[Element]:
    return [_e("p", " ".join(part.split())) for part in text.split("\n\n") if part.strip()]


def _table(head: tuple[str, ...], rows: list[list[Child]]) -> Element:
    return _e(
        "table",
        _e("thead", _e("tr", *(_e("th", cell) for cell in head))),
        _e("tbody", *(_e("tr", *(_e("td", cell) for cell in row)) for row in rows)),
    )


def _e(tag: str, *children: Child, **attributes: str) -> Element:
    """An element; texts are escaped when it is written."""
    element = Element(tag, attributes)
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + child
        else:
            element.text = (element.text or "") + child
    return element
