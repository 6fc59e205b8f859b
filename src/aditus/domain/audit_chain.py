"""The chain of an organisation's audit entries: how each is hashed, and how a break is found and located.

An entry's hash is the SHA-256 of its canonical JSON (RFC 8785), in which the hash of the entry before it
stands. So whoever keeps the last hash has all entries before it in the hand. An `Entry` is that JSON: text,
integers and null alone, so that every language writes it alike; the time is text for the same reason.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from aditus.domain.errors import AditusError, invalid

Entry = Mapping[str, object]

NOTHING = "0" * 64
"""What stands in the first entry for the hash of the one before it."""
COLUMNS = (
    "event_id",
    "sequence",
    "at",
    "organization_id",
    "subscription_id",
    "region",
    "actor_id",
    "actor",
    "action",
    "object_id",
    "object_name",
    "details",
)
"""What an entry has besides `previous_hash`. `at` is text: the shortest decimal that reads back exactly."""
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)


class Fault(StrEnum):
    """What is wrong with a chain, at the first place where anything is."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    INSERTED = "inserted"
    CUT_OFF = "cut-off"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the sequence of its last entry, and that entry's hash in 64 hexadecimal digits."""

    sequence: int = 0
    hash: str = NOTHING

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a chain does not hold. `event_id` None: there is no entry at this place."""

    fault: Fault
    sequence: int
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: the chain from `first` to `head`, or where it breaks."""

    ok: bool
    entries: int
    first: int  # the sequence of the first entry that was looked at; 0: there is none
    head: Head
    fault: Break | None = None


def parse_head(text: str) -> Head:
    """Reads `SEQUENCE:HASH`, as a verification prints it. Raises `AditusError` `bad-head`."""
    found = _HEAD.fullmatch(text.strip())
    if found is None:
        raise bad_head()
    return Head(int(found[1]), found[2])


def bad_head() -> AditusError:
    """What was given is no head of a chain."""
    return invalid(
        "bad-head",
        "The head of an audit chain is SEQUENCE:HASH, with a hash of 64 hexadecimal digits.",
        remedy="Give it as `aditus audit verify` printed it.",
        field="head",
    )


def entry(values: Mapping[str, object], previous_hash: str) -> Entry:
    """An entry from its columns: `at` in Unix seconds, `details` as a dict, and the rest as it is."""
    at = values["at"]
    content = {name: values[name] for name in COLUMNS}
    exact = repr(float(at)) if isinstance(at, float | int) else at
    return {**content, "at": exact, "previous_hash": previous_hash}


def canonical(content: Entry) -> bytes:
    """The JSON of an entry that is hashed. Raises `ValueError` for what is none."""
    return json.dumps(
        content, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode()


def digest(content: Entry) -> str:
    """The hash of an entry, in 64 hexadecimal digits. Raises `ValueError` for what has no JSON."""
    return hashlib.sha256(canonical(content)).hexdigest()


class Verifier:
    """Looks at the entries of one chain in the order in which they are stored. Holds one at a time.

    `kept` is a head from before: its entry must be there with that hash. With `whole` the chain begins with
    the entry 1; without, with whatever comes first.
    """

    def __init__(self, kept: Head | None = None, *, whole: bool = True) -> None:
        self._kept = kept
        self._whole = whole
        self._head = Head()
        self._first = 0
        self._entries = 0
        self._fault: Break | None = None
        self._moved = False
        self._rewritten = False

    def see(self, content: Entry, stored: object) -> None:
        """The next entry, and the hash that is stored for it."""
        self._entries += 1
        sequence, previous = content.get("sequence"), content.get("previous_hash")
        if not self._first:
            if not self._whole and isinstance(sequence, int) and isinstance(previous, str):
                self._head = Head(sequence - 1, previous)
            self._first = self._head.sequence + 1
        place = self._head.sequence + 1
        if self._fault is not None:
            # What belongs to the place of the break is somewhere else: then it is not missing.
            self._moved = self._moved or (previous == self._head.hash and not self._rewritten)
            return
        if sequence != place or previous != self._head.hash or not _holds(content, stored):
            self._fault = _fault(content, place)
            self._moved = previous == self._head.hash and sequence != place
            return
        if not self._is_kept(self._head):
            self._fault = Break(Fault.CHANGED, self._head.sequence)
            self._rewritten = True
            return
        self._head = Head(place, str(stored))
        if not self._is_kept(self._head):
            self._fault = Break(Fault.CHANGED, place, _event_id(content))
            self._rewritten = True

    def end(self, stored: Head | None = None) -> Verification:
        """There are no more. `stored` is the head that the database has, where it is asked."""
        fault = self._fault
        if fault is not None and self._moved and fault.fault in (Fault.CHANGED, Fault.MISSING):
            fault = Break(Fault.REORDERED, fault.sequence, fault.event_id)
        if fault is None:
            fault = self._end(stored)
        return Verification(fault is None, self._entries, self._first, self._head, fault)

    def _is_kept(self, head: Head) -> bool:
        return self._kept is None or self._kept.sequence != head.sequence or self._kept == head

    def _end(self, stored: Head | None) -> Break | None:
        if stored is not None and stored.sequence < self._head.sequence:
            return Break(Fault.INSERTED, stored.sequence + 1)
        for known in (stored, self._kept):
            if known is None:
                continue
            if known.sequence > self._head.sequence:
                return Break(Fault.CUT_OFF, self._head.sequence + 1)
            if known.sequence == self._head.sequence and known.hash != self._head.hash:
                return Break(Fault.CHANGED, known.sequence)
            if known.sequence < self._first - 1:
                return Break(Fault.MISSING, known.sequence + 1)  # nothing here leads to what was kept
        return None


def verify_lines(lines: Iterable[str], kept: Head | None = None) -> Verification:
    """Look at an export, a line of JSON for each entry. It may begin in the middle of a chain.

    Raises `AditusError` `no-export` when not one line is an entry.
    """
    verifier = Verifier(kept, whole=False)
    is_export = False
    for line in lines:
        try:
            read = json.loads(line)
        except (ValueError, RecursionError):
            read = None
        content = dict(read) if isinstance(read, dict) else {}
        stored = content.pop("hash", None)
        is_export = is_export or (stored is not None and "sequence" in content)
        verifier.see(content, stored)
    if not is_export:
        raise invalid(
            "no-export",
            "No entry of an audit is in this file, so there is nothing to verify.",
            remedy="Give it what `aditus audit export` printed.",
            field="file",
        )
    return verifier.end()


def _holds(content: Entry, stored: object) -> bool:
    try:
        return digest(content) == stored
    except (ValueError, TypeError, RecursionError):  # no JSON: nothing that was ever written
        return False


def _fault(content: Entry, place: int) -> Break:
    sequence = content.get("sequence")
    if isinstance(sequence, int) and sequence > place:
        return Break(Fault.MISSING, place)
    fault = Fault.INSERTED if isinstance(sequence, int) and sequence < place else Fault.CHANGED
    return Break(fault, place, _event_id(content))


def _event_id(content: Entry) -> int | None:
    event_id = content.get("event_id")
    return event_id if isinstance(event_id, int) else None
