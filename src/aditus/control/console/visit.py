"""Who visits a page, where: the door of the console. Every page and every form of the console comes through.

Whoever has no live session is sent to the sign-in. A form changes something only when the browser says that
it comes from this very site, and when it has the token that only pages of this session hold.
"""

import hashlib
import hmac
import logging
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from aditus.control.console import forms
from aditus.control.console.forms import Form
from aditus.control.console.render import HEADERS, Renderer
from aditus.control.http.cookie import cookie_of, forget_cookie, refuse_other_sites
from aditus.control.http.limits import Limits, SlowDown, source_of
from aditus.control.http.status import TITLES, status_of
from aditus.control.service.refusals import refusal
from aditus.control.service.replay import IdempotentReplay
from aditus.control.service.services import Services
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import Caller, Role, SubscriptionInfo, UserInfo
from aditus.domain.policy import Denied, Operation, allowed
from aditus.domain.relays import TunnelView
from aditus.domain.tenants import SubscriptionRegion

HOME = "/console"
SIGN_IN = "/sign-in"
PLACE = HOME + "/{locator}/{region}"
"""What the addresses of all pages begin with: the subscription and the region that are looked at."""
SECTION_PART = 4  # of an address, between slashes
TOKEN_FIELD = "form_token"
BACKGROUND = "Aditus-Background"
"""A header of what scripts ask by themselves: it keeps no session from being idle."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in, in one subscription and region."""

    services: Services
    renderer: Renderer
    request: Request
    caller: Caller
    user: UserInfo
    here: SubscriptionInfo
    regions: tuple[SubscriptionRegion, ...]
    region: str
    form_token: str
    query: Form
    form: Form = field(default_factory=Form)

    @property
    def locator(self) -> str:
        """Of the subscription."""
        return self.here.subscription.locator

    @property
    def in_region(self) -> SubscriptionRegion:
        """What the subscription may use in this region."""
        return next(one for one in self.regions if one.region == self.region)

    @property
    def cookie(self) -> str:
        """The text of the session."""
        return cookie_of(self.request.cookies, self.request.url.scheme)

    def may(self, operation: str) -> bool:
        """Whether the caller may do this here; what pages offer, while the services decide."""
        return bool(allowed(Operation(operation), self.caller, self.here.subscription))

    def tunnels(self) -> list[TunnelView]:
        """The live tunnels here, oldest first."""
        found = self.services.tunnels.list(self.caller, self.locator)
        return [one for one in found if one.region == self.region]

    def path(self, *parts: str, **query: str | int) -> str:
        """The address of a page here: its parts, quoted, and its query without what is empty."""
        return _address(self.locator, self.region, *parts, **query)

    @property
    def role(self) -> Role:
        """The caller's in this subscription."""
        return next(one.role for one in self.user.subscriptions if one.locator == self.locator)

    @property
    def section(self) -> str:
        """Which of the main pages this belongs to; empty: the overview."""
        parts = self.request.url.path.split("/")
        return parts[SECTION_PART] if len(parts) > SECTION_PART else ""

    @property
    def has_keys(self) -> bool:
        """Whether access keys are something here: a capability to generate them for, or old ones."""
        return bool(self.in_region.capabilities or self.in_region.used)

    def elsewhere(self, locator: str, region: str = "", *parts: str) -> str:
        """A page of another subscription or region; without a region that finds its first one."""
        if not region:
            return f"{HOME}/{quote(locator, safe='')}"
        return _address(locator, region, *(part for part in parts if part))

    def names(self, locators: Sequence[str]) -> list[str]:
        """What these subscriptions are called, as far as the caller may know."""
        known = {one.locator: one.name for one in self.user.subscriptions}
        return [known[one] for one in locators if one in known]

    def show(self, template: str, status: int = 200, **values: Any) -> Response:
        """This page, with these values."""
        return self.renderer.page(
            template,
            {"visit": self, "error": None, "notice": self.query["notice"], "now": time.time(), **values},
            status,
            zipped=self.request.method == "GET" and "gzip" in self.request.headers.get("accept-encoding", ""),
        )

    def go(self, *parts: str, **query: str | int) -> Response:
        """On to another page here, after a form has done its work."""
        return RedirectResponse(self.path(*parts, **query), 303, HEADERS)


Handler = Callable[[Visit], Response]
Shown = Callable[[Visit, AditusError | None], Response]


class Door:
    """Makes routes of handlers, which run in threads and may block."""

    def __init__(self, services: Services, limits: Limits, renderer: Renderer) -> None:
        self._services = services
        self._limits = limits
        self._renderer = renderer

    def page(self, path: str, shown: Handler) -> Route:
        """A page to look at; `path` goes on from the place."""

        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(self._answer, request, None, shown)

        return Route(PLACE + path, endpoint, methods=["GET"])

    def form(self, path: str, operation: Operation, shown: Shown, done: Handler) -> Route:
        """A page with a form: what it does, or why that failed, beside the form as it was filled in.

        Whoever may not do `operation` here does not even see the form.
        """

        def asked(visit: Visit) -> Response:
            verdict = allowed(operation, visit.caller, visit.here.subscription)
            if isinstance(verdict, Denied):
                raise refusal(verdict)
            return shown(visit, None) if visit.request.method != "POST" else posted(visit)

        def posted(visit: Visit) -> Response:
            try:
                return done(visit)
            except IdempotentReplay as replay:
                response = shown(visit, _sent_before())
                response.status_code = status_of(replay)
                return response
            except AditusError as error:
                if error.code in (Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.UNAVAILABLE):
                    raise
                response = shown(visit, error)
                response.status_code = status_of(error)
                return response

        async def endpoint(request: Request) -> Response:
            body = await request.body() if request.method == "POST" else None
            return await run_in_threadpool(self._answer, request, body, asked)

        return Route(PLACE + path, endpoint, methods=["GET", "POST"])

    def home(self, request: Request) -> Response:
        """Where somebody who has just come in looks first: the first subscription's region with most keys."""

        def found(caller: Caller) -> Response:
            user = self._services.subscriptions.userinfo(caller)
            locator = request.path_params.get("locator", "")
            known = [one.locator for one in user.subscriptions if locator in ("", one.locator)]
            for one in known:
                regions = self._services.subscriptions.in_regions(caller, one)
                if regions:
                    busiest = max(regions, key=lambda region: region.used)
                    return RedirectResponse(_address(one, busiest.region), 303, HEADERS)
            if locator and not known:
                raise _not_found()
            raise AditusError(
                Code.NOT_FOUND,
                "no-subscription",
                "There is no subscription with a region that you may see.",
                remedy="Ask an owner of your organisation to make you a team admin, or the operator for one.",
            )

        return self._signed_in(request, found)

    def _answer(self, request: Request, body: bytes | None, handler: Handler) -> Response:
        def visited(caller: Caller) -> Response:
            form = Form() if body is None else own_form(request, body)
            locator, region = request.path_params["locator"], request.path_params["region"]
            known = self._services.subscriptions.userinfo(caller)
            if locator not in {one.locator for one in known.subscriptions}:
                raise _not_found()
            here = self._services.subscriptions.show(caller, locator)
            regions = self._services.subscriptions.in_regions(caller, locator)
            if region not in {one.region for one in regions}:
                raise _not_found()
            return handler(
                Visit(
                    services=self._services,
                    renderer=self._renderer,
                    request=request,
                    caller=caller,
                    user=known,
                    here=here,
                    regions=regions,
                    region=region,
                    form_token=form_token(cookie_of(request.cookies, request.url.scheme)),
                    query=forms.query(request.query_params.multi_items()),
                    form=form,
                )
            )

        return self._signed_in(request, visited)

    def _signed_in(self, request: Request, answer: Callable[[Caller], Response]) -> Response:
        try:
            caller = self.caller(request)
        except AditusError as error:
            if error.code is not Code.UNAUTHENTICATED:
                return self.failed(error)
            return _to_sign_in(request)
        try:
            return answer(caller)
        except AditusError as error:
            return self.failed(error)

    def caller(self, request: Request) -> Caller:
        """Who is signed in. Raises unauthenticated `bad-session`, and `SlowDown`."""
        cookie = cookie_of(request.cookies, request.url.scheme)
        source = source_of(request.client)
        self._limits.admit(source, cookie)
        try:
            caller = self._services.auth.person(cookie, is_use=BACKGROUND not in request.headers)
        except AditusError as error:
            if error.code is Code.UNAUTHENTICATED and cookie:
                self._limits.failed(source)
            raise
        self._limits.authenticated(caller.caller_id, cookie)
        return caller

    def failed(self, error: AditusError) -> Response:
        """A page of its own for a failure that no form shows."""
        if error.code is Code.UNAVAILABLE:  # the operator's trouble, and its cause is not for the reader
            _log.warning(error.reason, exc_info=error if error.__cause__ else None)
        values = {"error": error, "title": TITLES[error.code]}
        return told_when(error, self._renderer.page("error.html", values, status_of(error)))

    def nothing_here(self, request: Request) -> Response:
        """An address that is none, but for a slash too many."""
        if request.url.path.endswith("/"):
            return RedirectResponse(f"/{request.url.path.strip('/')}", 303, HEADERS)
        return self._signed_in(request, lambda caller: self.failed(_not_found()))


def told_when(error: AditusError | None, response: Response) -> Response:
    """The answer to a failure, with when to come again where that is the matter."""
    if isinstance(error, SlowDown):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def form_token(cookie: str) -> str:
    """What the forms of a session carry. It follows from the cookie, and the cookie not from it."""
    digest = hashlib.blake2b(cookie.encode("utf-8", "surrogatepass"), digest_size=24, person=b"aditus form")
    return urlsafe_b64encode(digest.digest()).decode()


def own_form(request: Request, body: bytes) -> Form:
    """What a page of this very session sent. Raises forbidden `cross-site` and `bad-form-token`."""
    refuse_other_sites(request.method, request.headers, browsers_only=True)
    form = forms.parse(body, request.headers.get("content-type", ""))
    token = form_token(cookie_of(request.cookies, request.url.scheme))
    if not hmac.compare_digest(form[TOKEN_FIELD].encode(), token.encode()):
        raise _bad_token()
    return form


def next_page(text: str) -> str:
    """Where to go after the sign-in: a page of the console, whatever the address asks for."""
    plain = text.isascii() and text.isprintable() and "\\" not in text
    parts = unquote(re.split("[?#]", text, maxsplit=1)[0]).split("/")  # browsers take %2e for a dot
    inside = parts[:2] == ["", HOME[1:]] and ".." not in parts and "." not in parts
    return text if plain and inside else HOME


def _to_sign_in(request: Request) -> Response:
    query = ""
    if request.url.path != HOME:  # of a form, too: its own page has the same address
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        query = "?" + urlencode({"next": asked})
    response = RedirectResponse(SIGN_IN + query, 303, HEADERS)
    if cookie_of(request.cookies, request.url.scheme):  # not sent by other sites' links: then it may be good
        forget_cookie(response)
    return response


def _address(locator: str, region: str, *parts: str, **query: str | int) -> str:
    path = "/".join([HOME, *(quote(part, safe="") for part in (locator, region, *parts))])
    asked = {name: value for name, value in query.items() if value not in ("", 0)}
    return f"{path}?{urlencode(asked)}" if asked else path


def _not_found() -> AditusError:
    return AditusError(
        Code.NOT_FOUND,
        "no-such-page",
        "There is nothing at this address, or nothing that you may see.",
        remedy="Go on from the overview.",
    )


def _bad_token() -> AditusError:
    return AditusError(
        Code.FORBIDDEN,
        "bad-form-token",
        "This form belongs to another session than yours, so nothing was changed.",
        remedy="Open the page again, and send its form from there.",
    )


def _sent_before() -> AditusError:
    return AditusError(
        Code.CONFLICT,
        "secret-shown",
        "This form was sent already, and the secret that it made was shown then. It cannot be shown again.",
        remedy="If the secret is lost, revoke what it is of, and make another one.",
    )
