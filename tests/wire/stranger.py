"""An agent by a stranger who has read docs/wire-protocol.md and nothing else: it imports nothing of ours.

The numbers in brackets are the page's sections. There are no sockets: bytes in, bytes out.
"""

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
HELLO, OFFER, STATUS, OPEN, ACCEPT, DATA, FIN, RESET, WINDOW, PING, PONG, GOAWAY, BUNDLE = range(1, 14)
AGENT = 1
MY_WINDOW = 16_384  # the smallest there is
PORT_NOT_OFFERED = 4


# --- the secret, and what it signs ----------------------------------------------------------------


class Secret(NamedTuple):
    region: str
    key_id: str
    key: Ed25519PrivateKey


def read_secret(text: str) -> Secret:
    """[1] The parts of `adt_<region>_<key_id>_<secret>_<crc>`."""
    prefix, region, key_id, secret, crc = text.split("_")
    if prefix != "adt" or zlib.crc32(text.rpartition("_")[0].encode()) != from_base62(crc):
        raise ValueError("there is a typo in it")
    return Secret(
        region, key_id, Ed25519PrivateKey.from_private_bytes(from_base62(secret).to_bytes(32, "big"))
    )


def from_base62(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * 62 + BASE62.index(digit)
    return number


def host_as_dialled(connect_url: str) -> str:
    """[2.1] What the proof and the signature call the host."""
    parts = urlsplit(connect_url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, 443) else f"{host}:{parts.port}"


def proof(secret: Secret, host: str, now: int) -> str:
    """[2.1] The bearer of the upgrade."""
    header = {"alg": "EdDSA", "kid": secret.key_id, "typ": "aditus-proof+jwt"}
    claims = {"aud": host, "iat": now, "exp": now + 60, "rgn": secret.region}
    signed = ".".join(
        base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
    )
    return f"{signed}.{base64url(secret.key.sign(signed.encode()))}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- frames ---------------------------------------------------------------------------------------


class Frame(NamedTuple):
    kind: int
    arg: int
    stream: int
    payload: bytes


def frame(kind: int, arg: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """[3] One message."""
    return struct.pack("!BBHI", kind, 0, arg, stream) + payload


def read_frame(message: bytes) -> Frame:
    """[3] The fields of one message."""
    kind, flags, arg, stream = struct.unpack_from("!BBHI", message)
    if flags:
        raise ValueError("flags are not 0")
    return Frame(kind, arg, stream, message[8:])


def read_bundle(payload: bytes) -> Iterator[bytes]:
    """[3] The frames that share a message."""
    while payload:
        (length,) = struct.unpack_from("!I", payload)
        yield payload[4 : 4 + length]
        payload = payload[4 + length :]


def read_tlvs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """[3] What follows the fixed part of HELLO, STATUS and OPEN."""
    while data:
        kind, length = struct.unpack_from("!HH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def tlv(kind: int, text: str) -> bytes:
    value = text.encode()
    return struct.pack("!HH", kind, len(value)) + value


class Challenge(NamedTuple):
    challenge: bytes
    first_window: int
    max_streams: int
    connect_id: str


def read_challenge(payload: bytes) -> Challenge:
    """[3] The relay's HELLO."""
    challenge, first_window, max_streams, length = struct.unpack_from("!32sIHB", payload)
    return Challenge(challenge, first_window, max_streams, payload[39 : 39 + length].decode())


def attach_message(challenge: Challenge, key_id: str, host: str, instance: bytes) -> bytes:
    """[2.2] What the answer to the challenge signs."""
    message = b"aditus.v1 attach\0" + bytes([AGENT]) + challenge.challenge
    for text in (challenge.connect_id, key_id, host):
        message += struct.pack("!H", len(text.encode())) + text.encode()
    return message + instance


def hello(secret: Secret, challenge: Challenge, host: str, instance: bytes) -> bytes:
    """[3] The answer to the challenge, from slot 0."""
    signature = secret.key.sign(attach_message(challenge, secret.key_id, host, instance))
    fixed = struct.pack("!BBIH16s64s", AGENT, 0, MY_WINDOW, 1_024, instance, signature)
    return frame(HELLO, payload=fixed + tlv(1, "stranger/1") + tlv(2, "elsewhere"))


def offer(revision: int, ports: list[int]) -> bytes:
    """[2.3] All that we offer."""
    return frame(OFFER, arg=len(ports), payload=struct.pack(f"!I{len(ports)}H", revision, *ports))


class Status(NamedTuple):
    revision: int
    expires_at: int
    verdicts: dict[int, int]
    warnings: list[str]
    details: dict[int, str]


def read_status(count: int, payload: bytes) -> Status:
    """[3] What the relay makes of our offer."""
    revision, expires_at = struct.unpack_from("!IQ", payload)
    end = 12 + 4 * count
    verdicts = {port: verdict for port, verdict, _ in struct.iter_unpack("!HBB", payload[12:end])}
    tlvs = list(read_tlvs(payload[end:]))
    warnings = [value.decode() for kind, value in tlvs if kind == 1]
    details = {struct.unpack("!H", value[:2])[0]: value[2:].decode() for kind, value in tlvs if kind == 2}
    return Status(revision, expires_at, verdicts, warnings, details)


# --- the agent ------------------------------------------------------------------------------------


@dataclass
class Conversation:
    """One stream, and what its target has answered and could not be sent yet."""

    target: Callable[[bytes], bytes]
    credit: int
    waiting: bytes = b""
    target_ended: bool = False


@dataclass
class Agent:
    """[8] Targets are functions from what an app says to what is answered; they end when the app ends."""

    secret: Secret
    connect_url: str
    instance: bytes
    targets: dict[int, Callable[[bytes], bytes]]
    status: Status | None = None
    leaving: int | None = None
    streams: dict[int, Conversation] = field(default_factory=dict)
    first_window: int = 0

    def hear(self, message: bytes) -> list[bytes]:
        """What we say to one message of the relay."""
        kind, arg, stream, payload = read_frame(message)
        if kind == BUNDLE:
            return [answer for one in read_bundle(payload) for answer in self.hear(one)]
        if kind == HELLO:
            challenge = read_challenge(payload)
            self.first_window = challenge.first_window
            host = host_as_dialled(self.connect_url)
            return [hello(self.secret, challenge, host, self.instance), offer(1, list(self.targets))]
        if kind == STATUS:
            self.status = read_status(arg, payload)
        elif kind == PING:
            return [frame(PONG, payload=payload)]
        elif kind == GOAWAY:
            self.leaving = arg
        elif kind == OPEN:
            return self._open(stream, arg)
        elif stream in self.streams:  # else it crossed the end of its stream
            return self._hear_stream(kind, stream, payload)
        return []

    def _open(self, stream: int, port: int) -> list[bytes]:
        if port not in self.targets:
            return [frame(RESET, arg=PORT_NOT_OFFERED, stream=stream)]
        self.streams[stream] = Conversation(self.targets[port], self.first_window)
        return [frame(ACCEPT, stream=stream)]

    def _hear_stream(self, kind: int, stream: int, payload: bytes) -> list[bytes]:
        conversation = self.streams[stream]
        said = []
        if kind == DATA:
            conversation.waiting += conversation.target(payload)
            said.append(frame(WINDOW, stream=stream, payload=struct.pack("!I", len(payload))))
        elif kind == WINDOW:
            conversation.credit += struct.unpack("!I", payload)[0]
        elif kind == FIN:
            conversation.target_ended = True
        elif kind == RESET:
            del self.streams[stream]
            return []
        return said + self._send(stream, conversation)

    def _send(self, stream: int, conversation: Conversation) -> list[bytes]:
        """[5] As much as the credit allows, and FIN after the last byte."""
        said = []
        sent = conversation.waiting[: conversation.credit]
        if sent:
            conversation.waiting = conversation.waiting[len(sent) :]
            conversation.credit -= len(sent)
            said += [
                frame(DATA, stream=stream, payload=sent[at : at + 262_144])
                for at in range(0, len(sent), 262_144)
            ]
        if conversation.target_ended and not conversation.waiting:
            del self.streams[stream]
            said.append(frame(FIN, stream=stream))
        return said
