"""Who is attached now, tunnels or sidecars: by id, by whose they are, and by instance and slot."""

from typing import Generic, Protocol, TypeVar


class Member(Protocol):
    """One live authenticated attachment."""

    instance: bytes
    slot: int

    @property
    def member_id(self) -> str:
        """Made by the relay, never used again."""
        ...

    @property
    def owner_id(self) -> str:
        """The key_id or app_id that it is of."""
        ...


M = TypeVar("M", bound=Member)


class Roster(Generic[M]):
    """The members of one kind. All in memory, all on the relay's loop."""

    def __init__(self) -> None:
        self._members: dict[str, M] = {}
        self._by_owner: dict[str, dict[str, M]] = {}
        self._by_slot: dict[tuple[str, bytes, int], M] = {}

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: M) -> M | None:
        """Register a member. Returns the one it supersedes: same owner, instance and slot, not leaving."""
        slot = _slot(member)
        superseded = self._by_slot.get(slot)
        if superseded is not None:
            self.remove(superseded)
        self._members[member.member_id] = member
        self._by_owner.setdefault(member.owner_id, {})[member.member_id] = member
        self._by_slot[slot] = member
        return superseded

    def free_slot(self, member: M) -> None:
        """A draining member no longer stands in the way of its successor."""
        slot = _slot(member)
        if self._by_slot.get(slot) is member:
            del self._by_slot[slot]

    def remove(self, member: M) -> bool:
        """Forget a member. False: it was forgotten before."""
        if self._members.pop(member.member_id, None) is None:
            return False
        self.free_slot(member)
        of_owner = self._by_owner[member.owner_id]
        del of_owner[member.member_id]
        if not of_owner:
            del self._by_owner[member.owner_id]
        return True

    def all(self) -> list[M]:
        """Every live member, oldest first."""
        return list(self._members.values())

    def of(self, owner_id: str) -> list[M]:
        """The live members of a key or app, oldest first; draining ones too."""
        return list(self._by_owner.get(owner_id, {}).values())

    def get(self, member_id: str) -> M | None:
        return self._members.get(member_id)


def _slot(member: Member) -> tuple[str, bytes, int]:
    return member.owner_id, member.instance, member.slot
