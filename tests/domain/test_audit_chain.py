"""Whatever somebody does to a chain of audit entries, it is found, and the place is named."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.domain.audit_chain import (
    NOTHING,
    Break,
    Entry,
    Fault,
    Head,
    Verification,
    Verifier,
    canonical,
    digest,
    entry,
    parse_head,
    verify_lines,
)
from aditus.domain.errors import AditusError

Chain = list[tuple[dict[str, object], str]]


def chain(length: int) -> Chain:
    """Entries as they are made, each with its hash."""
    made: Chain = []
    previous = NOTHING
    for sequence in range(1, length + 1):
        content = entry(
            {
                "event_id": 10 + 2 * sequence,
                "sequence": sequence,
                "at": 1_800_000_000.1 + sequence,
                "organization_id": "acme",
                "subscription_id": None,
                "region": "local",
                "actor_id": "u1",
                "actor": "owner@acme",
                "action": "key.generate",
                "object_id": f"key{sequence}",
                "object_name": "Zürich",
                "details": {"number": sequence, "at_once": False, "before": None},
            },
            previous,
        )
        previous = digest(content)
        made.append((dict(content), previous))
    return made


def head(entries: Chain) -> Head:
    return Head(len(entries), entries[-1][1]) if entries else Head()


def verified(
    entries: Chain, stored: Head | None = None, kept: Head | None = None, *, whole: bool = True
) -> Verification:
    verifier = Verifier(kept, whole=whole)
    for content, found in entries:
        verifier.see(content, found)
    return verifier.end(stored)


def fault(entries: Chain, stored: Head | None = None, kept: Head | None = None) -> Break | None:
    found = verified(entries, stored, kept)
    assert found.ok is (found.fault is None)
    return found.fault


def rehashed(entries: Chain, since: int) -> Chain:
    """What somebody does who knows how it is made: all hashes from this index on are made anew."""
    made = entries[:since]
    for content, _ in entries[since:]:
        new = content | {"previous_hash": made[-1][1] if made else NOTHING, "sequence": len(made) + 1}
        made.append((new, digest(new)))
    return made


lengths = st.integers(1, 12)


@given(lengths)
def test_a_chain_as_it_was_made_holds(length: int) -> None:
    made = chain(length)
    assert verified(made, head(made)) == Verification(True, length, 1, head(made))
    for kept in range(length + 1):
        assert verified(made, head(made), head(made[:kept])).ok
    assert verified([], Head()) == Verification(True, 0, 0, Head())


@given(st.data(), lengths)
def test_a_changed_entry_is_found(data: st.DataObject, length: int) -> None:
    made = chain(length)
    place = data.draw(st.integers(0, length - 1))
    content, found = made[place]
    name = data.draw(st.sampled_from(sorted(set(content) - {"sequence", "previous_hash"})))
    value = content[name]
    others = st.one_of(
        st.none(), st.integers(), st.text(), st.floats(), st.dictionaries(st.text(), st.none())
    )
    made[place] = (content | {name: data.draw(others.filter(lambda other: other != value))}, found)
    event_id = made[place][0]["event_id"]
    assert fault(made, head(made)) == Break(
        Fault.CHANGED, place + 1, event_id if isinstance(event_id, int) else None
    )


@given(st.data(), lengths, st.sampled_from([0, 1]))
def test_a_changed_hash_is_found(data: st.DataObject, length: int, which: int) -> None:
    made = chain(length)
    end = head(made)
    place = data.draw(st.integers(0, length - 1))
    content, found = made[place]
    other = data.draw(st.sampled_from(["", "f" * 64, NOTHING + "0", "x"]))
    made[place] = (content | {"previous_hash": other}, found) if which else (content, other)
    assert fault(made, end) == Break(Fault.CHANGED, place + 1, 12 + 2 * place)


@given(st.data(), st.integers(2, 12))
def test_a_missing_entry_is_found(data: st.DataObject, length: int) -> None:
    made = chain(length)
    end = head(made)
    first = data.draw(st.integers(0, length - 2))
    count = data.draw(st.integers(1, length - 1 - first))
    del made[first : first + count]
    assert fault(made, end) == Break(Fault.MISSING, first + 1)


@given(st.data(), st.integers(2, 12))
def test_entries_in_another_order_are_found(data: st.DataObject, length: int) -> None:
    made = chain(length)
    one = data.draw(st.integers(0, length - 2))
    other = data.draw(st.integers(one + 1, length - 1))
    by_line = list(made)  # as in a file
    by_line[one], by_line[other] = by_line[other], by_line[one]
    found = fault(by_line, head(made))
    assert found
    assert (found.fault, found.sequence) == (Fault.REORDERED, one + 1)
    by_number = list(made)  # as in a table, which is read by number
    by_number[one] = (made[other][0] | {"sequence": one + 1}, made[other][1])
    by_number[other] = (made[one][0] | {"sequence": other + 1}, made[one][1])
    found = fault(by_number, head(made))
    assert found
    assert (found.fault, found.sequence) == (Fault.REORDERED, one + 1)


@given(st.data(), lengths)
def test_a_cut_off_end_is_found_by_any_head_from_later(data: st.DataObject, length: int) -> None:
    made = chain(length)
    left = data.draw(st.integers(0, length - 1))
    kept = head(made[: data.draw(st.integers(left + 1, length))])
    assert fault(made[:left], head(made)) == Break(Fault.CUT_OFF, left + 1)
    assert fault(made[:left], head(made[:left]), kept) == Break(Fault.CUT_OFF, left + 1)


@given(st.data(), lengths)
def test_a_chain_that_was_made_anew_is_found_by_a_kept_head(data: st.DataObject, length: int) -> None:
    made = chain(length)
    place = data.draw(st.integers(0, length - 1))
    kept = data.draw(st.integers(place + 1, length))
    forged = list(made)
    forged[place] = (made[place][0] | {"actor": "nobody"}, "")
    forged = rehashed(forged, place)
    assert fault(forged, head(forged)) is None  # what nobody can see who kept nothing
    found = fault(forged, head(forged), head(made[:kept]))
    assert found
    assert (found.fault, found.sequence) == (Fault.CHANGED, kept)


@given(st.data(), lengths)
def test_an_inserted_entry_is_found(data: st.DataObject, length: int) -> None:
    made = chain(length)
    place = data.draw(st.integers(0, length))
    forged = dict(entry(made[0][0] | {"sequence": place + 1}, made[place - 1][1] if place else NOTHING))
    by_line = [*made[:place], (forged, digest(forged)), *made[place:]]
    found = fault(by_line, head(made))
    assert found
    assert found.fault is Fault.INSERTED
    assert found.sequence in (place + 1, place + 2)  # it, or the one that does not follow on it


@given(st.integers(2, 12), st.data())
def test_a_part_of_a_chain_holds_by_itself(length: int, data: st.DataObject) -> None:
    made = chain(length)
    first = data.draw(st.integers(1, length - 1))
    part = verified(made[first:], whole=False)
    assert part == Verification(True, length - first, first + 1, head(made))
    assert verified(made[first:], kept=head(made[:first]), whole=False).ok
    assert fault(made[first:], head(made)) == Break(Fault.MISSING, 1)
    other = dataclasses.replace(head(made[:first]), hash="f" * 64)
    assert verified(made[first:], kept=other, whole=False).fault == Break(Fault.CHANGED, first)
    if first > 1:
        before = verified(made[first:], kept=head(made[: first - 1]), whole=False)
        assert before.fault == Break(Fault.MISSING, first)


def test_the_canonical_form_is_the_one_that_is_documented() -> None:
    content = chain(1)[0][0]
    assert canonical(content).decode() == (
        '{"action":"key.generate","actor":"owner@acme","actor_id":"u1","at":"1800000001.1",'
        '"details":{"at_once":false,"before":null,"number":1},"event_id":12,"object_id":"key1",'
        '"object_name":"Zürich","organization_id":"acme","previous_hash":"' + NOTHING + '",'
        '"region":"local","sequence":1,"subscription_id":null}'
    )
    assert digest(content) == "3adcb0712aa73cbe71e6d4f88c766ee1c26dd161e8e0f59e6511bf5c0b28b4d3"
    again: Entry = json.loads(json.dumps(content))
    assert digest(again) == digest(content)


def test_a_time_is_exact() -> None:
    near = [entry({**chain(1)[0][0], "at": at}, NOTHING)["at"] for at in (1.8e9, 1.8e9 + 3e-7)]
    assert near == ["1800000000.0", "1800000000.0000002"]


@pytest.mark.parametrize("text", ["", "5", f"5:{NOTHING}0", f"-1:{NOTHING}", f"²:{NOTHING}", "5:" + "F" * 64])
def test_a_head_is_what_was_printed(text: str) -> None:
    made = head(chain(3))
    assert parse_head(f" {made}\n") == made
    with pytest.raises(AditusError, match="SEQUENCE:HASH"):
        parse_head(text)


def exported(entries: Chain) -> list[str]:
    return [json.dumps({**content, "hash": stored}) for content, stored in entries]


def test_an_export_is_verified_line_by_line_wherever_it_begins() -> None:
    made = chain(5)
    assert verify_lines(exported(made)).ok
    middle = verify_lines(exported(made[2:]), head(made))
    assert (middle.ok, middle.first, middle.entries, middle.head) == (True, 3, 3, head(made))


@pytest.mark.parametrize("lines", [[], ["root:x:0:0"], ["{}", '{"sequence": 1}'], ['{"hash": "0"}']])
def test_a_file_without_any_entry_is_no_export_and_proves_nothing(lines: list[str]) -> None:
    for kept in (None, head(chain(3))):
        with pytest.raises(AditusError, match="No entry of an audit") as told:
            verify_lines(lines, kept)
        assert told.value.reason == "no-export"


@pytest.mark.parametrize("line", ["no json", "[]", "7", "{}", '{"sequence": 2}', "[" * 100_000])
def test_a_line_that_is_no_entry_is_a_break_at_its_place(line: str) -> None:
    lines = exported(chain(3))
    lines[1] = line
    found = verify_lines(lines)
    assert not found.ok
    assert found.fault is not None
    assert found.fault.sequence == 2


def test_a_kept_head_that_the_export_does_not_reach_or_lead_from_is_missed() -> None:
    made = chain(6)
    late = verify_lines(exported(made[4:]), head(made[:2]))
    assert late.fault == Break(Fault.MISSING, 3)
    early = verify_lines(exported(made[:3]), head(made))
    assert early.fault == Break(Fault.CUT_OFF, 4)


def test_a_content_that_has_no_json_holds_nothing() -> None:
    verifier = Verifier()
    verifier.see({"sequence": 1, "previous_hash": NOTHING, "at": float("nan")}, "0" * 64)
    assert verifier.end().fault == Break(Fault.CHANGED, 1)


def test_a_chain_that_ends_in_another_hash_than_the_stored_head_was_rewritten() -> None:
    verifier = Verifier()
    for content, stored in chain(3):
        verifier.see(content, stored)
    assert verifier.end(Head(3, "f" * 64)).fault == Break(Fault.CHANGED, 3)
