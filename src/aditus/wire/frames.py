"""The bytes of each frame: layouts, limits, and the functions that write and read them.

docs/wire-protocol.md, sections 3 and 7, is this module in prose. Functions named `encode_*` return one
whole frame; those named `decode_*` take the payload after the header and raise `Violation`. Texts for
people are clipped to their limit on the way out, and control characters in them become spaces.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, pack

from aditus.wire.errors import ResetReason, Violation
from aditus.wire.fields import (
    MAX_ALIAS,
    MAX_NAME,
    MAX_TEXT,
    TLV_HEADER_SIZE,
    clip,
    read_fixed,
    read_text,
    read_tlvs,
    tlvs,
)

SUBPROTOCOL = "aditus.v1"

HEADER = Struct("!BBHI")  # type, flags, arg, stream id
HEADER_SIZE = HEADER.size

MAX_DATA = 262_144
"""Bytes of payload in one DATA frame: larger ones gain no throughput and delay other streams."""
MAX_CONTROL = 16_384
"""Bytes of payload in any other frame: the largest STATUS fits."""
MAX_FRAME = HEADER_SIZE + MAX_DATA
"""Bytes of the largest message: a DATA frame, or a BUNDLE."""
MAX_PORTS = 1_024
"""Ports in one OFFER, entries in one STATUS."""
MAX_STREAMS = 1_024
"""Streams that one session carries at once; both sides announce theirs in HELLO."""
MAX_STREAM_ID = 0xFFFF_FFFF
MIN_FIRST_WINDOW = 16_384
MAX_FIRST_WINDOW = 1_048_576
MAX_CREDIT = 0x7FFF_FFFF
MAX_SLOT = 3
CHALLENGE_SIZE = 32
INSTANCE_SIZE = 16
SIGNATURE_SIZE = 64
PING_SIZE = 8


class FrameType(IntEnum):
    """The first byte of a frame."""

    HELLO = 0x01
    OFFER = 0x02
    STATUS = 0x03
    OPEN = 0x04
    ACCEPT = 0x05
    DATA = 0x06
    FIN = 0x07
    RESET = 0x08
    WINDOW = 0x09
    PING = 0x0A
    PONG = 0x0B
    GOAWAY = 0x0C
    BUNDLE = 0x0D


DATA, BUNDLE = int(FrameType.DATA), int(FrameType.BUNDLE)  # compared for each frame: no lookups in the enum
STREAM_FRAMES = frozenset(
    {
        FrameType.OPEN,
        FrameType.ACCEPT,
        FrameType.DATA,
        FrameType.FIN,
        FrameType.RESET,
        FrameType.WINDOW,
    }
)
_TYPES = frozenset(FrameType)
_WITHOUT_ARG = frozenset(
    {
        FrameType.ACCEPT,
        FrameType.DATA,
        FrameType.FIN,
        FrameType.WINDOW,
        FrameType.PING,
        FrameType.PONG,
        FrameType.BUNDLE,
    }
)


class Role(IntEnum):
    """What the dialer of a session is."""

    AGENT = 1
    SIDECAR = 2


class Verdict(IntEnum):
    """What a relay says of one offered port."""

    SERVED = 0
    NO_LISTENER = 1
    PORT_TAKEN = 2
    PORT_RESERVED = 3
    PORT_NOT_ALLOWED = 4
    PORT_IN_USE = 5

    @property
    def token(self) -> str:
        """The verdict as people and the API read it, such as `port-taken`."""
        return self.name.lower().replace("_", "-")

    @property
    def accepted(self) -> bool:
        """Whether the relay may open streams for the port."""
        return self <= Verdict.NO_LISTENER


_VERDICTS = {int(verdict): verdict for verdict in Verdict}
_REASONS = {int(reason): reason for reason in ResetReason}

# TLV types count anew in each kind of frame.
TLV_HELLO_PROGRAM = 1
TLV_HELLO_HOST = 2
TLV_OFFER_ALIAS = 1
TLV_STATUS_WARNING = 1
TLV_STATUS_PORT = 2
TLV_STATUS_APP_ID = 3
TLV_STATUS_APP = 4
TLV_STATUS_ALIAS = 5
TLV_OPEN_SOURCE = 1


@dataclass(frozen=True, slots=True)
class AcceptorHello:
    """The relay's HELLO: challenge (32) · first window (4) · max streams (2) · length (1) and connect id."""

    challenge: bytes
    connect_id: str
    first_window: int
    max_streams: int = MAX_STREAMS


@dataclass(frozen=True, slots=True)
class DialerHello:
    """The dialer's HELLO.

    Role (1) · slot (1) · first window (4) · max streams (2) · instance (16) · signature (64) · TLVs.
    """

    role: Role
    slot: int
    first_window: int
    instance: bytes
    signature: bytes
    max_streams: int = MAX_STREAMS
    program: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """All app ports that an agent offers, and which of its offers this is.

    Revision (4) · ports (2 each) · TLVs. `aliases` are other names of some of the ports.
    """

    revision: int
    ports: tuple[int, ...]
    aliases: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PortVerdict:
    """One entry of STATUS: port (2) · verdict (1) · zero (1); `detail` and `alias` travel in TLVs."""

    port: int
    verdict: Verdict
    detail: str = ""
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What the relay makes of an offer; to a sidecar, which ports it can reach, and whose sidecar it is.

    Revision (4) · key expiry (8, Unix seconds, 0 = never) · entries · TLVs.
    """

    revision: int
    ports: tuple[PortVerdict, ...]
    expires_at: int = 0
    warnings: tuple[str, ...] = ()
    app_id: str = ""
    app: str = ""  # its name


_ACCEPTOR_HELLO = Struct("!32sIHB")
_DIALER_HELLO = Struct("!BBIH16s64s")
_OFFER = Struct("!I")
_STATUS = Struct("!IQ")
_ENTRY = Struct("!HBB")
_INCREMENT = Struct("!I")
_LENGTH = Struct("!I")
_BUNDLE_HEADER = HEADER.pack(BUNDLE, 0, 0, 0)


def attach_message(
    role: Role, challenge: bytes, connect_id: str, key_id: str, host: str, instance: bytes
) -> bytes:
    """The bytes that the dialer's signature covers (section 2.2). `host` is the proof's audience."""
    parts = [b"aditus.v1 attach\x00", pack("!B", role), challenge]
    for text in (connect_id, key_id, host):
        encoded = text.encode()
        parts += (pack("!H", len(encoded)), encoded)
    return b"".join((*parts, instance))


def _frame(kind: FrameType, payload: bytes = b"", *, arg: int = 0, stream: int = 0) -> bytes:
    return HEADER.pack(kind, 0, arg, stream) + payload


def encode_acceptor_hello(hello: AcceptorHello) -> bytes:
    connect_id = hello.connect_id.encode()
    fixed = _ACCEPTOR_HELLO.pack(hello.challenge, hello.first_window, hello.max_streams, len(connect_id))
    return _frame(FrameType.HELLO, fixed + connect_id)


def encode_dialer_hello(hello: DialerHello) -> bytes:
    fixed = _DIALER_HELLO.pack(
        hello.role, hello.slot, hello.first_window, hello.max_streams, hello.instance, hello.signature
    )
    texts = [(TLV_HELLO_PROGRAM, clip(hello.program, MAX_NAME)), (TLV_HELLO_HOST, clip(hello.host))]
    return _frame(FrameType.HELLO, fixed + tlvs((kind, text) for kind, text in texts if text))


def encode_offer(offer: Offer) -> bytes:
    """The frame of an OFFER. Aliases that no longer fit into it are left out; the ports always fit."""
    ports = _OFFER.pack(offer.revision) + pack(f"!{len(offer.ports)}H", *offer.ports)
    aliases = [(TLV_OFFER_ALIAS, _of_port(port, clip(alias, MAX_ALIAS))) for port, alias in offer.aliases]
    return _frame(FrameType.OFFER, _as_fits(ports, aliases), arg=len(offer.ports))


def encode_status(status: Status) -> bytes:
    """The frame of a STATUS. Texts that no longer fit into it are left out; the verdicts always fit."""
    payload = _STATUS.pack(status.revision, status.expires_at)
    payload += b"".join(_ENTRY.pack(entry.port, entry.verdict, 0) for entry in status.ports)
    whose = ((TLV_STATUS_APP_ID, status.app_id), (TLV_STATUS_APP, status.app))
    texts = [(kind, clip(text)) for kind, text in whose if text]
    texts += [
        (TLV_STATUS_ALIAS, _of_port(entry.port, clip(entry.alias, MAX_ALIAS)))
        for entry in status.ports
        if entry.alias
    ]
    texts += [(TLV_STATUS_WARNING, clip(warning)) for warning in status.warnings]
    texts += [
        (TLV_STATUS_PORT, _of_port(entry.port, clip(entry.detail))) for entry in status.ports if entry.detail
    ]
    return _frame(FrameType.STATUS, _as_fits(payload, texts), arg=len(status.ports))


def _of_port(port: int, text: bytes) -> bytes:
    return pack("!H", port) + text


def _as_fits(payload: bytes, texts: list[tuple[int, bytes]]) -> bytes:
    for kind, value in texts:
        if len(payload) + TLV_HEADER_SIZE + len(value) > MAX_CONTROL:
            break
        payload += tlvs([(kind, value)])
    return payload


def encode_open(stream: int, port: int, source: str = "") -> bytes:
    payload = tlvs([(TLV_OPEN_SOURCE, clip(source, MAX_NAME))]) if source else b""
    return _frame(FrameType.OPEN, payload, arg=port, stream=stream)


def encode_accept(stream: int) -> bytes:
    return _frame(FrameType.ACCEPT, stream=stream)


def encode_data(stream: int, data: bytes | bytearray | memoryview) -> bytes:
    """A DATA frame of 1 to `MAX_DATA` bytes; the one copy of the payload on the way out."""
    return b"".join((HEADER.pack(DATA, 0, 0, stream), data))


def encode_fin(stream: int) -> bytes:
    return _frame(FrameType.FIN, stream=stream)


def encode_reset(stream: int, reason: ResetReason, detail: str = "") -> bytes:
    return _frame(FrameType.RESET, clip(detail), arg=reason, stream=stream)


def encode_window(stream: int, increment: int) -> bytes:
    return _frame(FrameType.WINDOW, _INCREMENT.pack(increment), stream=stream)


def encode_ping(opaque: bytes) -> bytes:
    return _frame(FrameType.PING, opaque)


def encode_pong(opaque: bytes) -> bytes:
    return _frame(FrameType.PONG, opaque)


def encode_goaway(grace: int, reason: str) -> bytes:
    return _frame(FrameType.GOAWAY, clip(reason), arg=grace)


def encode_bundle(frames: Iterable[bytes]) -> bytes:
    """One message that holds these frames; they have, with 4 bytes for each, `MAX_DATA` bytes at most."""
    parts = [_BUNDLE_HEADER]
    for frame in frames:
        parts += (_LENGTH.pack(len(frame)), frame)
    return b"".join(parts)


def unbundle(message: memoryview) -> Iterable[memoryview]:
    """The frames of one message. Raises `Violation` for a BUNDLE that is not made as it should be.

    The frames themselves are not looked at: a BUNDLE within a BUNDLE is for `Session.receive` to refuse.
    """
    if not message or message[0] != BUNDLE:
        return (message,)
    _, _, stream = decode_header(message)
    if stream:
        raise Violation(f"BUNDLE for stream {stream}")
    frames, start, end = [], HEADER_SIZE, len(message)
    while start < end:
        after_length = start + _LENGTH.size
        if after_length > end:
            raise Violation("BUNDLE ends within a length")
        (length,) = _LENGTH.unpack_from(message, start)
        start = after_length + length
        if start > end:
            raise Violation("BUNDLE ends within a frame")
        frames.append(message[after_length:start])
    return frames


def name_of(kind: int) -> str:
    """A type of frame as people read it, also one that does not exist."""
    return FrameType(kind).name if kind in _TYPES else f"frame of type {kind:#x}"


def decode_header(frame: bytes | memoryview) -> tuple[int, int, int]:
    """(type, arg, stream id) of a frame, checked for everything that needs no context."""
    size = len(frame)
    if size < HEADER_SIZE:
        raise Violation(f"frame of {size} bytes is shorter than its header")
    kind, flags, arg, stream = HEADER.unpack_from(frame)
    if flags or (arg and kind in _WITHOUT_ARG):
        raise Violation(f"{name_of(kind)} has flags {flags:#x} and arg {arg}")
    limit = MAX_DATA if kind in (DATA, BUNDLE) else MAX_CONTROL
    if size - HEADER_SIZE > limit:
        raise Violation(f"{name_of(kind)} with {size - HEADER_SIZE} bytes is over the limit of {limit}")
    return kind, arg, stream


def decode_acceptor_hello(payload: bytes) -> AcceptorHello:
    challenge, first_window, max_streams, length = read_fixed(_ACCEPTOR_HELLO, payload)
    end = _ACCEPTOR_HELLO.size + length
    if len(payload) < end:
        raise Violation("HELLO ends within the connect id")
    for _ in read_tlvs(payload[end:]):
        pass
    connect_id = read_text(payload[_ACCEPTOR_HELLO.size : end])
    _check_limits(first_window, max_streams)
    return AcceptorHello(challenge, connect_id, first_window, max_streams)


def decode_dialer_hello(payload: bytes) -> DialerHello:
    role, slot, first_window, max_streams, instance, signature = read_fixed(_DIALER_HELLO, payload)
    if role not in (Role.AGENT, Role.SIDECAR):
        raise Violation(f"HELLO names role {role}")
    if slot > MAX_SLOT:
        raise Violation(f"HELLO names slot {slot}")
    _check_limits(first_window, max_streams)
    program = host = ""
    for kind, value in read_tlvs(payload[_DIALER_HELLO.size :]):
        if kind == TLV_HELLO_PROGRAM:
            program = read_text(value, MAX_NAME)
        elif kind == TLV_HELLO_HOST:
            host = read_text(value)
    return DialerHello(Role(role), slot, first_window, instance, signature, max_streams, program, host)


def decode_offer(count: int, payload: bytes) -> Offer:
    if count > MAX_PORTS:
        raise Violation(f"OFFER of {count} ports is over the limit of {MAX_PORTS}")
    layout = Struct(f"!I{count}H")
    revision, *ports = read_fixed(layout, payload)
    _check_ports(ports)
    aliases = tuple(
        _read_of_port(value, MAX_ALIAS)
        for kind, value in read_tlvs(payload[layout.size :])
        if kind == TLV_OFFER_ALIAS
    )
    return Offer(revision, tuple(ports), aliases)


def decode_status(count: int, payload: bytes) -> Status:
    if count > MAX_PORTS:
        raise Violation(f"STATUS of {count} entries is over the limit of {MAX_PORTS}")
    revision, expires_at = read_fixed(_STATUS, payload)
    end = _STATUS.size + count * _ENTRY.size
    if len(payload) < end:
        raise Violation("STATUS ends within its entries")
    warnings: list[str] = []
    details: dict[int, str] = {}
    aliases: dict[int, str] = {}
    whose = {TLV_STATUS_APP_ID: "", TLV_STATUS_APP: ""}
    for kind, value in read_tlvs(payload[end:]):
        if kind == TLV_STATUS_WARNING:
            warnings.append(read_text(value))
        elif kind in whose:
            whose[kind] = read_text(value)
        elif kind == TLV_STATUS_PORT:
            details.update([_read_of_port(value, MAX_TEXT)])
        elif kind == TLV_STATUS_ALIAS:
            aliases.update([_read_of_port(value, MAX_ALIAS)])
    entries = []
    for port, verdict, zero in _ENTRY.iter_unpack(payload[_STATUS.size : end]):
        if zero or verdict not in _VERDICTS:
            raise Violation(f"STATUS has verdict {verdict}, and then {zero}")
        entries.append(PortVerdict(port, _VERDICTS[verdict], details.get(port, ""), aliases.get(port, "")))
    _check_ports([entry.port for entry in entries])
    return Status(revision, tuple(entries), expires_at, tuple(warnings), *whose.values())


def _read_of_port(value: bytes, limit: int) -> tuple[int, str]:
    """A port, and a text that is about it."""
    if len(value) < 2:
        raise Violation("a text about a port does not name it")
    return int.from_bytes(value[:2]), read_text(value[2:], limit)


def decode_open(port: int, payload: bytes) -> str:
    """Who connected, as the relay says; empty if it does not."""
    if not port:
        raise Violation("OPEN names port 0")
    source = ""
    for kind, value in read_tlvs(payload):
        if kind == TLV_OPEN_SOURCE:
            source = read_text(value, MAX_NAME)
    return source


def decode_reset(reason: int, payload: bytes) -> tuple[ResetReason, str]:
    if reason not in _REASONS:
        raise Violation(f"RESET gives reason {reason}")
    return _REASONS[reason], read_text(payload)


def decode_window(payload: bytes) -> int:
    (increment,) = read_fixed(_INCREMENT, payload, whole=True)
    if not increment:
        raise Violation("WINDOW of 0 bytes")
    return int(increment)


def decode_ping(payload: bytes) -> bytes:
    if len(payload) != PING_SIZE:
        raise Violation(f"PING or PONG of {len(payload)} bytes, not {PING_SIZE}")
    return payload


def decode_goaway(payload: bytes) -> str:
    return read_text(payload)


def _check_ports(ports: list[int]) -> None:
    if 0 in ports or len(set(ports)) != len(ports):
        raise Violation("a port is named twice, or is 0")


def _check_limits(first_window: int, max_streams: int) -> None:
    if not MIN_FIRST_WINDOW <= first_window <= MAX_FIRST_WINDOW:
        raise Violation(f"HELLO names a first window of {first_window} bytes")
    if not 1 <= max_streams <= MAX_STREAMS:
        raise Violation(f"HELLO allows {max_streams} streams")
