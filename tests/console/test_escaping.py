"""What people and agents call things is text on every page, and no secret is shown but where it is made."""

import itertools
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx2
import pytest
from sqlalchemy import select

from aditus.control.console.visit import HOME, PLACE
from aditus.store.schema import users
from tests.console.furniture import HARMLESS, Furniture, Texts
from tests.console.visitor import EMAIL, PASSWORD, SAME_ORIGIN, Reading, Sheet, built

PAYLOAD = "\"><img src=x onerror=alert(1)>'{{7*7}}"
LINE = f"</title></textarea><script>alert(1)</script>{PAYLOAD}<!-- & &lt; javascript:alert(1)"
HOSTILE = Texts(PAYLOAD, PAYLOAD.replace(" ", "/").lower(), LINE, "javascript:alert(1)")
Answers = list[tuple[str, httpx2.Response]]
MARKS = ("onerror", "alert", "{{", "javascript:")


@contextmanager
def furnished(folder: Path, texts: Texts) -> Iterator[Furniture]:
    with built(folder) as house:
        yield Furniture(house, texts)


@dataclass
class Walk:
    """What a whole console has answered, and logged, and the secrets that it had then."""

    answers: Answers
    secrets: list[str]
    log: str


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Every page of a console where nobody means any harm."""
    log = StringIO()
    handler, root = logging.StreamHandler(log), logging.getLogger()
    level = root.level
    with furnished(tmp_path_factory.mktemp("house"), HARMLESS) as furniture:
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            answers = walked(furniture, "harmless nowhere")
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        return Walk(answers, furniture.secrets, log.getvalue())


@pytest.fixture(scope="module")
def answers_to_hostile(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Every page of a console where everything is called as badly as can be."""
    with furnished(tmp_path_factory.mktemp("house"), HOSTILE) as hostile:
        return walked(hostile, f"{PAYLOAD} nowhere")


def addresses(furniture: Furniture, said: str) -> list[str]:
    """Every page, with real ids; and with what somebody may write into an address."""
    house = furniture.house
    found = [house.address(route.path) for route in house.routes if "/static" not in route.path]
    place = house.address(PLACE)
    for kind, path in itertools.product(
        ("suspended", "rotated", "dead"), ("", "/edit", "/rotate", "/resume")
    ):
        found.append(f"{place}/access-keys/{house.ids[f'key_id {kind}']}{path}")
    found += [f"{place}/apps/{house.ids[f'app_id {which}']}" for which in ("on dead", "on none")]
    found.append(f"{place}/apps/{house.ids['app_id on none']}/credentials/create")
    found.append(f"{place}/apps/{house.ids['app_id']}/credentials/{house.ids['credential_id dead']}/revoke")
    ticked = [("key_id", house.ids[name]) for name in ("key_id", "key_id suspended", "key_id rotated")]
    found.append(f"{place}/access-keys/revoke?{urlencode(ticked)}")
    found += [f"{place}/access-keys?{query}" for query in ("state=revoked", "state=suspended", "sort=-name")]
    written = dict.fromkeys(("q", "state", "sort", "page", "capability", "notice", "key_id"), said)
    for path in (
        "/access-keys",
        "/apps",
        f"/apps/{house.ids['app_id']}",
        "/tunnels",
        "/audit",
        "",
        "/access-keys/revoke",
    ):
        found += [f"{place}{path}?{urlencode(written)}"]
    found += [f"{place}/apps?{urlencode({'cursor': said})}"]
    found += [f"/sign-in?{urlencode({name: said})}" for name in ("next", "notice")]
    found += [f"/sign-in?{urlencode({'next': f'/console/{said}'})}"]
    found += [f"{place}/{path}{quote(said, safe='')}" for path in ("", "access-keys/", "apps/", "tunnels/")]
    found += [f"{HOME}/{quote(said, safe='')}", f"{HOME}/{quote(said, safe='')}/{quote(said, safe='')}"]
    return found


def walked(furniture: Furniture, said: str) -> Answers:
    """Every page, then the answer to every form that is filled in with too much of `said`."""
    house, owner = furniture.house, furniture.owner
    answers = [(address, house.get(address, owner)) for address in addresses(furniture, said)]
    long = f"{said:x<50}" * 40
    every = {house.address(route.path) for route in house.routes}
    sheets: dict[tuple[str, str], Sheet] = {}
    for address, answer in answers:
        if answer.headers.get("content-type", "").startswith("text/html"):
            sheets |= {
                (sheet.action, address): sheet for sheet in Reading(answer.text).sheets if sheet.written
            }
    for (action, address), sheet in sheets.items():
        if sheet.method == "post" and address in every:
            fields = [(name, long if name in sheet.written else value) for name, value in sheet.fields]
            where = action if action.startswith("/") else address + action
            answers.append((f"POST {action}", house.post(where, fields, owner)))
    return answers + worked(furniture)


def worked(furniture: Furniture) -> Answers:
    """What the forms answer that show what they have done, secrets and receipts."""
    house, texts, place = furniture.house, furniture.texts, furniture.house.address(PLACE)
    key_id, doomed = house.ids["key_id"], [house.ids["key_id"], house.ids["key_id rotated"]]
    generated = {"access_key_id": texts.named("made"), "capability": "integration", "expires": "never"}
    done: dict[str, list[tuple[str, str]]] = {
        "access-keys/generate": [*generated.items(), ("description", texts.told("made"))],
        f"access-keys/{key_id}/rotate": [("grace", "now")],
        f"apps/{house.ids['app_id']}/credentials/create": [],
        "tokens/create": [("name", texts.named("made")), ("role", "owner"), ("life", "never")],
        "members/invite": [("email", texts.mailed("made")), ("role", "member")],
        f"access-keys/{key_id}/suspend": [],
        "access-keys/revoke": [
            *(("key_id", one) for one in doomed),
            ("step", "confirmed"),
            ("typed", "revoke 2"),
        ],
    }
    token = ("form_token", house.token(furniture.owner))
    answers = [
        (f"POST {path}", house.post(f"{place}/{path}", [token, *fields], furniture.owner))
        for path, fields in done.items()
    ]
    assert [answer.status_code for _, answer in answers] == [200] * len(done)
    return answers


def test_no_text_of_others_becomes_more_than_text(harmless: Walk, answers_to_hostile: Answers) -> None:
    shown = 0
    for (address, expected), (_, answer) in zip(harmless.answers, answers_to_hostile, strict=True):
        assert answer.status_code == expected.status_code, address
        page, same = Reading(answer.text), Reading(expected.text)
        assert page.shape == same.shape, address
        for tag, said in page.tags:
            assert tag not in ("style", "iframe", "object", "embed", "base", "template"), address
            assert not [name for name in said if name.startswith("on") or name in ("style", "srcdoc")], (
                address
            )
            for name in ("href", "src", "action", "data-load", "data-stream"):
                to = said.get(name) or "/"
                assert to.startswith(("/", "?", "#")), (address, to)
                assert not to.startswith("//"), (address, to)
        assert not [text for tag, text in page.pieces if tag == "script" and text.strip()], address
        shown += sum(page.text.count(mark) for mark in MARKS)
    assert shown > 500  # they are there, as text


def test_every_text_stands_somewhere_as_it_is(answers_to_hostile: Answers) -> None:
    pages = [Reading(answer.text) for _, answer in answers_to_hostile]
    texts = " ".join([*(page.text for page in pages), *(" ".join(page.values("value")) for page in pages)])
    names = ("key", "app", "rotated", "ends", "dead", "token", "organisation", "first", "second")
    emails = ("owner", "member", "admin", "invited-member", "invited-team_admin")
    lines = ["host", "version", "peer", "detail", "source", "browser", "from", "description"]
    lines += ["sidecar", "app host", "app peer", "app source", "app version"]
    for text in (
        *map(HOSTILE.named, names),
        *map(HOSTILE.mailed, emails),
        *map(HOSTILE.told, lines),
        HOSTILE.told("reason").replace("-", " "),
        HOSTILE.bare,
    ):
        assert " ".join(text.split()) in texts, text


def test_no_secret_that_was_shown_once_is_shown_again_or_logged(harmless: Walk) -> None:
    assert len(harmless.secrets) > 15
    for address, answer in harmless.answers:
        told = answer.text + answer.headers.get("location", "")
        assert not [secret for secret in harmless.secrets if secret in told], address
    assert "HTTP Request" in harmless.log  # all that is logged, even by what others have written
    assert not [secret for secret in harmless.secrets if secret in harmless.log]


def test_a_secret_stands_on_the_page_that_makes_it_and_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with furnished(tmp_path, HARMLESS) as furniture:
        house, owner = furniture.house, furniture.owner
        place, token = house.address(PLACE), house.token(owner)
        made, answers = {}, []

        def sent(path: str, **fields: str) -> httpx2.Response:
            answer = house.post(path, {"form_token": token, **fields}, owner)
            assert answer.status_code in (200, 303), Reading(answer.text).text
            return answer

        generated = {"access_key_id": "new", "capability": "integration", "expires": "7", "once": "one"}
        for path, fields in (
            (f"{place}/access-keys/generate", generated),
            (f"{place}/access-keys/{house.ids['key_id']}/rotate", {"grace": "3600", "once": "two"}),
            (f"{place}/apps/{house.ids['app_id']}/credentials/create", {"once": "three"}),
            (f"{place}/tokens/create", {"name": "new", "role": "owner", "life": "30"}),
            (f"{place}/members/invite", {"email": "new@x.example", "role": "member"}),
        ):
            page = sent(path, **fields).text
            [secret] = re.findall(r'id="secret"[^>]*>([^<]+)<', page)
            assert page.count(secret.rpartition("#")[2]) == 1
            made[path] = secret.rpartition("#")[2]
        assert [len(secret) > 40 for secret in made.values()] == [True] * 5
        again = house.post(f"{place}/access-keys/generate", {"form_token": token, **generated}, owner)
        assert again.status_code == 409  # a form that is sent twice shows nothing
        answers.append(again)
        passwords = {"current": "not my password", "new": PASSWORD * 2, "again": PASSWORD * 2}
        answers.append(house.post(f"{place}/account/password", {"form_token": token, **passwords}, owner))
        answers.append(house.post("/sign-in", {"email": EMAIL, "password": PASSWORD * 3}))
        accepted = {
            "invitation": made[f"{place}/members/invite"],
            "password": PASSWORD * 4,
            "again": PASSWORD * 4,
        }
        answers.append(house.post("/invitation", {**accepted, "again": "x"}))
        answers.append(house.post("/invitation", accepted, headers=SAME_ORIGIN))
        assert answers[-1].status_code == 303
        answers.append(house.post("/sign-in", {"email": "new@x.example", "password": PASSWORD * 4}))
        cookie = re.findall(r"__Host-aditus=([^;]+)", answers[-1].headers["set-cookie"])[0]
        answers.append(house.get(place, cookie))
        pages = (
            "",
            "/access-keys",
            f"/access-keys/{house.ids['key_id']}",
            f"/apps/{house.ids['app_id']}",
            "/tokens",
            "/members",
            "/audit",
            "/account",
        )
        answers += [house.get(place + page, owner) for page in pages]
        with house.plane.database.read() as tx:
            hashes = list(tx.execute(select(users.c.password_hash)).scalars())
    secrets = [*furniture.secrets, *made.values(), cookie, *(PASSWORD * times for times in range(2, 5))]
    hidden = [*secrets, *(text for text in hashes if len(text) > 9)]
    assert len(hidden) > 20
    for answer in answers:
        told = answer.text
        if str(answer.url).endswith("/invitation"):
            told = told.replace(made[f"{place}/members/invite"], "")  # the field has what was typed
        told += answer.headers.get("location", "") + str(answer.url)
        assert not [secret for secret in hidden if secret in told], answer.url
    assert caplog.records
    assert not [secret for secret in hidden if secret in caplog.text]
