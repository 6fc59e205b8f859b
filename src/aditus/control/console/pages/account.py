"""The account of whoever is signed in: sessions, and the password."""

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console.visit import Door, Visit
from aditus.control.service.context import unfound
from aditus.domain.errors import AditusError, invalid
from aditus.domain.policy import Operation


def routes(door: Door) -> list[Route]:
    """The page, and its two forms."""
    return [
        door.page("/account", shown),
        door.form("/account/password", Operation.PASSWORD_CHANGE, password, password_changed),
        door.form("/account/sessions/{session_id}/end", Operation.SESSIONS_END, end, ended),
    ]


def shown(visit: Visit) -> Response:
    """Where the caller is signed in."""
    sessions = visit.services.sign_in.list(visit.caller, visit.cookie)
    return visit.show("account.html", sessions=sessions)


def password(visit: Visit, error: AditusError | None) -> Response:
    """The old password, and twice the new one."""
    return visit.show("change_password.html", error=error)


def password_changed(visit: Visit) -> Response:
    """Back to the account; all other sessions are ended."""
    form = visit.form
    if form["new"] != form["again"]:
        raise invalid(
            "passwords-differ",
            "The two passwords are not the same.",
            remedy="Type the new one twice.",
            field="again",
        )
    visit.services.sign_in.change_password(visit.caller, form["current"], form["new"], visit.cookie)
    return visit.go("account", notice="password-changed")


def end(visit: Visit, error: AditusError | None) -> Response:
    """The question."""
    return visit.show("end_session.html", error=error, session_id=_session_id(visit))


def ended(visit: Visit) -> Response:
    """Back to the account."""
    visit.services.sign_in.end(visit.caller, _session_id(visit))
    return visit.go("account", notice="session-ended")


def _session_id(visit: Visit) -> str:
    session_id = str(visit.request.path_params["session_id"])
    if all(one.session_id != session_id for one in visit.services.sign_in.list(visit.caller)):
        raise unfound("session", "It is over already, or never was: look at the list of yours.")
    return session_id
