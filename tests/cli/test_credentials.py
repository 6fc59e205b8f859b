"""`aditus apps`: credentials and sidecars, over a real API."""

import json

from aditus.domain.keytext import parse_app_secret
from tests.cli.run import run
from tests.cli.test_keys import done, plane
from tests.control_plane import CAPABILITY, ControlPlane
from tests.databases import opened_sqlite, sqlite

__all__ = ["opened_sqlite", "plane", "sqlite"]


def test_a_credential_from_its_making_to_its_end(plane: ControlPlane) -> None:
    plane.services.apps.create(plane.owner, "0", "shop", CAPABILITY)
    made = done("apps", "credential", "shop")
    credential_id = parse_app_secret(made.out).key_id
    assert made.out.strip() not in made.err
    told = json.loads(done("apps", "credential", "shop", "-o", "json").out)
    assert parse_app_secret(told["app_secret"]).key_id == told["credential_id"]
    assert run("apps", "credential", "shop").code == 5
    assert credential_id in done("apps", "credentials", "shop").out
    assert run("apps", "revoke-credential", "shop", credential_id).code == 2  # nobody is there to ask
    assert "revoked" in done("apps", "revoke-credential", "shop", credential_id, "--yes").out
    assert json.loads(done("apps", "sidecars", "shop", "-o", "json").out) == []
    assert json.loads(done("apps", "show", "shop", "-o", "json").out)["sidecars"] == 0
