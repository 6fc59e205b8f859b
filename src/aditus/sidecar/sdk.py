"""The SDK: a sidecar inside the app's own process, and streams to the services that the app may reach."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from aditus.domain.errors import AditusError, Code
from aditus.net import tcp
from aditus.sidecar.app_pump import AppPump
from aditus.sidecar.settings import LOOPBACK
from aditus.sidecar.sidecar import HOLD_SECONDS, Sidecar
from aditus.sidecar.streams import StreamTransport, refused
from aditus.wire.errors import CannotOpen, ResetReason

READ_LIMIT = 65_536
"""Bytes that a reader keeps before the far side is slowed down: asyncio's own default."""
LEAVE_SECONDS = 5.0
"""How long leaving waits for streams that were closed, so that what was written in them arrives."""
SOURCE = "sdk"
"""What stands where a sidecar tells of the address of its app: here the app is the process itself."""


class App:
    """An app that is attached while its block runs. Made by `aditus.app`; belongs to one event loop."""

    def __init__(self, sidecar: Sidecar, attach_seconds: float) -> None:
        self._sidecar = sidecar
        self._attach_seconds = attach_seconds
        self._changed = asyncio.Event()
        self._streams: set[StreamTransport] = set()
        self._running: asyncio.Task[AditusError] | None = None
        sidecar.changed = self._changed.set

    async def __aenter__(self) -> "App":
        """Attach. Raises `AditusError` with the reason when that fails, or takes too long."""
        if self._running is not None:
            raise RuntimeError("an app is entered once: make another with aditus.app(...)")
        self._running = asyncio.create_task(self._sidecar.run())
        self._running.add_done_callback(lambda _: self._changed.set())
        try:
            async with asyncio.timeout(self._attach_seconds):
                await self._until(lambda: self._sidecar.is_up)
        except TimeoutError:
            why = "; ".join(self._sidecar.not_ready())
            await self._end()
            raise AditusError(
                Code.UNAVAILABLE,
                "not-attached",
                f"No relay has let the app in within {self._attach_seconds:g} s: {why}.",
                remedy="See whether the relay can be reached from here.",
            ) from None
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave. Streams that were closed are waited for, `LEAVE_SECONDS` at most; open ones are reset."""
        closing = [stream.over for stream in self._streams if stream.is_closing()]
        try:
            if closing:
                await asyncio.wait(closing, timeout=LEAVE_SECONDS)
        finally:
            await self._end()

    @property
    def ports(self) -> dict[int, str]:
        """The app ports that can be reached now, each with its alias, or an empty one."""
        return self._sidecar.ports

    async def open(
        self, to: int | str, *, timeout: float = 30.0, limit: int = READ_LIMIT
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a service, named by its app port or its alias, once the service has accepted it.

        Raises `ConnectionRefusedError` with the reason, `TimeoutError` after `timeout` seconds, and
        `AditusError` when the app has been detached for good. A connection that is cut later (a revoke, a
        lost agent, a reset by the service) raises `ConnectionResetError` with the reason where it is read:
        only a clean end is an end. `limit` is that of `asyncio.open_connection`.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        async with asyncio.timeout(timeout):
            port = await self._find(to)
            transport = StreamTransport(protocol, port, self._streams.discard)
            try:
                transport.bind(self._sidecar.open(port, SOURCE, transport))
            except CannotOpen as error:
                raise refused(error.reason) from None
            self._streams.add(transport)
            try:
                await transport.connected
            except BaseException:
                transport.abort()
                raise
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    @contextlib.asynccontextmanager
    async def local(self, to: int | str) -> AsyncIterator[tuple[str, int]]:
        """Host and port of a listener on loopback that leads to a service: for drivers that want an address.

        Every program on this machine can connect there while the block runs. At its end connections have
        `LEAVE_SECONDS` to end by themselves, then they are reset. Raises as `open` does when there is no such
        service now.
        """
        async with asyncio.timeout(HOLD_SECONDS + 1):
            port = await self._find(to)
        here = _Local(port, self._sidecar)
        listener = await tcp.listen(LOOPBACK, 0, here.pump)
        try:
            yield LOOPBACK, listener.port
        finally:
            listener.close()
            await here.finish()

    async def _find(self, to: int | str) -> int:
        """The app port that is meant. While a relay leaves, the next one is waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_SECONDS):
                await self._until(lambda: not self._sidecar.is_moving)
        for port, alias in self.ports.items():
            if to == port or (alias and to == alias):
                return port
        raise refused(ResetReason.PORT_NOT_OFFERED if self._sidecar.is_up else ResetReason.NO_AGENT)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Return when it holds. Raises the `AditusError` with which the sidecar has ended."""
        if self._running is None:
            raise RuntimeError("an app is attached within `async with` only")
        while True:
            if self._running.done():
                if self._running.cancelled():
                    raise RuntimeError("the app has left")
                raise self._running.result()
            if condition():
                return
            self._changed.clear()
            await self._changed.wait()

    async def _end(self) -> None:
        """Stop the sidecar. What failed of it, and is no reason to stop, is a defect: it is raised."""
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.wait([self._running])
        for stream in list(self._streams):
            stream.abort()
        if not self._running.cancelled() and (failure := self._running.exception()) is not None:
            raise failure


class _Local:
    """The connections of one local address."""

    def __init__(self, port: int, sidecar: Sidecar) -> None:
        self._port = port
        self._sidecar = sidecar
        self.open: set[_LocalPump] = set()
        self.changed = asyncio.Event()

    def pump(self) -> "_LocalPump":
        return _LocalPump(self._port, self._sidecar, self)

    async def finish(self) -> None:
        """Return when all have ended; those that do not are reset."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                while self.open:
                    self.changed.clear()
                    await self.changed.wait()
        for pump in self.open:
            pump.give_up()


class _LocalPump(AppPump):
    def __init__(self, port: int, sidecar: Sidecar, local: _Local) -> None:
        super().__init__(port, sidecar)
        self._local = local

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._local.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._local.open.discard(self)
        self._local.changed.set()

    def give_up(self) -> None:
        """End the connection now, and its stream with it."""
        if self._transport is not None:
            self._transport.abort()
