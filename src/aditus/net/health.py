"""A very small HTTP server for health and metrics: GET of a few fixed paths, one request per connection."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

MAX_REQUEST = 8_192
"""Bytes of a request's head; more is a stranger's."""
REQUEST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: status, body, type."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[], Page]]


async def serve(host: str, port: int, pages: Pages) -> asyncio.Server:
    """Answer GET and HEAD of these paths. Raises `OSError` when the address cannot be had."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, pages))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that does not ask properly gets no answer
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port, limit=MAX_REQUEST)


def _response(head: bytes, pages: Pages) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0].decode("ascii", "replace")
    found = pages.get(path)
    if method not in (b"GET", b"HEAD"):
        page = Page(HTTPStatus.METHOD_NOT_ALLOWED, b"Only GET is answered here.\n")
    elif found is None:
        known = " ".join(sorted(pages))
        page = Page(HTTPStatus.NOT_FOUND, f"There is nothing here; there is {known}.\n".encode())
    else:
        page = found()
    lines = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == b"HEAD" else page.body)
