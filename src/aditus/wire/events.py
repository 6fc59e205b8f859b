"""What a session tells its driver: one event at most for each frame that was received.

`stream` is a stream id. The data of `DataReceived` is a view into the receive buffer: it is valid until
the next frame is handed to the session, so whoever keeps it copies it.
"""

from dataclasses import dataclass

from aditus.wire.errors import ResetReason
from aditus.wire.frames import AcceptorHello, DialerHello, Offer, Status


@dataclass(slots=True)
class ChallengeReceived:
    """To a dialer: the relay's HELLO. Sign its challenge and call `Session.answer`."""

    hello: AcceptorHello


@dataclass(slots=True)
class HelloReceived:
    """To an acceptor: the dialer's HELLO. Verify it at once, then `Session.admit` or close."""

    hello: DialerHello


@dataclass(slots=True)
class OfferReceived:
    """To an acceptor: the agent's ports, all of them."""

    offer: Offer


@dataclass(slots=True)
class StatusReceived:
    """To a dialer: what the relay made of the offer. The first one means "registered"."""

    status: Status


@dataclass(slots=True)
class OpenReceived:
    """A new stream for an app port. Dial, then `Session.accept` or `Session.reset`."""

    stream: int
    port: int
    source: str


@dataclass(slots=True)
class AcceptReceived:
    """The target answered."""

    stream: int


@dataclass(slots=True)
class DataReceived:
    """1 to `MAX_DATA` bytes. Return their credit by `Session.consume` when they were consumed."""

    stream: int
    data: memoryview


@dataclass(slots=True)
class FinReceived:
    """The other side sends no more."""

    stream: int


@dataclass(slots=True)
class ResetReceived:
    """The stream is over in both directions."""

    stream: int
    reason: ResetReason
    detail: str


@dataclass(slots=True)
class GoawayReceived:
    """The other side leaves in `grace` seconds and takes no new streams."""

    grace: int
    reason: str


Event = (
    ChallengeReceived
    | HelloReceived
    | OfferReceived
    | StatusReceived
    | OpenReceived
    | AcceptReceived
    | DataReceived
    | FinReceived
    | ResetReceived
    | GoawayReceived
)
