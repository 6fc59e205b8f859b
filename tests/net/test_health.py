"""The little server for health and metrics: a few fixed pages, and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from aditus.net import health
from aditus.net.health import Page
from tests.ends import LOOPBACK, Conversation


@pytest.fixture
async def port() -> AsyncIterator[int]:
    pages = {
        "/healthz": lambda: Page(HTTPStatus.OK, b"ok\n"),
        "/readyz": lambda: Page(HTTPStatus.SERVICE_UNAVAILABLE, b"no link is up\n"),
    }
    server = await health.serve(LOOPBACK, 0, pages)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def asked(port: int, request: bytes) -> bytes:
    with await Conversation.connect(port) as conversation:
        await conversation.send(request)
        return await conversation.rest()


async def test_a_page_is_answered_with_its_status(port: int) -> None:
    answer = await asked(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nok\n")
    assert b"Content-Length: 3\r\n" in answer
    answer = await asked(port, b"GET /readyz?verbose HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")


async def test_head_has_no_body(port: int) -> None:
    answer = await asked(port, b"HEAD /healthz HTTP/1.1\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 3\r\n" in answer


async def test_what_is_not_there_is_not_found_and_nothing_is_echoed(port: int) -> None:
    answer = await asked(port, b"GET /<script> HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"<script>" not in answer


async def test_only_questions_are_answered(port: int) -> None:
    assert (await asked(port, b"POST /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405 ")
    assert (await asked(port, b"\x00\xff\xfe\r\n\r\n")).startswith(b"HTTP/1.1 405 ")


async def test_a_request_that_is_too_long_or_has_no_end_gets_no_answer(port: int) -> None:
    with contextlib.suppress(ConnectionError):  # it is closed while there is more to read
        assert await asked(port, b"GET /" + b"x" * 20_000) == b""
    with await Conversation.connect(port) as conversation:
        await conversation.send(b"GET /healthz HTTP/1.1\r\n")
        conversation.finish()
        assert await conversation.rest() == b""


async def test_many_ask_at_once(port: int) -> None:
    answers = await asyncio.gather(*(asked(port, b"GET /healthz HTTP/1.1\r\n\r\n") for _ in range(50)))
    assert all(answer.endswith(b"ok\n") for answer in answers)
