"""The multiplexer over one WebSocket, without the WebSocket.

A `Session` takes frames and the time (`now`, monotonic seconds), and returns events; it gives out frames
when its driver asks for the next one. Which of them share a message is the driver's affair. A session
never sleeps, logs, or opens anything.

`receive` raises `Violation` when the peer breaks the protocol: the driver then closes with 1002, and only
this session ends. The other methods raise `Misuse` when the driver breaks it, and `KeyError` for a stream
that is over. After `close` nothing is sent or received any more.
"""

from dataclasses import dataclass

from aditus.wire import frames
from aditus.wire.credit import FIRST_WINDOW, MAX_WINDOW, Budget, ReceiveWindow
from aditus.wire.errors import CannotOpen, Misuse, ResetReason, Violation
from aditus.wire.events import (
    AcceptReceived,
    DataReceived,
    Event,
    FinReceived,
    GoawayReceived,
    OpenReceived,
    ResetReceived,
)
from aditus.wire.frames import (
    DATA,
    HEADER_SIZE,
    MAX_CREDIT,
    MAX_DATA,
    MAX_FIRST_WINDOW,
    MAX_STREAM_ID,
    MAX_STREAMS,
    MIN_FIRST_WINDOW,
    STREAM_FRAMES,
    FrameType,
    Role,
)
from aditus.wire.handshake import Handshake, Phase
from aditus.wire.liveness import Liveness
from aditus.wire.schedule import Scheduler
from aditus.wire.stream import Move, State, Stream

MAX_BACKLOG = 1_048_576
"""Bytes of control frames that may wait for a peer to read them, before it is taken for hostile."""
CONGESTED_ABOVE = 65_536
"""Bytes waiting in one stream above which `send` asks its caller to stop for now."""
RELIEVED_BELOW = 16_384
"""Bytes waiting in one stream below which the caller may go on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What this side grants: bytes per window, and streams at once. `ValueError` outside the protocol's."""

    first_window: int = FIRST_WINDOW
    max_window: int = MAX_WINDOW
    max_streams: int = MAX_STREAMS

    def __post_init__(self) -> None:
        if not MIN_FIRST_WINDOW <= self.first_window <= MAX_FIRST_WINDOW:
            raise ValueError(f"a first window has {MIN_FIRST_WINDOW} to {MAX_FIRST_WINDOW} bytes")
        if not self.first_window <= self.max_window <= MAX_WINDOW:
            raise ValueError(f"a window has from the first window to {MAX_WINDOW} bytes")
        if not 1 <= self.max_streams <= MAX_STREAMS:
            raise ValueError(f"a session has 1 to {MAX_STREAMS} streams")


class Session:
    """One side of one session. Make it with `acceptor` or `dialer`."""

    def __init__(self, role: Role | None, budget: Budget, limits: Limits, now: float) -> None:
        self._handshake = Handshake(role)
        self._budget = budget
        self._limits = limits
        self._streams: dict[int, Stream] = {}
        self._highest = 0
        self._schedule = Scheduler()
        self._liveness = Liveness(now)
        self._goaway: bytes | None = None  # sent, or to be sent after the handshake
        self._goaway_received = False
        self._relieved: list[int] = []
        self._sent: list[tuple[int, int]] = []
        self._over: list[int] = []

    @classmethod
    def acceptor(
        cls, challenge: bytes, connect_id: str, budget: Budget, limits: Limits, now: float
    ) -> "Session":
        """The relay's side; its HELLO with the challenge waits to be sent."""
        session = cls(None, budget, limits, now)
        hello = frames.AcceptorHello(challenge, connect_id, limits.first_window, limits.max_streams)
        session._schedule.control(frames.encode_acceptor_hello(hello))
        return session

    @classmethod
    def dialer(cls, role: Role, budget: Budget, limits: Limits, now: float) -> "Session":
        """An agent's or a sidecar's side; it waits for the challenge."""
        return cls(role, budget, limits, now)

    # --- getting in ----------------------------------------------------------------------------

    def answer(self, slot: int, instance: bytes, signature: bytes, program: str, host: str) -> None:
        """Dialer: answer the challenge with the signature over `frames.attach_message`."""
        role = self._handshake.role
        if role is not None and self._handshake.time_for(Phase.AWAIT_SIGNATURE):
            first_window, max_streams = self._limits.first_window, self._limits.max_streams
            hello = frames.DialerHello(
                role, slot, first_window, instance, signature, max_streams, program, host
            )
            self._schedule.control(frames.encode_dialer_hello(hello))
            self._proven(Phase.AWAIT_STATUS)

    def admit(self, now: float) -> None:
        """Acceptor: the dialer's signature is right."""
        if self._handshake.time_for(Phase.AWAIT_VERDICT):
            self._proven(Phase.ADMITTED)
            self._ping(now)  # windows grow by the round trip, so know it before the first stream

    def _proven(self, phase: Phase) -> None:
        self._handshake.phase = phase
        if self._goaway is not None:
            self._schedule.control(self._goaway)

    def send_offer(self, offer: frames.Offer) -> None:
        """Agent: offer these ports, all of them, after `answer`. The revision rises, from 1 or above.

        The next offer waits until the STATUS of this one has come.
        """
        if self._handshake.time_for(Phase.AWAIT_STATUS, Phase.REGISTERED):
            self._schedule.control(frames.encode_offer(offer))

    def send_status(self, status: frames.Status) -> None:
        """Acceptor: answer an offer. The first one registers the dialer: opens are possible from now on.

        The next offer can come when the revision of the last was answered.
        """
        if self._handshake.time_for(Phase.ADMITTED, Phase.REGISTERED):
            self._handshake.answered(status.revision)
            self._schedule.control(frames.encode_status(status))

    @property
    def registered(self) -> bool:
        """Whether the first STATUS was sent or received, and the session is not closed."""
        return self._handshake.phase is Phase.REGISTERED

    # --- streams, outwards ---------------------------------------------------------------------

    @property
    def streams(self) -> int:
        """Streams that are not over: a closed one counts until its last byte is consumed."""
        return len(self._streams)

    def open(self, port: int, source: str, now: float) -> int:
        """Open a stream for an app port; data may follow at once. Raises `CannotOpen`."""
        if self._goaway_received or self._highest >= MAX_STREAM_ID:
            raise CannotOpen(ResetReason.DRAIN)
        if not self.registered:
            raise CannotOpen(ResetReason.NO_AGENT)
        if len(self._streams) >= self._handshake.max_streams or self._schedule.backlog >= MAX_BACKLOG:
            raise CannotOpen(ResetReason.LIMIT)
        number = self._highest + 1
        if not self._add(number, port, State.OPENING, now):
            raise CannotOpen(ResetReason.LIMIT)
        self._schedule.control(frames.encode_open(number, port, source))
        return number

    def accept(self, number: int) -> None:
        """The target answered; its data may follow."""
        self._streams[number].move(Move.SEND_ACCEPT)
        self._schedule.control(frames.encode_accept(number))

    def send(self, number: int, data: bytes | bytearray | memoryview) -> bool:
        """Queue a copy of `data`. False: the queue is long, wait until `relieved` names the stream."""
        stream = self._sender(number)
        if data:
            stream.enqueue(data)
            self._schedule.ready(stream)
            stream.congested = stream.queued > CONGESTED_ABOVE
        return not stream.congested

    def send_at_once(self, number: int, data: memoryview) -> bytes | None:
        """The DATA frame of all of `data` if nothing else waits to be sent and credit is there; else None.

        Saves the copy into the queue; the frame counts as sent.
        """
        stream = self._sender(number)
        size = len(data)
        if not 0 < size <= stream.credit or size > MAX_DATA or not self._schedule.idle:
            return None
        stream.credit -= size
        return frames.encode_data(number, data)

    def finish(self, number: int) -> None:
        """No more data from this side: FIN follows what is queued."""
        stream = self._sender(number)
        stream.end()
        self._schedule.ready(stream)

    def reset(self, number: int, reason: ResetReason, detail: str = "") -> None:
        """End the stream in both directions now; what is queued for it is dropped. Nothing if it is over."""
        stream = self._streams.get(number)
        if stream is None:
            return
        if not stream.closed:
            stream.move(Move.SEND_RESET)
            self._schedule.control(frames.encode_reset(number, reason, detail))
        self._forget(stream)

    def consume(self, number: int, size: int, now: float) -> None:
        """`size` received bytes were taken by the next hop: their credit may go back.

        Does nothing when the stream is over: its credit is back already.
        """
        stream = self._streams.get(number)
        if stream is None:
            return
        increment = stream.window.consume(size, now, self._liveness.rtt)
        if increment:
            self._schedule.grant(stream, increment)
            if self._liveness.must_measure(now):
                self._ping(now)
        elif stream.finished:
            self._forget(stream)

    @property
    def quiet(self) -> bool:
        """Whether nothing waits to be sent, and `relieved`, `sent` and `over` have no streams to name."""
        return self._schedule.idle and not (self._relieved or self._sent or self._over)

    def relieved(self) -> list[int]:
        """The streams whose callers may send again; each is named once."""
        names, self._relieved = self._relieved, []
        return names

    def watch(self, number: int) -> None:
        """Tell by `sent` what leaves the queue of this stream."""
        self._streams[number].watched = True

    def sent(self) -> list[tuple[int, int]]:
        """Which watched streams sent how many bytes of their queues since the last call, in that order."""
        sizes, self._sent = self._sent, []
        return sizes

    def over(self) -> list[int]:
        """The streams that were forgotten since the last call: nothing more comes from or goes to them."""
        names, self._over = self._over, []
        return names

    def go_away(self, grace: int, reason: str) -> None:
        """This side leaves in `grace` seconds: it takes no new streams, but opens some till the peer goes."""
        self._goaway = frames.encode_goaway(grace, reason)
        if self._handshake.proven:  # else it follows the handshake
            self._schedule.control(self._goaway)

    @property
    def peer_leaves(self) -> bool:
        """Whether the other side has said GOAWAY: nothing can be opened towards it any more."""
        return self._goaway_received

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
            if stream.watched and len(frame) > HEADER_SIZE:
                self._sent.append((stream.number, len(frame) - HEADER_SIZE))
            if stream.finished:
                self._forget(stream)
        return frame

    def close(self) -> list[int]:
        """The WebSocket is gone: give every window back, and name the streams that it cut off.

        Not among them are those that both sides had finished: all their bytes are here, so a driver that
        still holds some delivers them, and the end of the stream with them.
        """
        self._handshake.phase = Phase.CLOSED
        streams = list(self._streams.values())
        lost = [stream.number for stream in streams if not stream.closed]
        for stream in streams:
            self._forget(stream)
        self._schedule = Scheduler()
        return lost

    # --- time ----------------------------------------------------------------------------------

    @property
    def rtt(self) -> float:
        """Seconds of the round trip; 0 until measured."""
        return self._liveness.rtt

    def heard(self, at: float) -> None:
        """Bytes of the peer came at this time, on the clock of `now`: a whole frame or part of one."""
        self._liveness.heard_at = max(self._liveness.heard_at, at)

    def tick(self, now: float) -> bool:
        """Ping a silent peer. False: it was silent for `DEAD_AFTER` seconds, close the WebSocket."""
        if self._liveness.dead(now):
            return False
        if self._handshake.proven and self._liveness.must_ask(now):
            self._ping(now)
        return True

    def next_tick(self) -> float:
        """When `tick` has something to do at the earliest, on the clock of `now`."""
        return self._liveness.next_at()

    def _ping(self, now: float) -> None:
        self._schedule.control(self._liveness.ping(now))

    # --- frames, inwards -----------------------------------------------------------------------

    def receive(self, frame: bytes | memoryview, now: float) -> Event | None:
        """Take one frame. Raises `Violation`; what it leaves behind is then of no use but to be closed."""
        self._liveness.heard_at = now
        kind, arg, number = frames.decode_header(frame)
        stream = self._streams.get(number)
        if stream is None or stream.closed:
            return self._on_other_frame(kind, arg, number, frame, now)
        if kind == DATA:
            data = memoryview(frame)[HEADER_SIZE:]
            if not data or not stream.remote_may_send:
                raise Violation(f"DATA of {len(data)} bytes on a stream that is {stream.state.name}")
            stream.window.receive(len(data))
            return DataReceived(number, data)
        return self._on_stream_frame(stream, kind, arg, bytes(frame[HEADER_SIZE:]))

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
        if kind not in (FrameType.FIN, FrameType.ACCEPT):
            raise Violation(f"{frames.name_of(kind)} on stream {number}, which is open")
        if payload:
            raise Violation(f"{frames.name_of(kind)} with a payload")
        if kind == FrameType.FIN:
            stream.move(Move.RECV_FIN)
            stream.window.end()
            if stream.finished:
                self._forget(stream)
            return FinReceived(number)
        stream.move(Move.RECV_ACCEPT)
        return AcceptReceived(number)

    def _on_other_frame(
        self, kind: int, arg: int, number: int, frame: bytes | memoryview, now: float
    ) -> Event | None:
        """What belongs to the session, opens a stream, or comes late."""
        if self._handshake.phase is Phase.CLOSED:
            return None
        if not self._handshake.proven and kind != FrameType.HELLO:
            raise Violation(f"{frames.name_of(kind)} before the handshake is done")
        if self._schedule.backlog >= MAX_BACKLOG:
            raise Violation(f"{self._schedule.backlog} bytes wait for a peer that asks and does not read")
        if kind == FrameType.OPEN:
            return self._on_open(number, arg, bytes(frame[HEADER_SIZE:]), now)
        if not number:
            return self._on_session_frame(kind, arg, bytes(frame[HEADER_SIZE:]), now)
        if kind not in STREAM_FRAMES or number > self._highest:
            raise Violation(f"{frames.name_of(kind)} for stream {number}, which was never opened")
        return None

    def _on_open(self, number: int, port: int, payload: bytes, now: float) -> Event | None:
        if not self._handshake.peer_may_open or not self.registered:
            raise Violation("OPEN from a side that may not open")
        if number <= self._highest:
            raise Violation(f"OPEN of stream {number} after {self._highest}")
        source = frames.decode_open(port, payload)
        self._highest = number
        if self._goaway is not None:
            self._schedule.control(frames.encode_reset(number, ResetReason.DRAIN))
        elif len(self._streams) >= self._limits.max_streams or not self._add(
            number, port, State.DIALING, now
        ):
            self._schedule.control(frames.encode_reset(number, ResetReason.LIMIT))
        else:
            return OpenReceived(number, port, source)
        return None

    def _on_session_frame(self, kind: int, arg: int, payload: bytes, now: float) -> Event | None:
        if kind == FrameType.PING:
            self._schedule.control(frames.encode_pong(frames.decode_ping(payload)))
            return None
        if kind == FrameType.PONG:
            self._liveness.pong(payload, now)
            return None
        if kind == FrameType.HELLO:
            return self._handshake.receive(payload)
        if kind == FrameType.OFFER:
            return self._handshake.receive_offer(arg, payload)
        if kind == FrameType.STATUS:
            if not self.registered:
                self._ping(now)  # as in `admit`
            return self._handshake.receive_status(arg, payload)
        if kind == FrameType.GOAWAY:
            self._goaway_received = True
            return GoawayReceived(arg, frames.decode_goaway(payload))
        raise Violation(f"{frames.name_of(kind)} is no frame of a session")

    # --- streams, kept -------------------------------------------------------------------------

    def _sender(self, number: int) -> Stream:
        stream = self._streams[number]
        if not stream.local_may_send:
            raise Misuse(f"nothing can be sent on stream {number}, which is {stream.state.name}")
        return stream

    def _add(self, number: int, port: int, state: State, now: float) -> bool:
        """Keep a new stream; False when its first window is more than the budgets have left."""
        limits = self._limits
        if not self._budget.reserve(limits.first_window):
            return False
        window = ReceiveWindow(self._budget, limits.first_window, limits.max_window, now)
        self._streams[number] = Stream(number, port, state, self._handshake.first_window, window)
        self._highest = number
        return True

    def _forget(self, stream: Stream) -> None:
        self._schedule.forget(stream)
        stream.window.close()
        del self._streams[stream.number]
        self._over.append(stream.number)
