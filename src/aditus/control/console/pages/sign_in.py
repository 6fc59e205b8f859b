"""Coming in and going out: the sign-in, the sign-out, and the page of an invitation."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from aditus.control.console import forms
from aditus.control.console.forms import Form
from aditus.control.console.render import HEADERS, Renderer
from aditus.control.console.visit import SIGN_IN, Door, next_page, own_form, told_when
from aditus.control.http.cookie import cookie_of, forget_cookie, refuse_other_sites, set_cookie
from aditus.control.http.limits import Limits, source_of
from aditus.control.http.status import status_of
from aditus.control.service.services import Services
from aditus.domain.errors import AditusError, Code

SIGN_OUT = "/sign-out"
INVITATION = "/invitation"


def routes(services: Services, limits: Limits, renderer: Renderer, door: Door) -> list[Route]:
    """The routes that need no session, and the one that ends it."""

    def sign_in_page(request: Request, form: Form, error: AditusError | None) -> Response:
        query = Form(request.query_params.multi_items())
        values = {"next": next_page(query["next"]), "email": form["email"], "notice": query["notice"]}
        return _page(renderer, "sign_in.html", error, **values)

    def signed_in(request: Request, form: Form) -> Response:
        before = cookie_of(request.cookies, request.url.scheme)
        source = request.client.host if request.client else ""
        user_agent = request.headers.get("user-agent", "")
        cookie = services.sign_in.sign_in(
            form["email"], form["password"], source=source, user_agent=user_agent
        )
        _end(services, before)  # whosever it was: nobody will ever send that one again
        response = RedirectResponse(next_page(Form(request.query_params.multi_items())["next"]), 303, HEADERS)
        set_cookie(response, request.url.scheme, cookie)
        return response

    def invitation_page(request: Request, form: Form, error: AditusError | None) -> Response:
        return _page(renderer, "invitation.html", error, invitation=form["invitation"])

    def accepted(request: Request, form: Form) -> Response:
        if form["password"] != form["again"]:
            raise AditusError(
                Code.INVALID,
                "passwords-differ",
                "The two passwords are not the same.",
                remedy="Type the password twice.",
                field="again",
            )
        services.invitations.accept(form["invitation"], form["password"])
        return RedirectResponse(f"{SIGN_IN}?notice=joined", 303, HEADERS)

    async def sign_out(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_signed_out, services, door, request, body)

    return [
        _open(SIGN_IN, limits, door, sign_in_page, signed_in),
        _open(INVITATION, limits, door, invitation_page, accepted),
        Route(SIGN_OUT, sign_out, methods=["POST"]),
    ]


def _open(
    path: str,
    limits: Limits,
    door: Door,
    shown: Callable[[Request, Form, AditusError | None], Response],
    done: Callable[[Request, Form], Response],
) -> Route:
    """A form that strangers may fill in, as often as a source may fail."""

    def posted(request: Request, body: bytes) -> Response:
        source = source_of(request.client)
        form = Form()
        try:
            refuse_other_sites(request.method, request.headers, browsers_only=True)
            form = forms.parse(body, request.headers.get("content-type", ""))
            limits.admit(source, "")
            return done(request, form)
        except AditusError as error:
            if error.code in (Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.UNAVAILABLE):
                limits.failed(source)
            return shown(request, form, error)

    async def endpoint(request: Request) -> Response:
        if request.method == "POST":
            return await run_in_threadpool(posted, request, await request.body())
        return await run_in_threadpool(shown, request, Form(), None)

    return Route(path, endpoint, methods=["GET", "POST"])


def _page(renderer: Renderer, template: str, error: AditusError | None, **values: object) -> Response:
    status = 200 if error is None else status_of(error)
    values = {"error": error, "notice": "", **values}
    return told_when(error, renderer.page(template, values, status))


def _signed_out(services: Services, door: Door, request: Request, body: bytes) -> Response:
    try:
        refuse_other_sites(request.method, request.headers, browsers_only=True)  # nor makes one forget it
        door.caller(request)
        own_form(request, body)
        _end(services, cookie_of(request.cookies, request.url.scheme))
    except AditusError as error:
        if error.code is not Code.UNAUTHENTICATED:
            return door.failed(error)
    response = RedirectResponse(f"{SIGN_IN}?notice=signed-out", 303, HEADERS)
    forget_cookie(response)
    return response


def _end(services: Services, cookie: str) -> None:
    """End the session of this cookie, if it is one."""
    try:
        caller = services.auth.person(cookie, is_use=False)
    except AditusError as error:
        if error.code is not Code.UNAUTHENTICATED:
            raise
    else:
        services.sign_in.sign_out(caller, cookie)
