"""Conversations that are right in every frame, as an agent or as a relay leads them. `damage` spoils them.

Everything is drawn from one `Random`, so that a seed tells a conversation again. What a side says never
depends on what the other answers: frames for streams that the other has reset meanwhile are right, and
dropped unread.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from aditus.wire import frames
from aditus.wire.credit import FIRST_WINDOW
from aditus.wire.errors import ResetReason
from tests.raw import BINARY, Wire


@dataclass(frozen=True, slots=True)
class Piece:
    """One message, or what damage made of it."""

    what: str
    message: bytes
    opcode: int = BINARY
    fin: bool = True
    rsv: int = 0
    raw: bytes | None = None
    """These bytes on the wire, instead of a whole frame: after them the reader may wait for more for ever."""

    def on_wire(self, wire: Wire) -> bytes:
        """Its bytes, as this side of the connection frames them."""
        if self.raw is not None:
            return self.raw
        return wire.framed(self.message, self.opcode, fin=self.fin, rsv=self.rsv)


@dataclass(slots=True)
class _Stream:
    """What one side may still say on a stream."""

    credit: int = FIRST_WINDOW
    accepted: bool = False
    ended: bool = False


@dataclass(slots=True)
class _Talker:
    """Draws frames that are right now."""

    rng: Random
    pieces: list[Piece] = field(default_factory=list)
    streams: dict[int, _Stream] = field(default_factory=dict)

    def say(self, message: bytes) -> None:
        self.pieces.append(Piece(frames.name_of(message[0]), message))

    def ask(self) -> None:
        encode = self.rng.choice((frames.encode_ping, frames.encode_pong))
        self.say(encode(self.rng.randbytes(8)))

    def data(self, number: int) -> None:
        stream = self.streams[number]
        size = min(stream.credit, self.rng.choice((1, 100, 1_400, 16_384, 40_000)))
        if size:
            stream.credit -= size
            self.say(frames.encode_data(number, self.rng.randbytes(size)))

    def fin(self, number: int) -> None:
        self.streams[number].ended = True
        self.say(frames.encode_fin(number))

    def stream(self, number: int, *, may_send: bool) -> None:
        """A frame that either side may say on an open stream."""
        rng, ended = self.rng, self.streams[number].ended
        what = rng.choices(("data", "window", "fin", "reset"), (8, 4, 1, 1))[0]
        if what == "reset":
            del self.streams[number]  # the last word: what is said afterwards crossed it
            self.say(
                frames.encode_reset(number, rng.choice(list(ResetReason)), "so be it"[: rng.randrange(9)])
            )
        elif what == "window" or ended or not may_send:
            self.say(frames.encode_window(number, rng.choice((1, 1_000, FIRST_WINDOW))))
        elif what == "fin":
            self.fin(number)
        else:
            self.data(number)


def of_agent(rng: Random, opened: Sequence[int], offer: frames.Offer | None, length: int) -> list[Piece]:
    """An attached agent, to whom the relay has opened these streams; `offer` may be said once."""
    talker = _Talker(rng, streams={number: _Stream() for number in opened})
    while len(talker.pieces) < length:
        if not talker.streams or rng.random() < 0.2:
            if offer is not None and rng.random() < 0.3:
                talker.say(frames.encode_offer(offer))
                offer = None
            talker.ask()
            continue
        number = rng.choice(list(talker.streams))
        stream = talker.streams[number]
        if not stream.accepted and rng.random() < 0.8:
            stream.accepted = True
            talker.say(frames.encode_accept(number))
        else:
            talker.stream(number, may_send=stream.accepted)
    if rng.random() < 0.1:
        talker.say(frames.encode_goaway(rng.randrange(60), "restart"))
    return talker.pieces


def of_relay(rng: Random, status: frames.Status, ports: Sequence[int], length: int) -> list[Piece]:
    """A relay with whom an agent is attached; it opens streams for these ports."""
    talker, number = _Talker(rng), 0
    while len(talker.pieces) < length:
        if len(talker.streams) < 3 and rng.random() < 0.5:
            number += rng.choice((1, 1, 1, 5))
            talker.streams[number] = _Stream()
            talker.say(frames.encode_open(number, rng.choice(ports), rng.choice(("", "127.0.0.1:50000"))))
        elif not talker.streams or rng.random() < 0.2:
            talker.say(frames.encode_status(status)) if rng.random() < 0.2 else talker.ask()
        else:
            talker.stream(rng.choice(list(talker.streams)), may_send=True)
    if rng.random() < 0.1:
        talker.say(frames.encode_goaway(rng.randrange(60), "drain"))
    return talker.pieces
