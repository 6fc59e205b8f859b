"""The parts that frames are made of: fixed layouts, texts for people, and TLVs. Bad ones are violations."""

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from aditus.wire.errors import Violation

MAX_TEXT = 255
"""Bytes of UTF-8 in any text for people."""
MAX_NAME = 64
"""Bytes of UTF-8 in the name of a program, and in the address of who connected."""
MAX_ALIAS = 32
"""Bytes of UTF-8 in another name of an app port."""

_TLV = struct.Struct("!HH")
TLV_HEADER_SIZE = _TLV.size
_NO_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
"""Control characters: in a terminal or a log, a stranger's could pass for something else."""


def read_fixed(layout: struct.Struct, payload: bytes, *, whole: bool = False) -> tuple[Any, ...]:
    """The fields at the start of `payload`, or of all of it."""
    try:
        return layout.unpack(payload) if whole else layout.unpack_from(payload)
    except struct.error:
        raise Violation(f"payload of {len(payload)} bytes does not have its layout") from None


def clip(text: str, limit: int = MAX_TEXT) -> bytes:
    """`text` as UTF-8, cut between characters to `limit` bytes; control characters become spaces."""
    encoded = text.translate(_NO_CONTROLS).encode(errors="replace")
    return encoded[:limit].decode(errors="ignore").encode()


def read_text(data: bytes, limit: int = MAX_TEXT) -> str:
    """The text of at most `limit` bytes, without control characters."""
    if len(data) > limit:
        raise Violation(f"text of {len(data)} bytes is over the limit of {limit}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Violation("text is not UTF-8") from None
    if text != text.translate(_NO_CONTROLS):
        raise Violation("text has control characters")
    return text


def tlvs(items: Iterable[tuple[int, bytes]]) -> bytes:
    """Type, length and value of each item."""
    return b"".join(_TLV.pack(kind, len(value)) + value for kind, value in items)


def read_tlvs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each TLV; they fill `data` exactly."""
    at = 0
    while at < len(data):
        if at + _TLV.size > len(data):
            raise Violation("a TLV ends within its header")
        kind, length = _TLV.unpack_from(data, at)
        at += _TLV.size + length
        if at > len(data):
            raise Violation("a TLV ends within its value")
        yield kind, data[at - length : at]
