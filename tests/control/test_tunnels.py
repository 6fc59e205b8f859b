"""What is live: shown to those who may look, cut by those who may act."""

from aditus.domain.errors import Code
from aditus.domain.model import Role
from tests.control.refused import refused
from tests.control_plane import ControlPlane


def test_live_tunnels_and_streams_are_shown(on_sqlite: ControlPlane) -> None:
    plane = on_sqlite
    key = plane.generate("berlin")
    one, two = plane.relays.attach(key, 5432, streams=2), plane.relays.attach(key, 22)
    member = plane.person(Role.MEMBER)
    assert plane.services.tunnels.list(member, "0") == (one, two)
    assert [stream.stream for stream in plane.services.tunnels.streams(member, "0")] == [0, 1]


def test_a_tunnel_is_cut_and_its_key_lives_on(on_sqlite: ControlPlane) -> None:
    plane = on_sqlite
    key = plane.generate("berlin")
    tunnel = plane.relays.attach(key, 5432)
    tunnels = plane.services.tunnels
    member = plane.person(Role.MEMBER)
    refused(Code.FORBIDDEN, "read-only", lambda: tunnels.cut(member, "0", tunnel.tunnel_id))
    tunnels.cut(plane.owner, "0", tunnel.tunnel_id)
    assert tunnels.list(plane.owner, "0") == ()
    assert plane.stored(key) == key
    for gone in (tunnel.tunnel_id, "no such", "a/b", ""):
        refused(Code.NOT_FOUND, "not-found", lambda gone=gone: tunnels.cut(plane.owner, "0", gone))  # type: ignore[misc]


def test_what_belongs_to_others_is_not_found(on_sqlite: ControlPlane) -> None:
    plane = on_sqlite
    tunnel = plane.relays.attach(plane.generate("berlin"), 5432, streams=1)
    stranger, tunnels, theirs = plane.stranger(), plane.services.tunnels, plane.subscription.locator
    assert tunnels.list(stranger, "0") == ()
    assert tunnels.streams(stranger, "0") == ()
    for call in (
        lambda: tunnels.list(stranger, theirs),
        lambda: tunnels.streams(stranger, theirs),
        lambda: tunnels.cut(stranger, theirs, tunnel.tunnel_id),
    ):
        refused(Code.NOT_FOUND, "not-found", call)
