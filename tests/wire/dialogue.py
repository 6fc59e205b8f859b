"""Two sessions back to back, so that tests read as a conversation between a relay and an agent."""

from dataclasses import dataclass, field

from aditus.wire.credit import Budget
from aditus.wire.events import Event
from aditus.wire.frames import Offer, PortVerdict, Role, Status, Verdict, unbundle
from aditus.wire.session import Limits, Session

PORT = 5432
APP = "10.1.2.3:50312"
CHALLENGE = bytes(range(32))
INSTANCE = bytes(range(16))
SIGNATURE = bytes(64)
SERVED = Status(1, (PortVerdict(PORT, Verdict.SERVED),))


@dataclass
class Dialogue:
    """A relay and its dialer (an agent, or a sidecar), and the time that both go by."""

    role: Role = Role.AGENT
    relay_limits: Limits = field(default_factory=Limits)
    agent_limits: Limits = field(default_factory=Limits)
    relay_budget: Budget = field(default_factory=lambda: Budget(1 << 30))
    agent_budget: Budget = field(default_factory=lambda: Budget(1 << 30))
    now: float = 0.0

    def __post_init__(self) -> None:
        self.relay = Session.acceptor(CHALLENGE, "c0nnect", self.relay_budget, self.relay_limits, self.now)
        self.agent = Session.dialer(self.role, self.agent_budget, self.agent_limits, self.now)

    def to_agent(self) -> list[Event]:
        """What the agent hears when the relay says all that it has to say now."""
        return _carry(self.relay, self.agent, self.now)

    def to_relay(self) -> list[Event]:
        """What the relay hears when the agent says all that it has to say now."""
        return _carry(self.agent, self.relay, self.now)

    def settle(self) -> None:
        """Both say everything, and nothing that needs an answer of the driver's is among it."""
        while (event := self.to_agent() + self.to_relay()) or not self.quiet:
            assert not event

    @property
    def quiet(self) -> bool:
        """Whether neither has anything to say. (Peeks.)"""
        return self.relay._schedule.idle and self.agent._schedule.idle

    def attach(self) -> "Dialogue":
        """Go through the whole handshake; silence afterwards."""
        self.to_agent()
        self.answer()
        self.to_relay()
        self.relay.admit(self.now)
        if self.role is Role.AGENT:
            self.agent.send_offer(Offer(1, (PORT,)))
            self.to_relay()
        self.relay.send_status(SERVED)
        self.to_agent()
        self.settle()
        return self

    def answer(self) -> None:
        """The dialer signs, with zeros: nobody verifies here."""
        self.agent.answer(0, INSTANCE, SIGNATURE, "aditus/0.1.0", "db-gateway")

    def stream(self) -> int:
        """A stream that the relay opened and the agent accepted."""
        number = self.relay.open(PORT, APP, self.now)
        self.to_agent()
        self.agent.accept(number)
        self.to_relay()
        return number


def attached(
    role: Role = Role.AGENT, *, relay_limits: Limits | None = None, agent_limits: Limits | None = None
) -> Dialogue:
    """A registered session, and silence."""
    return Dialogue(role, relay_limits or Limits(), agent_limits or Limits()).attach()


def say(session: Session) -> list[bytes]:
    """All frames that a session has to say now."""
    return list(iter(session.next_frame, None))


def hear(session: Session, message: bytes) -> list[Event]:
    """What a session hears in one message, which may be a BUNDLE, at time 0."""
    heard = [session.receive(frame, 0.0) for frame in unbundle(memoryview(message))]
    return [event for event in heard if event is not None]


def _carry(speaker: Session, listener: Session, now: float) -> list[Event]:
    events = []
    for frame in say(speaker):
        event = listener.receive(frame, now)
        if event is not None:
            events.append(event)
    return events
