"""What is done to a right conversation: to its frames, to their order, and to the WebSocket around them."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from struct import pack

from aditus.wire import frames
from aditus.wire.errors import ResetReason
from aditus.wire.frames import FrameType
from tests.fuzz.conversations import Piece
from tests.raw import BINARY, TEXT, WS_CLOSE, WS_PING, WS_PONG, Wire

Change = Callable[[Random, bytes], bytes]
Spoil = Callable[[Random, Piece, Wire], list[Piece]]
"""What becomes of a piece that this wire would send."""

BUNDLE = 0x0D
HUGE = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
STREAMS = (0, 1, 2, 3, 4, 7, 1_000, 0x7FFF_FFFF, 0xFFFF_FFFF)
SIZES = (
    0,
    1,
    7,
    8,
    9,
    125,
    126,
    127,
    65_535,
    65_536,
    frames.MAX_CONTROL + 9,
    frames.MAX_FRAME,
    1 << 32,
    1 << 63,
)


# --- the bytes of one frame -------------------------------------------------------------------------


def _flip(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_early(rng: Random, data: bytes) -> bytes:
    """Where the header and the fixed fields are."""
    return _flip(rng, data[:24]) + data[24:]


def _huge(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(max(len(data) - 3, 1))
    return data[:at] + pack("!I", rng.choice(HUGE)) + data[at + 4 :]


def _wipe(rng: Random, data: bytes) -> bytes:
    at, size = rng.randrange(len(data) + 1), rng.randint(1, 16)
    return data[:at] + rng.choice((b"\0", b"\xff")) * size + data[at + size :]


CHANGES: dict[str, Change] = {
    "bits flipped": _flip,
    "bits of its head flipped": _flip_early,
    "cut short": lambda rng, data: data[: rng.randrange(len(data) + 1)],
    "made longer": lambda rng, data: data + rng.randbytes(rng.choice((1, 4, 100, 20_000))),
    "another type": lambda rng, data: bytes([rng.choice((*range(16), 255))]) + data[1:],
    "flags": lambda rng, data: data[:1] + rng.randbytes(1) + data[2:],
    "another arg": lambda rng, data: data[:2] + pack("!H", rng.choice((0, 1, 443, 1_024, 0xFFFF))) + data[4:],
    "another stream": lambda rng, data: data[:4] + pack("!I", rng.choice(STREAMS)) + data[8:],
    "a huge number": _huge,
    "bytes wiped": _wipe,
    "random after its head": lambda rng, data: data[:8] + rng.randbytes(rng.choice((0, 4, 8, 200))),
    "all random": lambda rng, data: rng.randbytes(rng.choice((0, 1, 7, 8, 9, 60, 5_000))),
}


# --- frames and their order -------------------------------------------------------------------------


def _overrun(rng: Random, piece: Piece, wire: Wire) -> list[Piece]:
    """More than a first window allows: an agent's on a stream that may be there, a relay's on a new one."""
    number = rng.choice((1, 2, 3)) if wire.masks else rng.randint(0x1000, 0xFFFF)
    opened = [] if wire.masks else [Piece("OPEN", frames.encode_open(number, 5432))]
    data = Piece("DATA over the credit", frames.encode_data(number, bytes(frames.MAX_DATA)))
    return [piece, *opened, *[data] * rng.randint(1, 4)]


def _oversize(rng: Random, piece: Piece, wire: Wire) -> list[Piece]:
    may_be_long = piece.message[:1] == bytes([FrameType.DATA])
    more = frames.MAX_FRAME if may_be_long else rng.choice((frames.MAX_CONTROL + 1, frames.MAX_FRAME))
    return [replace(piece, message=piece.message + bytes(more))]


def _foreign(rng: Random, piece: Piece, wire: Wire) -> list[Piece]:
    """A frame that is right somewhere else."""
    number = rng.choice(STREAMS) % (1 << 32)
    message = rng.choice(
        (
            frames.encode_open(max(number, 1), 5432),
            frames.encode_accept(number),
            frames.encode_fin(number),
            frames.encode_reset(number, rng.choice(list(ResetReason)), "no"),
            frames.encode_window(number, rng.choice(HUGE[1:])),
            frames.encode_offer(frames.Offer(rng.choice((1, 2, 3, 0xFFFF_FFFF)), ())),
            frames.encode_status(frames.Status(rng.choice((0, 1, 2)), ())),
            frames.encode_goaway(rng.choice((0, 1, 0xFFFF)), "at once"),
            bytes([FrameType.HELLO]) + bytes(7) + rng.randbytes(rng.choice((39, 88, 100))),
        )
    )
    return [piece, Piece(f"{frames.name_of(message[0])} out of place", message)]


def _bundle(rng: Random, piece: Piece, wire: Wire) -> list[Piece]:
    """Several frames in one message, some of whose lengths may lie."""
    parts = [piece.message, *[frames.encode_ping(bytes(8))] * rng.randrange(4)]
    rng.shuffle(parts)
    sizes = [len(part) + rng.choice((0, 0, 0, 0, 1, -1, 8, 1 << 31)) for part in parts]
    packed = b"".join(pack("!I", size % (1 << 32)) + part for size, part in zip(sizes, parts, strict=True))
    return [Piece(f"{piece.what} in a bundle", bytes([BUNDLE]) + bytes(7) + packed)]


def _flood(rng: Random, piece: Piece, wire: Wire) -> list[Piece]:
    """The same little frame very often."""
    message = rng.choice(
        (frames.encode_ping(bytes(8)), frames.encode_window(1, 1), frames.encode_reset(1, ResetReason.LIMIT))
    )
    return [piece, *[Piece("flood", message)] * 60]


FRAMES: dict[str, Spoil] = {
    "twice": lambda rng, piece, wire: [piece, piece],
    "left out": lambda rng, piece, wire: [],
    "over the credit": _overrun,
    "out of place": _foreign,
    "flood": _flood,
    "bundled": _bundle,
    "too long for its type": _oversize,
}


# --- the WebSocket around it ------------------------------------------------------------------------


def _raw(what: str, data: bytes) -> Piece:
    return Piece(what, b"", raw=data)


def _sized(rng: Random, piece: Piece, wire: Wire) -> list[Piece]:
    """A length that lies, in any form."""
    size, mask = rng.choice(SIZES), 0x80 if wire.masks else 0
    form, field = rng.choice(((126, pack("!H", size & 0xFFFF)), (127, pack("!Q", size)), (size & 0x7F, b"")))
    return [
        _raw(
            "a length that lies",
            bytes([0x80 | BINARY, mask | form]) + field + bytes(mask and 4) + piece.message,
        )
    ]


def _close(rng: Random, piece: Piece, wire: Wire) -> list[Piece]:
    code = pack(
        "!H", rng.choice((0, 999, 1000, 1001, 1002, 1005, 1006, 1008, 1015, 3000, 4002, 5000, 65_535))
    )
    payload = rng.choice((b"", code[:1], code, code + b"why", code + b"\xff\xfe", code + bytes(123)))
    return [piece, Piece("a close", payload, WS_CLOSE)]


def _control(rng: Random, piece: Piece, wire: Wire) -> list[Piece]:
    payload = rng.randbytes(rng.choice((0, 1, 125, 126, 5_000)))
    return [piece, Piece("a WebSocket ping or pong", payload, rng.choice((WS_PING, WS_PONG)))]


WEBSOCKET: dict[str, Spoil] = {
    "as text": lambda rng, piece, wire: [replace(piece, opcode=TEXT)],
    "reserved bits": lambda rng, piece, wire: [replace(piece, rsv=rng.randint(1, 7))],
    "another opcode": lambda rng, piece, wire: [replace(piece, opcode=rng.randrange(16))],
    "a fragment": lambda rng, piece, wire: [replace(piece, fin=False)],
    "the wrong mask bit": lambda rng, piece, wire: [
        _raw("the wrong mask bit", replace(wire, masks=not wire.masks).framed(piece.message))
    ],
    "a length that lies": _sized,
    "bits of the frame flipped": lambda rng, piece, wire: [
        _raw("bits of the frame flipped", _flip_early(rng, wire.framed(piece.message)))
    ],
    "broken off": lambda rng, piece, wire: [
        _raw("broken off", (framed := wire.framed(piece.message))[: rng.randrange(len(framed))])
    ],
    "noise": lambda rng, piece, wire: [
        piece,
        _raw("noise", rng.randbytes(rng.choice((1, 2, 14, 500, 70_000)))),
    ],
    "a close": _close,
    "a WebSocket ping or pong": _control,
}


def is_fatal(done: list[str], wire: Wire) -> bool:
    """Whether this is a violation at any place of any conversation. Of much that is done, nobody can say."""
    always = {"as text", "reserved bits", "a fragment", "too long for its type"}
    return len(done) == 1 and (done[0] in always or (done[0] == "over the credit" and not wire.masks))


def spoil(rng: Random, pieces: list[Piece], wire: Wire) -> tuple[list[Piece], list[str]]:
    """Damage a conversation in one to three places: what became of it, and what was done."""
    pieces, done = list(pieces), []
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not pieces:
            break
        at = rng.randrange(len(pieces))
        piece = pieces[at]
        kind = rng.choices(("change", "frames", "order", "websocket"), (5, 3, 1, 3))[0]
        if kind == "change":
            name, change = rng.choice(list(CHANGES.items()))
            pieces[at] = replace(piece, what=f"{piece.what}, {name}", message=change(rng, piece.message))
        elif kind == "order":
            name, to = "moved", rng.randrange(len(pieces))
            pieces.insert(to, pieces.pop(at))
        else:
            name, wreck = rng.choice(list((FRAMES if kind == "frames" else WEBSOCKET).items()))
            pieces[at : at + 1] = wreck(rng, piece, wire)
        done.append(name)
    return pieces, done
