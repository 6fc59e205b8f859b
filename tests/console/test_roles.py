"""Every route of the console by every role: offered to those who may, refused to all others."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.routing import Match

from aditus.control.console.visit import HOME, PLACE
from aditus.domain.model import Role
from aditus.domain.policy import TABLE, Operation
from tests.console.furniture import BARE_REGION, Furniture
from tests.console.visitor import House, Reading, Sheet, built
from tests.control_plane import CAPABILITY, REGION

KEY, APP = "/access-keys/{key_id}", "/apps/{app_id}"
LOOKS = {
    "": Operation.EVENTS_FOLLOW,  # as everybody may
    "/access-keys": Operation.KEYS_LIST,
    KEY: Operation.KEYS_LIST,
    "/apps": Operation.APPS_LIST,
    APP: Operation.APPS_LIST,
    "/tunnels": Operation.TUNNELS_LIST,
    "/download": Operation.SUBSCRIPTION_SHOW,
    "/download/ca.pem": Operation.SUBSCRIPTION_SHOW,
    "/audit": Operation.AUDIT_LIST,
    "/audit/chain": Operation.AUDIT_VERIFY,
    "/members": Operation.MEMBERS_LIST,
    "/tokens": Operation.TOKENS_LIST,
    "/account": Operation.SESSIONS_LIST,
}
FORMS = {
    "/access-keys/generate": Operation.KEYS_GENERATE,
    "/access-keys/revoke": Operation.KEYS_REVOKE,
    f"{KEY}/rotate": Operation.KEYS_ROTATE,
    f"{KEY}/edit": Operation.KEYS_UPDATE,
    f"{KEY}/suspend": Operation.KEYS_SUSPEND,
    f"{KEY}/resume": Operation.KEYS_RESUME,
    "/apps/create": Operation.APPS_CREATE,
    f"{APP}/rename": Operation.APPS_UPDATE,
    f"{APP}/associate": Operation.APPS_ASSOCIATE,
    f"{APP}/dissociate": Operation.APPS_DISSOCIATE,
    f"{APP}/delete": Operation.APPS_DELETE,
    f"{APP}/credentials/create": Operation.APPS_CREDENTIAL,
    f"{APP}/credentials/{{credential_id}}/revoke": Operation.APPS_CREDENTIAL,
    "/tunnels/{tunnel_id}/cut": Operation.TUNNELS_CUT,
    "/members/invite": Operation.INVITATIONS_CREATE,
    "/members/{user_id}/edit": Operation.MEMBERS_UPDATE,
    "/members/{user_id}/remove": Operation.MEMBERS_REMOVE,
    "/members/invitations/{invitation_id}/delete": Operation.INVITATIONS_DELETE,
    "/tokens/create": Operation.TOKENS_CREATE,
    "/tokens/{token_id}/revoke": Operation.TOKENS_REVOKE,
    "/account/password": Operation.PASSWORD_CHANGE,
    "/account/sessions/{session_id}/end": Operation.SESSIONS_END,
}
OWN = {"/tokens/{token_id}/revoke", "/account/sessions/{session_id}/end"}
"""What is there for its owner alone, whatever the role of others."""
ROLES = {"owner": Role.OWNER, "member": Role.MEMBER, "team_admin": Role.TEAM_ADMIN}
USERS = {"owner": "owner", "member": "member", "team_admin": "admin"}
LAST = ("cut", "dissociate", "revoke", "end", "remove", "delete", "sign-out")
"""Forms after which other forms have nothing to work on."""


@pytest.fixture(scope="module")
def furniture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furniture]:
    with built(tmp_path_factory.mktemp("house")) as house:
        yield Furniture(house)


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furniture]:
    """For the tests that use things up."""
    with built(tmp_path_factory.mktemp("house")) as house:
        yield Furniture(house)


def path_of(house: House, address: str) -> str:
    """The route that answers here, without the place."""
    scope = {"type": "http", "path": urlsplit(address).path, "method": "GET"}
    for route in house.routes:
        if route.matches(scope)[0] is not Match.NONE:
            return route.path.removeprefix(PLACE)
    raise AssertionError(f"{address} is no address of the console")


def may(operation: Operation, who: str) -> bool:
    """What the policy's table says."""
    return ROLES[who] in TABLE[operation].roles


def test_no_route_is_forgotten(furniture: Furniture) -> None:
    found = {
        (route.path.removeprefix(PLACE), "POST" in (route.methods or ()))
        for route in furniture.house.routes
        if route.path.startswith(PLACE)
    }
    assert found == {(path, False) for path in LOOKS} | {(path, True) for path in FORMS}


@pytest.mark.parametrize("who", ["member", "team_admin", "other_team_admin", "stranger"])
def test_whoever_may_not_is_refused_when_asking_all_the_same(furniture: Furniture, who: str) -> None:
    house, cookie = furniture.house, furniture.cookies[who]
    home = {"stranger": "/console/otherloc/local", "other_team_admin": "/console/secondloc/local"}.get(who)
    token = Reading(house.get(f"{home or house.address(PLACE)}/account", cookie).text).form_token
    before = house.everything()
    for path, operation in {**LOOKS, **FORMS}.items():
        address = house.address(PLACE + path)
        asked = house.get(f"{address}?key_id={house.ids['key_id']}", cookie)
        expected = 404 if home is not None or path in OWN else 200 if may(operation, who) else 403
        assert asked.status_code == expected, address
        if path in FORMS and expected != 200:
            fields = [("form_token", token), ("key_id", house.ids["key_id"]), ("step", "confirmed")]
            assert house.post(address, fields, cookie).status_code == expected, address
    assert house.everything() == before


@dataclass
class Crawl:
    """All that pages offer to somebody, link after link."""

    house: House
    cookie: str
    answers: dict[str, httpx2.Response] = field(default_factory=dict)
    sheets: dict[str, tuple[str, Sheet]] = field(default_factory=dict)
    """By its action: the page where it was first found, and the form."""

    def walk(self) -> "Crawl":
        """Follow every link; what lies in another subscription or region is asked for, but not read."""
        here = self.house.address(PLACE)
        found = deque([HOME])
        orders = set()
        while found:
            address = found.popleft()
            table, by, _ = address.partition("sort=")
            if address in self.answers or (by and table in orders):  # of a table's orders one will do
                continue
            orders.add(table)
            answer = self.answers[address] = self.house.get(address, self.cookie)
            if "location" in answer.headers:
                found.append(answer.headers["location"])
            if address.startswith(here) and answer.headers.get("content-type", "").startswith("text/html"):
                found += self._read(address, Reading(answer.text))
        return self

    def _read(self, address: str, page: Reading) -> list[str]:
        for sheet in page.sheets:
            if sheet.method == "post":
                self.sheets.setdefault(sheet.action, (address, sheet))
        links = page.values("href") + page.values("data-load") + page.values("data-stream")
        return [link for link in links if not link.startswith(("#", "/v1/", "/docs"))]

    def offers(self) -> set[str]:
        """The routes of all that was offered."""
        here = self.house.address(PLACE)
        addresses = [*self.answers, *self.sheets]
        return {path_of(self.house, address) for address in addresses if address.startswith(here)}


@pytest.mark.parametrize("who", list(ROLES))
def test_what_pages_offer_is_all_that_one_may_do_and_nothing_else(own: Furniture, who: str) -> None:
    own.house.session(USERS[who])  # on another browser, which can be ended
    crawl = Crawl(own.house, own.cookies[who]).walk()
    for address, answer in crawl.answers.items():
        assert answer.status_code in (200, 303), address
    wanted = {path for path, operation in {**LOOKS, **FORMS}.items() if may(operation, who)}
    assert crawl.offers() == wanted

    def late(action: str) -> int:
        step = action.rpartition("/")[2]
        return LAST.index(step) if step in LAST else -1

    sent = 0
    for action in sorted(crawl.sheets, key=late):
        page, sheet = crawl.sheets[action]
        if late(action) >= 0:  # an earlier form may have used up what it is about
            again = Reading(own.house.get(page, crawl.cookie).text)
            if action not in {offered.action for offered in again.sheets}:
                continue
        answer = own.house.post(action, sheet.fields, crawl.cookie)
        assert answer.status_code in (200, 303, 409, 412, 422), (action, Reading(answer.text).text)
        sent += 1
    assert sent >= {"owner": 40, "team_admin": 25, "member": 4}[who]


def test_exports_and_streams_that_pages_offer_are_those_of_the_api_that_one_may(furniture: Furniture) -> None:
    house = furniture.house
    for who in ROLES:
        page = Reading(house.get(house.address(f"{PLACE}/audit"), furniture.cookies[who]).text)
        exports = [link for link in page.values("href") if link.startswith("/v1/")]
        assert len(exports) == may(Operation.AUDIT_EXPORT, who)
        for link in exports:
            assert house.get(link, furniture.cookies[who]).status_code == 200


def test_a_region_without_capability_has_no_tab_and_no_generate(furniture: Furniture) -> None:
    house = furniture.house
    place = house.address(f"{HOME}/{{locator}}/{BARE_REGION}")
    for path, operation in LOOKS.items():
        if "{" in path or path.endswith(".pem"):
            continue
        page = house.get(place + path, furniture.owner)
        assert page.status_code == 200, (path, operation)
        offered = [urlsplit(link).path for link in Reading(page.text).values("href")]
        assert f"{place}/apps" in offered or path == "/audit/chain"
        assert f"{place}/access-keys/generate" not in offered, path
        assert f"{place}/access-keys" not in offered or path == "/access-keys", path
    before = house.everything()
    asked = house.get(f"{place}/access-keys/generate", furniture.owner)
    token = Reading(asked.text).form_token
    fields = {"form_token": token, "access_key_id": "new", "capability": "integration", "expires": "never"}
    refused = house.post(f"{place}/access-keys/generate", fields, furniture.owner)
    assert refused.status_code == 422
    assert house.everything() == before


def test_what_is_not_there_is_a_page_that_says_so(furniture: Furniture) -> None:
    house, token = furniture.house, furniture.house.token(furniture.owner)
    before = house.everything()
    places = [PLACE + path for path in (*LOOKS, *FORMS) if "{" in path]
    places += [
        PLACE + "/access-keys/revoke?key_id={key_id}",
        PLACE + "/none",
        HOME + "/{app_id}/{region}/apps",
    ]
    real = {**house.ids}
    house.ids |= {name: "nosuchid" for name in real if name.endswith("_id")}
    addresses = [house.address(path) for path in places]
    house.ids |= real
    for path, address in zip(places, addresses, strict=True):
        asked = [house.get(address, furniture.owner)]
        if path.removeprefix(PLACE) in FORMS:
            asked.append(house.post(address, {"form_token": token}, furniture.owner))
        for answer in asked:
            assert answer.status_code == 404, address
            text = Reading(answer.text).text
            assert "There is no" in text
            assert "/v1/" not in text, address  # people do not ask the API
    assert house.everything() == before


def test_who_comes_in_looks_first_where_the_keys_are(tmp_path: Path) -> None:
    with built(tmp_path) as house:
        house.plane.add_region("aaa", CAPABILITY)
        cookie = house.session("owner")
        assert house.get("/console", cookie).headers["location"] == "/console/defaultloc/aaa"
        house.plane.generate("plant-1")
        assert house.get("/console", cookie).headers["location"] == f"/console/defaultloc/{REGION}"
