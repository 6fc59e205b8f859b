"""Sign-in of people over HTTP: a cookie that no script can read, and the sessions that it stands for."""

from fastapi import APIRouter, Request, Response

from aditus.control.api.answers import PageAnswer, SessionAnswer, UserInfoAnswer
from aditus.control.api.asking import Asks
from aditus.control.api.bodies import ChangePassword, SignInBody
from aditus.control.auth import Authenticator
from aditus.control.http.cookie import cookie_of, forget_cookie, set_cookie
from aditus.control.service.sign_in import SignIn
from aditus.control.service.subscriptions import Subscriptions


def open_router(sign_in: SignIn, auth: Authenticator, subscriptions: Subscriptions) -> APIRouter:
    """The route that needs no credential: it makes one."""
    routes = APIRouter(tags=["people"])

    @routes.post("/v1/sign-in")
    def begin_session(request: Request, response: Response, body: SignInBody) -> UserInfoAnswer:
        """Sign in with email and password; the answer sets the cookie of a session."""
        source = request.client.host if request.client else ""
        user_agent = request.headers.get("user-agent", "")
        cookie = sign_in.sign_in(body.email, body.password, source=source, user_agent=user_agent)
        set_cookie(response, request.url.scheme, cookie)
        return UserInfoAnswer.of(subscriptions.userinfo(auth.person(cookie.reveal())))

    return routes


def router(sign_in: SignIn) -> APIRouter:
    """The routes of sessions and passwords."""
    routes = APIRouter(tags=["people"])

    @routes.post("/v1/sign-out", status_code=204)
    def end_this_session(caller: Asks, request: Request, response: Response) -> None:
        """Sign out: end the session of the cookie that is sent."""
        sign_in.sign_out(caller, cookie_of(request.cookies, request.url.scheme))
        forget_cookie(response)

    @routes.get("/v1/sessions")
    def list_sessions(caller: Asks, request: Request) -> PageAnswer[SessionAnswer]:
        """List the caller's live sessions, newest first, all on one page."""
        found = sign_in.list(caller, cookie_of(request.cookies, request.url.scheme))
        return PageAnswer(items=[SessionAnswer.model_validate(session) for session in found])

    @routes.delete("/v1/sessions/{session_id}", status_code=204)
    def end_session(caller: Asks, session_id: str) -> None:
        """End one of the caller's sessions."""
        sign_in.end(caller, session_id)

    @routes.post("/v1/password", status_code=204)
    def change_password(caller: Asks, request: Request, body: ChangePassword) -> None:
        """Change the caller's password, and end all other sessions."""
        cookie = cookie_of(request.cookies, request.url.scheme)
        sign_in.change_password(caller, body.current, body.new, cookie)

    return routes
