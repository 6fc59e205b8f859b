"""Who is not signed in, and other sites: what they get of the console, which is nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.routing import Route

from aditus.control.console.visit import HOME, next_page
from aditus.control.http.cookie import HOST_COOKIE
from tests.console.furniture import Furniture
from tests.console.visitor import EMAIL, FORM, ORIGIN, PASSWORD, SAME_ORIGIN, House, Reading, Sheet, built

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types aditus"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "clipboard-write=(self), camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
CANARY = "canary"
OTHER_SITES: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
    {"Sec-Fetch-Site": "same-site", "Origin": ORIGIN},
    {"Origin": "https://evil.example"},
    {"Origin": f"{ORIGIN}.evil.example"},
    {"Origin": "null"},
    {},
)
FAILURES = 3


@pytest.fixture(scope="module")
def furniture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furniture]:
    """Nothing that happens here changes it."""
    with built(tmp_path_factory.mktemp("house")) as house:
        yield Furniture(house)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """One of a test's own."""
    with built(tmp_path) as house:
        yield house


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[House]:
    """Where a source may fail three times."""
    with built(tmp_path, failures=FAILURES, clock=lambda: 0.0) as house:
        yield house


def guarded(response: httpx2.Response) -> httpx2.Response:
    """The answer, which has every header that keeps it safe."""
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS, response.url
    return response


def inside(house: House) -> list[Route]:
    """The routes that only who is signed in may see."""
    found = [route for route in house.routes if route.path.startswith(HOME)]
    others = {route.path for route in house.routes} - {route.path for route in found}
    assert {re.sub(r"/\w{12}/", "/*/", path) for path in others} == {
        "/",
        "/static/*/{name}",
        "/sign-in",
        "/invitation",
        "/sign-out",
    }
    assert len(found) > 30
    return found


def posts(route: Route) -> bool:
    """Whether it is one of a form."""
    return "POST" in (route.methods or ())


def is_sign_in(response: httpx2.Response, back: str = "") -> bool:
    """Whether it leads there, and from there on to `back`."""
    to = urlsplit(response.headers.get("location", ""))
    asked = {"next": [back]} if back else {}
    return response.status_code == 303 and (to.netloc, to.path, parse_qs(to.query)) == ("", "/sign-in", asked)


def sheet(house: House, route: Route, cookie: str) -> Sheet:
    """The form of this route, filled in so that it would do its work."""
    page, query = house.address(route.path), ""
    if route.path.endswith("/revoke") and "access-keys" in route.path:
        query = f"?key_id={house.ids['key_id']}"
    if route.path == "/sign-out":
        page = house.address("/console/{locator}/{region}")
    read = Reading(house.get(page + query, cookie).text)
    [found] = [one for one in read.sheets if one.action in (house.address(route.path), "?next=%2Fconsole")]
    typed = {"email": f"{CANARY}@x.example", "password": PASSWORD, "current": PASSWORD, "new": CANARY * 3}
    written = {
        name: typed.get(name, "" if "allowed" in name or "expires" in name else CANARY)
        for name in found.written
    }
    found.fields = [(name, written.get(name, value)) for name, value in found.fields]
    return found


def test_without_a_session_every_page_leads_to_the_sign_in_and_back(furniture: Furniture) -> None:
    house = furniture.house
    before = house.everything()
    for route in inside(house):
        address = house.address(route.path) + "?q=a%20%22b%22&page=2"
        for cookie in ("", "x" * 43):
            asked = guarded(house.get(address, cookie))
            assert is_sign_in(asked, address if route.path != HOME else ""), address
            assert ("set-cookie" in asked.headers) is bool(cookie)  # it is not good: the browser forgets it
            sent = house.post(address, {"name": CANARY}, cookie)
            assert is_sign_in(guarded(sent), address) if posts(route) else sent.status_code == 405, address
        assert next_page(address) == address
    assert house.everything() == before


def test_every_answer_has_the_headers_that_keep_it_safe(furniture: Furniture) -> None:
    house = furniture.house
    for route in house.routes:
        if route.path.startswith("/static"):
            served = house.get(house.address(route.path))
            assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert served.headers["x-content-type-options"] == "nosniff"
        elif route.path == "/sign-out":
            assert house.get("/sign-out").status_code == 405
        else:
            shown = guarded(house.get(house.address(route.path), furniture.owner))
            assert shown.status_code in (200, 303) or "{rest" in route.path or "/revoke" in route.path
    assert guarded(house.get("/console/nobody/nowhere/apps", furniture.owner)).status_code == 404
    nul = house.address("/console/{locator}/{region}/audit?q=%00")  # which PostgreSQL cannot be asked for
    assert guarded(house.get(nul, furniture.owner)).status_code == 422
    assert guarded(house.get(house.address("/console/{locator}/nowhere"), furniture.owner)).status_code == 404


def test_no_form_can_be_forged(furniture: Furniture) -> None:
    house, owner = furniture.house, furniture.owner
    token, others = house.token(owner), house.token(furniture.cookies["member"])
    before = house.everything()
    tried = 0
    for route in filter(posts, house.routes):
        found, address = sheet(house, route, owner), house.address(route.path)
        cookie = owner if ("form_token", token) in found.fields else ""
        bare = [(name, value) for name, value in found.fields if name != "form_token"]
        answers = [house.post(address, found.fields, cookie, headers) for headers in OTHER_SITES]
        if cookie:
            tokens = ("", "x", token[:-1], token + "x", "é", others)
            forged = [bare, *([("form_token", one), *bare] for one in tokens)]
            answers += [house.post(address, fields, cookie) for fields in forged]
        for answer in answers:
            assert guarded(answer).status_code == 403, address
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert CANARY not in answer.text
            assert "set-cookie" not in answer.headers  # nor is anybody signed out
            tried += 1
        assert house.everything() == before, address
    assert tried > 250


def test_what_is_no_form_is_refused(furniture: Furniture) -> None:
    house, owner = furniture.house, furniture.owner
    good = f"form_token={house.token(owner)}&name={CANARY}&email={CANARY}".encode()
    before = house.everything()
    for route in filter(posts, house.routes):
        address = house.address(route.path)
        bodies = [(good, kind) for kind in ("text/plain", "application/json", f"multipart/{FORM}", "")]
        bodies += [
            (good + tail, FORM)
            for tail in (b"&a=\xff", b"&a=%ff", b"&a=%ED%A0%80", b"&a=%00", b"&a=b" * 10_000)
        ]
        for body, kind in bodies:
            answer = guarded(house.post(address, body, owner, {**SAME_ORIGIN, "Content-Type": kind}))
            assert answer.status_code == 422, (address, kind)
            assert "no form of this page" in Reading(answer.text).text
            assert CANARY not in answer.text
        long = house.post(address, good + b"&a=" + b"x" * 65_536, owner)
        assert long.status_code == 413  # before any page hears of it
        assert CANARY not in long.text
    assert house.everything() == before


def signed_in(house: House, cookie: str = "", query: str = "", password: str = PASSWORD) -> httpx2.Response:
    """What the form of the sign-in answers."""
    return house.post(f"/sign-in{query}", {"email": EMAIL, "password": password}, cookie)


def cookie_set(response: httpx2.Response) -> str:
    """The cookie that a browser gets for the session."""
    [line] = response.headers.get_list("set-cookie")
    text, *flags = line.split("; ")
    assert {flag.lower() for flag in flags} == {"path=/", "secure", "httponly", "samesite=strict"}
    assert text.startswith(f"{HOST_COOKIE}=")
    return str(text.partition("=")[2])


def test_a_session_from_before_the_sign_in_is_never_used_after_it(house: House) -> None:
    page = house.address("/console/{locator}/{region}/account")
    mine, elsewhere = house.session("owner"), house.session("owner")
    somebody = house.session(house.plane.stranger().caller_id)
    for before in (mine, somebody, "planted" * 6):
        answer = guarded(signed_in(house, before))
        assert (answer.status_code, answer.headers["location"]) == (303, HOME)
        after = cookie_set(answer)
        assert after != before
        assert house.get(page, after).status_code == 200
        assert is_sign_in(house.get(page, before), page)
    assert house.get(page, elsewhere).status_code == 200  # another browser's


def test_signing_out_ends_the_session_for_whoever_has_its_cookie(house: House) -> None:
    page = house.address("/console/{locator}/{region}/account")
    cookie, another = cookie_set(signed_in(house)), house.session("owner")
    refused = guarded(house.post("/sign-out", {"form_token": house.token(another)}, cookie))
    assert refused.status_code == 403
    assert house.get(page, cookie).status_code == 200
    done = guarded(house.post("/sign-out", {"form_token": house.token(cookie)}, cookie))
    assert done.headers["location"] == "/sign-in?notice=signed-out"
    assert all("Max-Age=0" in line for line in done.headers.get_list("set-cookie"))
    assert is_sign_in(house.get(page, cookie), page)
    assert house.get(page, another).status_code == 200
    assert house.plane.events()[0].action == "session.end"
    again = house.post("/sign-out", {"form_token": "of old"}, cookie)
    assert again.headers["location"] == "/sign-in?notice=signed-out"


def test_guesses_are_limited_with_those_of_the_api(strict: House) -> None:
    house = strict
    good = house.session("owner")
    assert house.get("/console", good).status_code == 303
    wrong = signed_in(house, password="not it")
    assert wrong.status_code == 401
    assert EMAIL in Reading(wrong.text).values("value")
    assert "not it" not in wrong.text
    assert is_sign_in(house.get("/console", "guessed" * 6))
    guess = {"email": EMAIL, "password": "not it"}
    assert house.client.post("/v1/sign-in", json=guess).status_code == 401
    for refused in (
        signed_in(house),  # even the right one
        house.post("/invitation", {"invitation": "guessed", "password": PASSWORD, "again": PASSWORD}),
        house.get("/console", "guessed" * 6),
    ):
        assert guarded(refused).status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert "Wait" in Reading(refused.text).text
    assert house.client.post("/v1/sign-in", json={"email": EMAIL, "password": PASSWORD}).status_code == 429
    assert house.get("/console", good).status_code == 303  # who is in stays in


HOSTS = ("//", "/", "\\", "evil.example", "https:", "javascript:", "@", ":", ";", "?", "#", "next=", "a", "é")
DOTS = ("/console", "..", ".", "%2e", "%2E.", "%2f", "%5c", "%00", "․․", "\t", "\r\n", "\0", " ")
PIECES = st.sampled_from(HOSTS + DOTS)
OUTSIDE = (
    "//evil.example",
    "/\\evil.example",
    "/console/../..//evil.example",
    "/console/\\..\\..\\evil.example",
    "https://evil.example/console",
    "https:/console/../evil",
    "javascript:alert(1)",
    "/console/%2e%2E/v1/userinfo",
    "/console/..?a",
    "/console/..#a",
    "/console\t/../..",
    "\r\n//evil.example",
    "/console.evil.example",
    "/sign-out",
    "console",
    "",
)


def browsed(text: str) -> str:
    """The address that a browser goes to for this one, on the page of the sign-in."""
    text = re.sub(r"[\t\r\n]", "", text.strip("".join(map(chr, range(33)))))
    path, mark, rest = re.split(r"([?#]|$)", text, maxsplit=1)
    path = re.sub("%2e", ".", path.replace("\\", "/"), flags=re.IGNORECASE)
    return urljoin(f"{ORIGIN}/sign-in", path + mark + rest)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join), st.lists(PIECES).map("/console/".join)))
@example("/console/%2e%2e/x")
@example("/console/..?x")
@example("/console/..#x")
def test_the_page_after_the_sign_in_is_one_of_the_console(text: str) -> None:
    to = urlsplit(browsed(next_page(text)))
    assert f"{to.scheme}://{to.netloc}" == ORIGIN
    assert to.path == HOME or to.path.startswith(f"{HOME}/")
    assert next_page(next_page(text)) == next_page(text)


def test_a_browser_is_sent_there_and_nowhere_else(house: House) -> None:
    wanted = house.address("/console/{locator}/{region}/audit?q=a%2Fb..%2F&cursor=")
    for text, to in ((wanted, wanted), *((text, HOME) for text in OUTSIDE)):
        query = f"?{httpx2.QueryParams({'next': text})}"
        asked = Reading(house.get(f"/sign-in{query}").text)
        assert asked.sheets[0].action == f"?{httpx2.QueryParams({'next': to})}"
        assert signed_in(house, query=query).headers["location"] == to


def test_what_a_page_asks_by_itself_keeps_no_session_alive(furniture: Furniture) -> None:
    house, clock = furniture.house, furniture.house.plane.clock
    watched, used = house.session("owner"), house.session("owner")
    page = house.address("/console/{locator}/{region}/tunnels")
    for _ in range(3):
        clock.now += 11 * 60
        assert house.get(page, used).status_code == 200
        house.get(page, watched, **{"Aditus-Background": "1"})
    assert is_sign_in(house.get(page, watched), page)  # nobody has looked for half an hour
