"""The listener of a hostile relay: it hands out who dials, upgraded and not greeted yet."""

import asyncio
import ssl
from types import TracebackType
from typing import Self

from aditus.domain.connect_url import RelayUrl
from tests.ends import LOOPBACK, soon
from tests.raw import Wire, switch


class Door:
    """Nothing is kept of a connection that was handed out: there may be millions."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.url: RelayUrl
        self._tls = tls
        self._dialled: asyncio.Queue[Wire] = asyncio.Queue()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._let_in, LOOPBACK, 0, ssl=self._tls)
        self.url = RelayUrl("localhost", self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        while self.knocked:
            await self._dialled.get_nowait().close()

    def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._dialled.put_nowait(Wire(reader, writer, masks=False))

    @property
    def knocked(self) -> bool:
        """Whether somebody waits to be let in."""
        return not self._dialled.empty()

    async def next(self) -> tuple[Wire, str]:
        """The next connection, upgraded, and the path that it asked for."""
        while True:
            wire = await soon(self._dialled.get())
            try:
                head = (await soon(wire.reader.readuntil(b"\r\n\r\n"))).decode()
                first, *lines = head.rstrip().split("\r\n")
                pairs = (line.partition(":")[::2] for line in lines)
                await switch(wire, {name.lower(): value.strip() for name, value in pairs})
            except (asyncio.IncompleteReadError, ConnectionError):
                await wire.close()  # whoever dialled has given up since
            else:
                return wire, first.split()[1]
