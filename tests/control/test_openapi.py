"""The OpenAPI document is true: whoever asks whatever it allows or not is answered as it says."""

import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation.stateful import APIStateMachine
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aditus.control.api.app import create_app
from aditus.control.http.limits import Limits
from aditus.domain.model import Role
from aditus.wiring.api_thread import ApiThread
from tests.control_plane import CAPABILITY, REGION, ControlPlane
from tests.ends import LOOPBACK

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SETTINGS = settings(
    deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
PLACE = {"locator": "0", "region": REGION}
NAMED = {"capability": CAPABILITY}
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
Modes = tuple[schemathesis.GenerationMode, ...]
Case = schemathesis.Case[Any]


@dataclass
class Asking:
    """A running API, what its document allows, and who asks: from no rights to all."""

    plane: ControlPlane
    schema: schemathesis.BaseSchema
    sessions: dict[str, requests.Session]

    def things(self, name: str) -> dict[str, str]:
        """One of each that a path can name, none of them touched before."""
        services, owner = self.plane.services, self.plane.owner
        key = self.plane.generate(name)
        app = services.apps.create(owner, "0", name, CAPABILITY)
        return PLACE | {
            "access_key_id": name,
            "app_id": app.app_id,
            "credential_id": services.credentials.create(owner, "0", app.app_id).credential.credential_id,
            "tunnel_id": self.plane.relays.attach(key, 5432, streams=1).tunnel_id,
            "token_id": services.tokens.create(owner, name).token.token_id,
            "user_id": self.plane.person(Role.MEMBER).caller_id,
            "invitation_id": services.invitations.create(
                owner, f"{name}@example.org", Role.MEMBER
            ).invitation.invitation_id,
        }


@contextmanager
def asking(plane: ControlPlane) -> Iterator[Asking]:
    """Serve the API as `aditus serve` does, without the limits of rate."""
    app = create_app(plane.services, limits=Limits(failures=10**9, requests=10**9))
    callers = {
        "stranger": plane.stranger(),
        "member": plane.person(Role.MEMBER),
        "team_admin": plane.person(Role.TEAM_ADMIN),
    }
    tokens = {
        who: plane.services.tokens.create(caller, who).secret.reveal() for who, caller in callers.items()
    }
    sessions = {who: requests.Session() for who in ("nobody", *tokens, "owner")}
    for who, token in [*tokens.items(), ("owner", plane.token)]:
        sessions[who].headers["Authorization"] = f"Bearer {token}"
    with socket.create_server((LOOPBACK, 0)) as listener:
        server = ApiThread(app, listener, None, ())
        server.start()
        try:
            schema = schemathesis.openapi.from_url(
                f"http://{LOOPBACK}:{listener.getsockname()[1]}/openapi.json"
            )
            # Events never end; they have tests of their own.
            yield Asking(plane, schema.exclude(path_regex="/events$"), sessions)
        finally:
            for session in sessions.values():
                session.close()
            server.stop()


def put(into: object, known: Mapping[str, str]) -> None:
    """Say what is there, where it is asked for: hardly a question would get past a name by chance."""
    if isinstance(into, dict):
        into |= {name: known[name] for name in into if name in known}


def ask_everything(plane: ControlPlane, examples: int, modes: Modes) -> dict[str, Counter[int]]:
    """So many questions to each operation, each by everybody; the statuses that each was answered.

    Raises for the first answer that is not as documented.
    """
    with asking(plane) as api:
        answers = {who: Counter[int]() for who in api.sessions}
        for number, found in enumerate(api.schema.get_all_operations()):
            assert isinstance(found, Ok)
            operation = found.ok()
            known = api.things(f"thing{number}") if "_id}" in operation.path else PLACE
            for who, status in ask_one(api, operation, known, examples, modes):
                answers[who][status] += 1
    return answers


def ask_one(
    api: Asking,
    operation: schemathesis.APIOperation[Any, Any, Any, Any],
    known: Mapping[str, str],
    examples: int,
    modes: Modes,
) -> list[tuple[str, int]]:
    """Ask this operation; half of the questions name what is there."""
    answers: list[tuple[str, int]] = []

    @given(
        case=st.one_of([operation.as_strategy(mode) for mode in modes]), meant=st.sampled_from([True, False])
    )
    @settings(SETTINGS, max_examples=examples)
    def ask(case: Case, meant: bool) -> None:
        case.headers.pop("Authorization", None)  # a wrong one, in a question that is not allowed
        if meant:
            put(case.path_parameters, known)
            put(case.body, NAMED)
        for who, session in api.sessions.items():
            note(who)
            response = case.call_and_validate(session=session, checks=CHECKS)
            answers.append((who, response.status_code))

    ask()
    return answers


def follow_links(plane: ControlPlane, who: str, scenarios: int) -> Counter[str]:
    """So many chains of questions, made of what was answered before; the operations that had a 2xx."""
    done: Counter[str] = Counter()
    with asking(plane) as api:
        machine: type[APIStateMachine] = api.schema.as_state_machine()

        class Links(machine):  # type: ignore[valid-type, misc]
            def before_call(self, case: Case) -> None:
                put(case.path_parameters, PLACE)
                put(case.body, NAMED)

            def get_call_kwargs(self, case: Case) -> dict[str, Any]:
                return {"session": api.sessions[who]}

            def validate_response(self, response: schemathesis.Response, case: Case, **kwargs: Any) -> None:
                case.validate_response(response, checks=CHECKS)
                if response.status_code < 300:
                    done[case.operation.label] += 1

        # Each by itself: what one scenario made is there for the next, so that none could be replayed.
        # The first that hypothesis tries is always the same, and says next to nothing.
        for number in range(scenarios):
            seed(number)(Links)
            Links.run(settings=settings(SETTINGS, max_examples=2, stateful_step_count=20))
    return done


def all_were_heard(answers: Mapping[str, Counter[int]]) -> None:
    """Questions got as far as each one's rights go."""
    assert answers["nobody"][401] > answers["nobody"].total() / 2
    assert all(answers[who][200] for who in answers)
    assert answers["stranger"][404] > answers["owner"][404]
    assert answers["member"][403] > answers["team_admin"][403] > answers["owner"][403]


def answers_were_used(done: Counter[str]) -> None:
    """Something was done to a thing that only an answer could name."""
    assert any("_id}" in operation for operation in done), done


def test_every_operation_answers_as_documented(on_sqlite: ControlPlane) -> None:
    all_were_heard(ask_everything(on_sqlite, 1, MODES[:1]))


def test_what_answers_lead_to_is_answered_as_documented(on_sqlite: ControlPlane) -> None:
    answers_were_used(follow_links(on_sqlite, "owner", 3))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_operation_answers_as_documented_on_both_databases(plane: ControlPlane) -> None:
    all_were_heard(ask_everything(plane, 25, MODES))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", ["member", "team_admin", "owner"])
def test_what_answers_lead_to_is_answered_as_documented_on_both_databases(
    plane: ControlPlane, who: str
) -> None:
    answers_were_used(follow_links(plane, who, 30))
