"""The multiplexer over one WebSocket, without the WebSocket.

A `Session` takes whole messages and the time (`now`, monotonic seconds), and returns events; it gives
out frames when its driver asks for the next one. It never sleeps, logs, or opens anything. Every
method that takes a message may raise `Violation`: the driver then closes with 1002, and only this
session ends.
"""

from dataclasses import dataclass
from enum import Enum, auto

from aditus.wire import frames
from aditus.wire.credit import FIRST_WINDOW, MAX_WINDOW, Budget, ReceiveWindow
from aditus.wire.errors import CannotOpen, ResetReason, Violation
from aditus.wire.events import (
    AcceptReceived,
    ChallengeReceived,
    DataReceived,
    Event,
    FinReceived,
    GoawayReceived,
    HelloReceived,
    OfferReceived,
    OpenReceived,
    ResetReceived,
    StatusReceived,
)
from aditus.wire.frames import HEADER_SIZE, MAX_CREDIT, MAX_DATA, MAX_STREAM_ID, FrameType, Role
from aditus.wire.schedule import Scheduler
from aditus.wire.stream import Move, State, Stream

PING_AFTER = 15.0
"""Seconds of silence before a PING: proxies cut what idles for 60 s."""
DEAD_AFTER = 45.0
"""Seconds of silence after which the peer is taken for dead."""
RTT_EVERY = 1.0
"""Seconds between two measurements of the round trip while credit is being returned."""
MAX_ANSWERS = 8_192
"""Answers that may wait for a peer to read them, before it is taken for hostile."""
CONGESTED_ABOVE = 65_536
"""Bytes waiting in one stream above which `send` asks its caller to stop for now."""
RELIEVED_BELOW = 16_384
"""Bytes waiting in one stream below which the caller may go on."""


class Phase(Enum):
    """How far a session has come. The dialer and the acceptor each take their own way (section 2)."""

    AWAIT_CHALLENGE = auto()  # dialer: the relay speaks first
    AWAIT_SIGNATURE = auto()  # dialer: the driver is signing
    AWAIT_STATUS = auto()  # dialer: proven, not registered
    AWAIT_HELLO = auto()  # acceptor: nothing is known but the bearer
    AWAIT_VERDICT = auto()  # acceptor: the driver is verifying
    ADMITTED = auto()  # acceptor: verified, the first STATUS not sent
    REGISTERED = auto()  # both


@dataclass(frozen=True, slots=True)
class Limits:
    """What this side grants: bytes per window, and streams at once."""

    first_window: int = FIRST_WINDOW
    max_window: int = MAX_WINDOW
    max_streams: int = frames.MAX_STREAMS


class Session:
    """One side of one session. Make it with `acceptor` or `dialer`."""

    def __init__(self, phase: Phase, budget: Budget, limits: Limits, now: float) -> None:
        self._phase = phase
        self._dialer = phase is Phase.AWAIT_CHALLENGE
        self._budget = budget
        self._limits = limits
        self._peer = Limits()
        self._role = Role.AGENT
        self._streams: dict[int, Stream] = {}
        self._highest = 0
        self._schedule = Scheduler()
        self._heard_at = now
        self._ping: tuple[bytes, float] | None = None
        self._pings = 0
        self._pinged_at = now
        self._goaway_sent = False
        self._goaway_received = False
        self._relieved: list[int] = []
        self._over: list[int] = []
        self.rtt = 0.0
        """Seconds of the round trip, smoothed; 0 until measured."""
        self._handlers = {
            FrameType.HELLO: self._on_hello,
            FrameType.OFFER: self._on_offer,
            FrameType.STATUS: self._on_status,
            FrameType.PING: self._on_ping,
            FrameType.PONG: self._on_pong,
            FrameType.GOAWAY: self._on_goaway,
        }

    @classmethod
    def acceptor(
        cls, challenge: bytes, connect_id: str, budget: Budget, limits: Limits, now: float
    ) -> "Session":
        """The relay's side; its HELLO with the challenge waits to be sent."""
        session = cls(Phase.AWAIT_HELLO, budget, limits, now)
        hello = frames.AcceptorHello(challenge, connect_id, limits.first_window, limits.max_streams)
        session._schedule.control(frames.encode_acceptor_hello(hello))
        return session

    @classmethod
    def dialer(cls, role: Role, budget: Budget, limits: Limits, now: float) -> "Session":
        """An agent's or a sidecar's side; it waits for the challenge."""
        session = cls(Phase.AWAIT_CHALLENGE, budget, limits, now)
        session._role = role
        return session

    # --- getting in ----------------------------------------------------------------------------

    def answer(self, slot: int, instance: bytes, signature: bytes, program: str, host: str) -> None:
        """Dialer: answer the challenge with the signature over `frames.attach_message`."""
        self._step(Phase.AWAIT_SIGNATURE, Phase.AWAIT_STATUS)
        limits = self._limits
        hello = frames.DialerHello(
            self._role, slot, limits.first_window, instance, signature, limits.max_streams, program, host
        )
        self._schedule.control(frames.encode_dialer_hello(hello))

    def admit(self, now: float) -> None:
        """Acceptor: the dialer's signature is right."""
        self._step(Phase.AWAIT_VERDICT, Phase.ADMITTED)
        self._send_ping(now)  # windows grow by the round trip, so know it before the first stream

    def send_offer(self, offer: frames.Offer) -> None:
        """Dialer: offer these ports, all of them."""
        self._schedule.control(frames.encode_offer(offer))

    def send_status(self, status: frames.Status) -> None:
        """Acceptor: answer an offer. The first one registers the dialer: opens are possible from now on."""
        if self._phase is not Phase.REGISTERED:
            self._step(Phase.ADMITTED, Phase.REGISTERED)
        self._schedule.control(frames.encode_status(status))

    @property
    def registered(self) -> bool:
        """Whether the first STATUS was sent or received."""
        return self._phase is Phase.REGISTERED

    def _step(self, before: Phase, after: Phase) -> None:
        if self._phase is not before:
            raise Violation(f"expected {before.name}, but the session is in {self._phase.name}")
        self._phase = after

    # --- streams, outwards ---------------------------------------------------------------------

    @property
    def streams(self) -> int:
        """Streams that are not finished."""
        return len(self._streams)

    def open(self, port: int, source: str, now: float) -> int:
        """Open a stream for an app port; data may follow at once. Raises `CannotOpen`."""
        if self._goaway_received or self._goaway_sent or self._highest >= MAX_STREAM_ID:
            raise CannotOpen(ResetReason.DRAIN)
        if not self.registered:
            raise CannotOpen(ResetReason.NO_AGENT)
        if len(self._streams) >= self._peer.max_streams or not self._budget.reserve(
            self._limits.first_window
        ):
            raise CannotOpen(ResetReason.LIMIT)
        number = self._highest + 1
        self._add(number, port, State.OPENING, now)
        self._schedule.control(frames.encode_open(number, port, source))
        return number

    def accept(self, number: int) -> None:
        """The target answered; its data may follow."""
        self._streams[number].move(Move.SEND_ACCEPT)
        self._schedule.control(frames.encode_accept(number))

    def send(self, number: int, data: bytes | bytearray | memoryview) -> bool:
        """Queue a copy of `data`. False: the queue is long, wait until `relieved` names the stream."""
        stream = self._streams[number]
        stream.enqueue(data)
        self._schedule.ready(stream)
        stream.congested = stream.queued > CONGESTED_ABOVE
        return not stream.congested

    def send_at_once(self, number: int, data: memoryview) -> bytes | None:
        """The DATA frame of all of `data` if nothing else waits to be sent and credit is there; else None.

        Saves the copy into the queue; the frame counts as sent.
        """
        stream = self._streams[number]
        size = len(data)
        if not self._schedule.idle or size > stream.credit or stream.queued or size > MAX_DATA:
            return None
        stream.credit -= size
        return frames.encode_data(number, data)

    def finish(self, number: int) -> None:
        """No more data from this side: FIN follows what is queued."""
        stream = self._streams[number]
        stream.ending = True
        self._schedule.ready(stream)

    def reset(self, number: int, reason: ResetReason, detail: str = "") -> None:
        """End the stream in both directions now; what is queued for it is dropped. A finished one is left."""
        stream = self._streams.get(number)
        if stream is None:
            return
        if stream.state is not State.CLOSED:
            stream.move(Move.SEND_RESET)
            self._schedule.control(frames.encode_reset(number, reason, detail))
        self._forget(stream)

    def consume(self, number: int, size: int, now: float) -> None:
        """`size` received bytes were taken by the next hop: their credit may go back."""
        stream = self._streams[number]
        increment = stream.window.consume(size, now, self.rtt)
        if increment and stream.remote_may_send:
            self._schedule.grant(stream, increment)
            if self._ping is None and now - self._pinged_at >= RTT_EVERY:
                self._send_ping(now)
        self._forget_if_finished(stream)

    def relieved(self) -> list[int]:
        """The streams whose callers may send again; each is named once."""
        names, self._relieved = self._relieved, []
        return names

    def over(self) -> list[int]:
        """The streams that were forgotten since the last call: nothing more comes from or goes to them."""
        names, self._over = self._over, []
        return names

    def go_away(self, grace: int, reason: str) -> None:
        """This side leaves in `grace` seconds: it opens nothing and takes no new streams."""
        self._goaway_sent = True
        self._schedule.control(frames.encode_goaway(grace, reason))

    @property
    def draining(self) -> bool:
        """Whether either side has said GOAWAY."""
        return self._goaway_sent or self._goaway_received

    def next_frame(self) -> bytes | None:
        """The frame to send now, chosen as late as possible; None when nothing may go."""
        found = self._schedule.next()
        if found is None:
            return None
        frame, stream = found
        if stream is not None:
            if stream.congested and stream.queued < RELIEVED_BELOW:
                stream.congested = False
                self._relieved.append(stream.number)
            self._forget_if_finished(stream)
        return frame

    def close(self) -> list[int]:
        """The WebSocket is gone: give every window back, and name the streams that it took along."""
        lost = list(self._streams)
        for number in lost:
            self._forget(self._streams[number])
        return lost

    # --- time ----------------------------------------------------------------------------------

    def tick(self, now: float) -> bool:
        """Ping a silent peer. False: it was silent for `DEAD_AFTER` seconds, close the WebSocket."""
        if now - self._heard_at >= DEAD_AFTER:
            return False
        if now - max(self._heard_at, self._pinged_at) >= PING_AFTER:
            self._send_ping(now)
        return True

    def next_tick(self) -> float:
        """When `tick` has something to do at the earliest, on the clock of `now`."""
        return min(max(self._heard_at, self._pinged_at) + PING_AFTER, self._heard_at + DEAD_AFTER)

    def _send_ping(self, now: float) -> None:
        self._pings += 1
        opaque = self._pings.to_bytes(frames.PING_SIZE)
        self._ping = (opaque, now)
        self._pinged_at = now
        self._schedule.control(frames.encode_ping(opaque))

    # --- frames, inwards -----------------------------------------------------------------------

    def receive(self, message: bytes | memoryview, now: float) -> Event | None:
        """Take one message. Raises `Violation`; what it leaves behind is then of no use."""
        self._heard_at = now
        kind, arg, number = frames.decode_header(message)
        if not number:
            if kind != FrameType.HELLO and self._phase in (Phase.AWAIT_CHALLENGE, Phase.AWAIT_HELLO):
                raise Violation(f"frame of type {kind:#x} before HELLO")
            handler = self._handlers.get(kind)  # type: ignore[call-overload]
            if handler is None:
                raise Violation(f"frame of type {kind:#x} without a stream")
            event: Event | None = handler(arg, bytes(message[HEADER_SIZE:]), now)
            return event
        stream = self._streams.get(number)
        if kind == FrameType.OPEN:
            return self._on_open(number, arg, bytes(message[HEADER_SIZE:]), now)
        if stream is None or stream.state is State.CLOSED:
            if number > self._highest:
                raise Violation(f"frame of type {kind:#x} for stream {number}, which was never opened")
            return None
        if kind == FrameType.DATA:
            data = memoryview(message)[HEADER_SIZE:]
            if not stream.remote_may_send or not data:
                raise Violation(f"DATA of {len(data)} bytes on a stream that is {stream.state.name}")
            stream.window.receive(len(data))
            return DataReceived(number, data)
        return self._on_stream_frame(stream, kind, arg, bytes(message[HEADER_SIZE:]))

    def _on_stream_frame(self, stream: Stream, kind: int, arg: int, payload: bytes) -> Event | None:
        number = stream.number
        if kind == FrameType.WINDOW:
            stream.credit += frames.decode_window(payload)
            if stream.credit > MAX_CREDIT:
                raise Violation(f"credit of {stream.credit} bytes is over the limit of {MAX_CREDIT}")
            self._schedule.ready(stream)
            return None
        if kind == FrameType.RESET:
            reason, detail = frames.decode_reset(arg, payload)
            stream.move(Move.RECV_RESET)
            self._forget(stream)
            return ResetReceived(number, reason, detail)
        if payload:
            raise Violation(f"frame of type {kind:#x} with a payload")
        if kind == FrameType.FIN:
            stream.move(Move.RECV_FIN)
            self._forget_if_finished(
                stream
            )  # not before its bytes are consumed: they are paid from the budget
            return FinReceived(number)
        if kind == FrameType.ACCEPT:
            stream.move(Move.RECV_ACCEPT)
            return AcceptReceived(number)
        raise Violation(f"frame of type {kind:#x} on a stream")

    def _on_open(self, number: int, port: int, payload: bytes, now: float) -> Event | None:
        may_open = self._role is (Role.AGENT if self._dialer else Role.SIDECAR)
        if not may_open or not self.registered:
            raise Violation("OPEN from a side that may not open")
        if number <= self._highest:
            raise Violation(f"OPEN of stream {number} after {self._highest}")
        source = frames.decode_open(port, payload)
        self._highest = number
        if self._goaway_sent:
            self._answer(frames.encode_reset(number, ResetReason.DRAIN))
        elif len(self._streams) >= self._limits.max_streams or not self._budget.reserve(
            self._limits.first_window
        ):
            self._answer(frames.encode_reset(number, ResetReason.LIMIT))
        else:
            self._add(number, port, State.DIALING, now)
            return OpenReceived(number, port, source)
        return None

    def _on_hello(self, _arg: int, payload: bytes, _now: float) -> Event:
        if self._dialer:
            self._step(Phase.AWAIT_CHALLENGE, Phase.AWAIT_SIGNATURE)
            challenge = frames.decode_acceptor_hello(payload)
            self._peer = Limits(challenge.first_window, max_streams=challenge.max_streams)
            return ChallengeReceived(challenge)
        self._step(Phase.AWAIT_HELLO, Phase.AWAIT_VERDICT)
        hello = frames.decode_dialer_hello(payload)
        self._role = hello.role
        self._peer = Limits(hello.first_window, max_streams=hello.max_streams)
        return HelloReceived(hello)

    def _on_offer(self, count: int, payload: bytes, _now: float) -> Event:
        if (
            self._dialer
            or self._role is not Role.AGENT
            or self._phase not in (Phase.ADMITTED, Phase.REGISTERED)
        ):
            raise Violation("OFFER from a side that may not offer")
        return OfferReceived(frames.decode_offer(count, payload))

    def _on_status(self, count: int, payload: bytes, now: float) -> Event:
        if not self._dialer or self._phase not in (Phase.AWAIT_STATUS, Phase.REGISTERED):
            raise Violation("STATUS before the handshake is done, or from a dialer")
        if not self.registered:
            self._phase = Phase.REGISTERED
            self._send_ping(now)
        return StatusReceived(frames.decode_status(count, payload))

    def _on_ping(self, _arg: int, payload: bytes, _now: float) -> None:
        self._answer(frames.encode_pong(frames.decode_ping(payload)))

    def _on_pong(self, _arg: int, payload: bytes, now: float) -> None:
        opaque = frames.decode_ping(payload)
        if self._ping is not None and self._ping[0] == opaque:
            sample = now - self._ping[1]
            self.rtt = sample if not self.rtt else self.rtt + (sample - self.rtt) / 4
            self._ping = None

    def _on_goaway(self, grace: int, payload: bytes, _now: float) -> Event:
        self._goaway_received = True
        return GoawayReceived(grace, frames.decode_goaway(payload))

    def _answer(self, frame: bytes) -> None:
        if self._schedule.control_waiting >= MAX_ANSWERS:
            raise Violation(f"{MAX_ANSWERS} answers wait for a peer that does not read them")
        self._schedule.control(frame)

    def _add(self, number: int, port: int, state: State, now: float) -> None:
        limits = self._limits
        window = ReceiveWindow(self._budget, limits.first_window, limits.max_window, now)
        self._streams[number] = Stream(number, port, state, self._peer.first_window, window)
        self._highest = number

    def _forget_if_finished(self, stream: Stream) -> None:
        if stream.finished:
            self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        stream.drop()
        stream.window.close()
        del self._streams[stream.number]
        self._over.append(stream.number)
