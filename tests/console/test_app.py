"""The page of an app, and the life of its credentials there: two at a time, each secret shown once."""

import dataclasses
import html
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from aditus.control.service.apps import Apps
from aditus.control.service.credentials import Credentials
from aditus.domain import keytext
from tests.console.furniture import Furniture
from tests.console.visitor import House, Reading, built
from tests.control_plane import CAPABILITY, RELAY_URL

PLACE = "/console/{locator}/{region}"
APP = PLACE + "/apps/{app_id}"
CREATE = APP + "/credentials/create"
REVOKE = APP + "/credentials/{credential_id}/revoke"


@pytest.fixture
def furniture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furniture]:
    with built(tmp_path_factory.mktemp("house")) as house:
        yield Furniture(house)


@pytest.fixture
def house(furniture: Furniture) -> House:
    return furniture.house


def page(furniture: Furniture, path: str, who: str = "owner") -> Reading:
    """A page that somebody opens."""
    answer = furniture.house.get(furniture.house.address(path), furniture.cookies[who])
    assert answer.status_code == 200, Reading(answer.text).text
    return Reading(answer.text)


def secret_of(text: str) -> str:
    """The secret that a page shows."""
    [secret] = re.findall(r'id="secret"[^>]*>([^<]+)<', text)
    return str(secret)


def command_of(text: str) -> list[str]:
    """The words of the command that a page gives to paste, as a shell takes them."""
    [command] = re.findall(r'id="command-sidecar">([^<]+)<', text)
    return shlex.split(html.unescape(command))


def test_everybody_sees_what_the_app_is_and_has(furniture: Furniture) -> None:
    ids = furniture.house.ids
    for who in ("owner", "team_admin", "member"):
        text = page(furniture, APP, who).text
        for shown in (
            "harmless app",
            CAPABILITY,
            ids["app_id"],
            "harmless key Active in local",
            "App ports 5432",
        ):
            assert shown in text
        assert f"{ids['credential_id']} " in text
        assert "by harmless-owner@x.example" in text
        assert "from harmless line app source, sidecar harmless line app version" in text
        assert f"{ids['credential_id dead']} " in text
        assert "harmless line app host" in text
        assert "created a credential of app" in text


def test_a_port_whose_listener_is_refused_is_in_reach_of_sidecars_all_the_same(furniture: Furniture) -> None:
    relays = furniture.plane.relays
    assert "App ports 5432 7000" in page(furniture, APP).text  # the conflict is the listener's
    first = relays.live[0]
    denied = dataclasses.replace(first.ports[1], verdict="port-not-allowed")
    relays.live[0] = dataclasses.replace(first, ports=(first.ports[0], denied))
    assert "App ports 5432 Credentials" in page(furniture, APP).text


def test_a_member_looks_and_is_offered_no_step(furniture: Furniture) -> None:
    seen = page(furniture, APP, "member")
    steps = [link for link in seen.values("href") if "/credentials/" in link or link.endswith("/associate")]
    assert steps == []


def test_an_app_without_key_and_sidecars_says_what_to_do(furniture: Furniture) -> None:
    furniture.house.ids["app_id"] = furniture.house.ids["app_id on none"]
    text = page(furniture, APP).text
    assert "none: associate one" in text
    assert "No sidecar of this app is attached now" in text
    furniture.house.ids["app_id"] = furniture.house.ids["app_id on dead"]
    text = page(furniture, APP).text
    assert "is revoked, so it reaches nothing" in text
    assert "A credential is the app's own secret" in text


def test_a_credential_is_created_and_its_secret_shown_once(furniture: Furniture, house: House) -> None:
    sheet = next(sheet for sheet in page(furniture, CREATE).sheets if sheet.action == house.address(CREATE))
    made = house.post(sheet.action, sheet.fields, furniture.owner)
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    secret = secret_of(made.text)
    parsed = keytext.parse_app_secret(secret)
    listed = furniture.plane.services.credentials.list(furniture.plane.owner, "0", house.ids["app_id"])
    assert parsed.key_id in {one.credential_id for one in listed if one.revoked_at is None}
    relay = ["--relay", RELAY_URL, "--ca-file", "ca.pem"]
    words = ["aditus", "sidecar", "--app", "harmless app", *relay, "--secret-file", "app-secret"]
    assert command_of(made.text) == words
    again = house.post(sheet.action, sheet.fields, furniture.owner)  # as the way back would
    assert again.status_code == 409
    assert "shown then" in Reading(again.text).text
    assert secret not in again.text
    assert secret not in house.get(house.address(APP), furniture.owner).text


def test_when_both_places_are_taken_the_step_says_so(furniture: Furniture, house: House) -> None:
    furniture.credential(house.ids["app_id"])
    shown = page(furniture, CREATE)
    assert "Both places for credentials are taken" in shown.text
    assert house.ids["credential_id"] in shown.text
    assert house.address(CREATE) not in {sheet.action for sheet in shown.sheets}
    before = house.everything()
    fields = {"form_token": house.token(furniture.owner), "once": "one"}
    refused = house.post(house.address(CREATE), fields, furniture.owner)
    assert refused.status_code == 409
    assert "Both places for credentials are taken" in Reading(refused.text).text
    assert house.everything() == before


def test_a_revoke_tells_what_it_will_cut_and_which_credential_stays(
    furniture: Furniture, house: House
) -> None:
    other = furniture.credential(house.ids["app_id"])
    furniture.sidecar(house.ids["app_id"], house.ids["credential_id"], streams=4)
    furniture.sidecar(house.ids["app_id"], other.credential_id, streams=100)
    asked = page(furniture, REVOKE)
    assert "Sidecars 2 Live connections 7" in asked.text
    assert f"The other credential, {other.credential_id} , stays" in asked.text
    sheet = next(sheet for sheet in asked.sheets if sheet.action == house.address(REVOKE))
    done = house.post(sheet.action, sheet.fields, furniture.owner)
    assert done.headers["location"] == house.address(APP) + "?notice=credential-revoked"
    listed = furniture.plane.services.credentials.list(furniture.plane.owner, "0", house.ids["app_id"])
    assert [one.credential_id for one in listed if one.revoked_at is None] == [other.credential_id]
    dead = page(furniture, REVOKE)
    assert "revoked already" in dead.text
    assert house.address(REVOKE) not in {sheet.action for sheet in dead.sheets}
    house.ids["credential_id"] = other.credential_id
    assert "It is the only one" in page(furniture, REVOKE).text


@pytest.mark.parametrize("path", [REVOKE, f"{APP}/associate", f"{APP}/dissociate"])
def test_a_relay_that_has_not_said_that_it_is_done_is_told_of(
    furniture: Furniture, house: House, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service, step in ((Credentials, "revoke"), (Apps, "associate"), (Apps, "dissociate")):
        done = getattr(service, step)

        def pending(*said: Any, _done: Any = done, **named: Any) -> Any:  # as with a slow server beside
            return dataclasses.replace(_done(*said, **named), pending_relays=("local/other",))

        monkeypatch.setattr(service, step, pending)
    sheet = next(sheet for sheet in page(furniture, path).sheets if sheet.action == house.address(path))
    to = house.post(sheet.action, sheet.fields, furniture.owner).headers["location"]
    assert "not every relay has said so" in Reading(house.get(to, furniture.owner).text).text


def test_a_credential_of_another_app_is_none_of_this_one(furniture: Furniture, house: House) -> None:
    house.ids["app_id"] = house.ids["app_id on dead"]
    before = house.everything()
    assert house.get(house.address(REVOKE), furniture.owner).status_code == 404
    fields = {"form_token": house.token(furniture.owner)}
    assert house.post(house.address(REVOKE), fields, furniture.owner).status_code == 404
    assert house.everything() == before


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("associate", "Its 3 live connections by sidecars are cut"),
        ("dissociate", "3 live connections by sidecars: they are cut at once"),
        ("delete", "its credentials revoked: 1 sidecar is cut at once"),
    ],
)
def test_other_steps_tell_what_they_cut_too(furniture: Furniture, step: str, told: str) -> None:
    assert told in page(furniture, f"{APP}/{step}").text


def test_the_command_is_for_the_relay_of_the_keys_region(furniture: Furniture, house: House) -> None:
    house.ids["region"] = "remote"  # where one looks, while the app's key is elsewhere
    fields = {"form_token": house.token(furniture.owner)}
    text = Reading(house.post(house.address(CREATE), fields, furniture.owner).text).text
    assert f"--relay {RELAY_URL} --ca-file ca.pem" in text


@pytest.mark.parametrize("name", ["plain", "$(touch x)", "a'; touch x; '", '"`x`"', "a  b !! &", "é ☃ <b>"])
def test_whatever_an_app_is_called_it_is_one_word_of_the_command(
    furniture: Furniture, house: House, name: str
) -> None:
    app = furniture.plane.services.apps.create(furniture.plane.owner, "0", name, CAPABILITY)
    house.ids["app_id"] = app.app_id
    made = house.post(house.address(CREATE), {"form_token": house.token(furniture.owner)}, furniture.owner)
    assert command_of(made.text)[:4] == ["aditus", "sidecar", "--app", name]
