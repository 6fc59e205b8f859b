"""Draws the states of a stream into docs/wire-protocol.md: `python -m tests.wire.draw`."""

from pathlib import Path

from aditus.wire.stream import TRANSITIONS, Move, State

PAGE = Path(__file__).parents[2] / "docs" / "wire-protocol.md"
BEGIN = "<!-- begin stream states -->\n"
END = "<!-- end stream states -->\n"

_FROM_EVERYWHERE = frozenset(
    move
    for move in Move
    if {state for state in State if TRANSITIONS.get((state, move)) is State.CLOSED}
    == set(State) - {State.CLOSED}
)
"""Moves that close a stream whatever its state: one note, not an arrow from each."""


def _said(move: Move) -> str:
    verb, _, frame = move.name.partition("_")
    return f"{'send' if verb == 'SEND' else 'receive'} {frame}"


def picture() -> str:
    """`wire.stream.TRANSITIONS` as a mermaid state diagram, with what stands around it."""
    arrows = [
        f"    {before.name} --> {after.name}: {_said(move)}"
        for (before, move), after in TRANSITIONS.items()
        if move not in _FROM_EVERYWHERE
    ]
    closing = " or ".join(_said(move) for move in Move if move in _FROM_EVERYWHERE)
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> OPENING: send OPEN",
        "    [*] --> DIALING: receive OPEN",
        *arrows,
        f"    note right of CLOSED: {closing} leads here from every state",
        "    CLOSED --> [*]",
        "```",
    ]
    return "\n".join(lines) + "\n"


def drawn(page: str) -> str:
    """The page with the picture of now between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{picture()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
    print(f"drew the states of a stream into {PAGE}")
