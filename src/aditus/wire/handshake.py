"""How a session begins: the two HELLOs, then offers and their STATUS (section 2 of the page)."""

from enum import Enum, auto

from aditus.wire.errors import Misuse, Violation
from aditus.wire.events import ChallengeReceived, HelloReceived, OfferReceived, StatusReceived
from aditus.wire.frames import Role, decode_acceptor_hello, decode_dialer_hello, decode_offer, decode_status


class Phase(Enum):
    """How far a session has come. The dialer and the acceptor each take their own way."""

    AWAIT_CHALLENGE = auto()  # dialer: the relay speaks first
    AWAIT_SIGNATURE = auto()  # dialer: the driver is signing
    AWAIT_STATUS = auto()  # dialer: proven, not registered
    AWAIT_HELLO = auto()  # acceptor: nothing is known but the bearer
    AWAIT_VERDICT = auto()  # acceptor: the driver is verifying
    ADMITTED = auto()  # acceptor: verified, the first STATUS not sent
    REGISTERED = auto()  # both
    CLOSED = auto()  # both: the WebSocket is gone


_PROVEN = frozenset({Phase.AWAIT_STATUS, Phase.ADMITTED, Phase.REGISTERED})


class Handshake:
    """Who the two sides are, what the peer grants, and the phase."""

    def __init__(self, role: Role | None) -> None:
        self.dialer = role is not None
        self.role = role  # the dialer's; the acceptor learns it
        self.phase = Phase.AWAIT_HELLO if role is None else Phase.AWAIT_CHALLENGE
        self.first_window = 0  # bytes that the peer lets a new stream send
        self.max_streams = 0  # that the peer carries at once
        self._revision = 0  # of the last offer received
        self._unanswered = False  # it waits for its STATUS

    @property
    def proven(self) -> bool:
        """Whether both HELLOs were exchanged, and the session is not closed."""
        return self.phase in _PROVEN

    @property
    def peer_may_open(self) -> bool:
        """Whether the peer opens streams in this session: a relay towards agents, or a sidecar."""
        return self.role is (Role.AGENT if self.dialer else Role.SIDECAR)

    def time_for(self, *phases: Phase) -> bool:
        """Whether the driver may do now what belongs to `phases`: False once closed, else `Misuse`."""
        if self.phase is Phase.CLOSED:
            return False
        if self.phase not in phases:
            raise Misuse(f"not while the session is in {self.phase.name}")
        return True

    def receive(self, payload: bytes) -> ChallengeReceived | HelloReceived:
        """Take the peer's HELLO. Raises `Violation`, for a second one too."""
        if self.phase is Phase.AWAIT_CHALLENGE:
            challenge = decode_acceptor_hello(payload)
            self.first_window, self.max_streams = challenge.first_window, challenge.max_streams
            self.phase = Phase.AWAIT_SIGNATURE
            return ChallengeReceived(challenge)
        if self.phase is Phase.AWAIT_HELLO:
            hello = decode_dialer_hello(payload)
            self.first_window, self.max_streams = hello.first_window, hello.max_streams
            self.role = hello.role
            self.phase = Phase.AWAIT_VERDICT
            return HelloReceived(hello)
        raise Violation("a second HELLO")

    def receive_offer(self, count: int, payload: bytes) -> OfferReceived:
        """Take an OFFER. Raises `Violation`, for one that does not wait for the STATUS of the last too."""
        if self.dialer or self.role is not Role.AGENT:
            raise Violation("OFFER from a side that may not offer")
        offer = decode_offer(count, payload)
        if self._unanswered:
            raise Violation(f"OFFER before the STATUS of revision {self._revision}")
        if offer.revision <= self._revision:
            raise Violation(f"OFFER of revision {offer.revision} after {self._revision}")
        self._revision = offer.revision
        self._unanswered = True
        return OfferReceived(offer)

    def answered(self, revision: int) -> None:
        """A STATUS was sent. The first one registers the dialer."""
        self.phase = Phase.REGISTERED
        if revision == self._revision:
            self._unanswered = False

    def receive_status(self, count: int, payload: bytes) -> StatusReceived:
        """Take a STATUS. The first one registers us. Raises `Violation`."""
        if not self.dialer:
            raise Violation("STATUS from a dialer")
        status = decode_status(count, payload)
        self.phase = Phase.REGISTERED
        return StatusReceived(status)
