"""Strangers have so many places at the door, and each source its share of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.net.door import Door, source_of

HOSTS = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")


def test_a_source_has_its_share_and_the_others_have_theirs() -> None:
    turned_away: list[str] = []
    door = Door(3, 2, lambda: turned_away.append("one"))
    assert door.enter(10, "192.0.2.1")
    assert door.enter(11, "192.0.2.1")
    assert not door.enter(12, "192.0.2.1")
    assert door.enter(12, "192.0.2.2")
    assert not door.enter(13, "192.0.2.3")  # that was the last place
    assert turned_away == ["one", "one"]
    door.leave(10)
    assert door.enter(13, "192.0.2.3")


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_who_is_counted_together(host: str, source: str) -> None:
    assert source_of(host) == source


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.sampled_from(HOSTS))))
def test_the_bounds_hold_and_no_place_is_lost(steps: list[tuple[bool, int, str]]) -> None:
    door, inside = Door(5, 3, lambda: None), dict[int, str]()
    for enters, descriptor, host in steps:
        if not enters or descriptor in inside:
            door.leave(descriptor)
            inside.pop(descriptor, None)
            continue
        source = source_of(host)
        room = len(inside) < 5 and list(inside.values()).count(source) < 3
        assert door.enter(descriptor, host) is room
        if room:
            inside[descriptor] = source
        assert len(door) == len(inside)
