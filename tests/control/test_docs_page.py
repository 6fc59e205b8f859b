"""`/docs` has the whole OpenAPI document, and needs neither scripts nor anybody else's server."""

import json
import shlex
from collections import defaultdict
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.api.docs_page import CONTENT_SECURITY_POLICY, example, page
from tests.control_plane import CAPABILITY, ControlPlane

EMPTY = {"meta", "link"}
"""Elements that HTML never closes."""


class Read(HTMLParser):
    """What a browser finds: the attributes of each element by its tag, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: dict[str, list[dict[str, str | None]]] = defaultdict(list)
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag].append(dict(attrs))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def ids(self) -> list[str]:
        return [one["id"] or "" for found in self.elements.values() for one in found if "id" in one]


@pytest.fixture
def client(on_sqlite: ControlPlane) -> TestClient:
    return TestClient(create_app(on_sqlite.services))


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"path": path, "method": method.upper(), **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_read_without_a_token_a_script_or_another_server(client: TestClient) -> None:
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "'unsafe" not in CONTENT_SECURITY_POLICY
    assert "script-src" not in CONTENT_SECURITY_POLICY
    read = Read(answer.text)
    assert read.open == []
    assert not {"script", "style", "iframe", "img", "form"} & set(read.elements)
    every = [one for found in read.elements.values() for one in found]
    assert not any(name.startswith("on") or name in {"style", "src"} for one in every for name in one)
    links = {one["href"] or "" for one in every if "href" in one}
    assert {link for link in links if not link.startswith("#")} == {"docs.css", "openapi.json"}


def test_its_stylesheet_is_ours_and_loads_nothing(client: TestClient) -> None:
    answer = client.get("/docs.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def test_it_has_every_operation_parameter_answer_and_schema(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    read = Read(client.get("/docs").text)
    text = "\n".join(read.texts)
    wanted = {operation["operationId"] for operation in operations(document)}
    wanted |= {f"schema-{name}" for name in document["components"]["schemas"]}
    assert wanted <= set(read.ids)
    for operation in operations(document):
        assert operation["path"] in read.texts
        assert " ".join(operation["description"].split("\n\n")[0].split()) in text
        assert example(document, operation) in read.texts
        assert {parameter["name"] for parameter in operation.get("parameters", ())} <= set(read.texts)
        assert set(operation["responses"]) <= set(read.texts)
    for schema in document["components"]["schemas"].values():
        assert set(schema.get("properties", ())) <= set(read.texts)


def test_every_link_within_it_leads_somewhere_and_no_place_is_there_twice(client: TestClient) -> None:
    read = Read(client.get("/docs").text)
    assert len(set(read.ids)) == len(read.ids)
    within = {(one["href"] or "")[1:] for one in read.elements["a"] if (one["href"] or "").startswith("#")}
    assert within <= set(read.ids)


def test_examples_are_what_a_shell_and_the_api_understand(
    client: TestClient, on_sqlite: ControlPlane
) -> None:
    document = client.get("/openapi.json").json()
    known = {"$REGION": "local", "$ACCESS_KEY_ID": "berlin", "CAPABILITY": CAPABILITY}
    on_sqlite.generate("berlin")
    asked = 0
    for operation in operations(document):
        command = example(document, operation)
        for name, value in known.items():
            command = command.replace(name, value)
        words = shlex.split(command)
        assert words[0] == "curl"
        sent = [json.loads(words[at + 1]) for at, word in enumerate(words) if word == "-d"]
        assert len(sent) == ("requestBody" in operation)
        if operation["tags"] == ["access keys"] and operation["method"] != "DELETE":
            headers = {"Authorization": f"Bearer {on_sqlite.token}"}
            url = words[-1].removeprefix("$ADITUS_API")
            answer = client.request(operation["method"], url, json=sent[0] if sent else None, headers=headers)
            assert answer.status_code < 300, (command, answer.text)
            asked += 1
    assert asked > 5


def test_texts_of_the_document_are_texts_and_no_elements() -> None:
    evil = "<script>alert(1)</script> & \"'"
    operation = {
        "tags": ["tag"],
        "operationId": "odd",
        "description": evil,
        "responses": {"200": {"description": ""}},
    }
    document = {
        "info": {"title": evil, "version": "1", "summary": evil},
        "paths": {"/odd": {"get": operation}},
        "components": {"schemas": {"Odd": {"type": "object", "description": evil}}},
    }
    html = page(document).decode()
    assert "<script" not in html
    assert Read(html).texts.count(evil) == 2
