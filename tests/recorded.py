"""A stream without a session: it notes what its local end does with it."""

from typing import cast

from aditus.net.mux import Mux, MuxStream
from aditus.wire.errors import ResetReason


class RecordedStream(MuxStream):
    """Notes every call; `said` and `consumed` add up."""

    def __init__(self, port: int = 5432) -> None:
        super().__init__(cast(Mux, None), 1, port, "127.0.0.1:1")
        self.buffer = memoryview(bytearray(65_536))
        self.said = bytearray()
        self.consumed = 0
        self.calls: list[object] = []

    @property
    def receive_buffer(self) -> memoryview:
        return self.buffer

    def send(self, data: memoryview) -> bool:
        self.said += data
        return True

    def accept(self) -> None:
        self.calls.append("accept")

    def finish(self) -> None:
        self.calls.append("finish")

    def consume(self, size: int) -> None:
        self.consumed += size

    def reset(self, reason: ResetReason, detail: str = "") -> None:
        self.calls.append(reason)


class RecordedEnd:
    """The local end of a stream: it notes what comes out of the tunnel."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.reasons: list[ResetReason] = []
        self.calls: list[str] = []

    def data(self, data: memoryview) -> None:
        self.heard += data

    def accepted(self) -> None:
        self.calls.append("accepted")

    def ended(self) -> None:
        self.calls.append("ended")

    def cut(self, reason: ResetReason, detail: str) -> None:
        self.reasons.append(reason)

    def congested(self) -> None:
        self.calls.append("congested")

    def relieved(self) -> None:
        self.calls.append("relieved")

    def sent(self, size: int) -> None:
        self.calls.append(f"sent {size}")
