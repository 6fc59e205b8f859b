"""The SDK over the whole way: connections without a socket, their endings, and the examples of its page."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import aditus
from aditus.domain.errors import AditusError
from aditus.net.mux import Resources
from aditus.sidecar import sdk, streams
from aditus.sidecar.sdk import App as Attached
from aditus.sidecar.settings import SidecarSettings
from aditus.sidecar.sidecar import Sidecar
from aditus.wire.session import CONGESTED_ABOVE
from demo.postgres import PostgresServer
from tests.databases import postgres as postgres  # a fixture
from tests.ends import LOOPBACK, Conversation, Echo, Target, free_port, soon, until
from tests.world import App, Key, Running, Site

PAGE = Path(__file__).parent.parent.parent / "docs" / "sdk.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@dataclass
class Way:
    """An app that is attached with the SDK, and an agent that offers one service as `orders`."""

    key: Key
    agent: Running
    record: App
    app: Attached
    port: int

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self.app.open("orders", timeout=20)


def made(site: Site, record: App, **options: object) -> Attached:
    """What `aditus.app` makes of an app that the relay knows."""
    given = {
        "secret": record.secret.reveal(),
        "relay": f"wss://{site.relay_url.audience}",
        "ca_file": site.folder / "ca.pem",
        **options,
    }
    return aditus.app(record.name, **given)  # type: ignore[arg-type]


@asynccontextmanager
async def attached(site: Site, service: int) -> AsyncIterator[Way]:
    key, port = site.make_key(), free_port()
    agent = site.start_agent(key, f"{port}:{LOOPBACK}:{service},alias=orders")
    await site.attached(key)
    record = site.make_app(key=key)
    async with made(site, record) as app:
        yield Way(key, agent, record, app, port)


# --- attaching ----------------------------------------------------------------------------------


async def test_what_can_be_reached_is_known_at_once_and_follows_the_agents(site: Site) -> None:
    async with Echo() as service, attached(site, service.port) as way:
        assert way.app.ports == {way.port: "orders"}
        await way.agent.stop()
        await until(lambda: way.app.ports == {}, "nothing can be reached")
        with pytest.raises(ConnectionRefusedError, match="port-not-offered"):
            await way.open()


async def test_a_refused_credential_is_the_error_of_entering(site: Site) -> None:
    record = site.make_app()
    site.change_app(record, credentials=())
    with pytest.raises(AditusError) as refused:
        await soon(made(site, record).__aenter__())
    assert refused.value.reason == "bad-proof"


async def test_a_relay_that_does_not_answer_is_waited_for_only_so_long(site: Site) -> None:
    with Target() as silent:
        app = made(site, site.make_app(), relay=f"wss://localhost:{silent.port}", timeout=0.2)
        with pytest.raises(AditusError, match=r"within 0\.2 s: no link is up: localhost") as late:
            await soon(app.__aenter__())
        assert late.value.reason == "not-attached"


async def test_what_cannot_be_right_is_said_before_anything_is_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("ADITUS_APP_SECRET", "ADITUS_RELAY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(AditusError, match="neither secret= nor ADITUS_APP_SECRET"):
        aditus.app("reports", relay="wss://localhost")
    with pytest.raises(AditusError, match="The credential from secret= cannot be right") as typo:
        aditus.app("reports", secret="adta_typo", relay="wss://localhost")
    assert "typo" not in str(typo.value)


async def test_a_credential_without_a_relay_is_not_enough(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADITUS_RELAY", raising=False)
    with pytest.raises(AditusError, match="or set ADITUS_RELAY"):
        aditus.app("reports", secret=site.make_app().secret.reveal())


async def test_a_revoked_credential_is_said_by_whoever_opens_next(site: Site) -> None:
    async with Echo() as service, attached(site, service.port) as way:
        reader, _ = await way.open()
        site.revoke_credential(way.record)
        with pytest.raises(ConnectionResetError):
            await soon(reader.read())

        async def opens() -> None:
            while True:  # until the sidecar has heard it
                try:
                    await way.app.open("orders")
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)

        with pytest.raises(AditusError, match="revoked"):
            await soon(opens())


# --- bytes and their bounds ---------------------------------------------------------------------


async def test_much_more_than_any_window_arrives_whole_and_both_sides_end(site: Site) -> None:
    async with Echo() as service, attached(site, service.port) as way:
        said = bytes(range(256)) * 80_000
        reader, writer = await way.open()

        async def send() -> None:
            for start in range(0, len(said), 100_000):
                writer.write(said[start : start + 100_000])
                await writer.drain()
            writer.write_eof()

        sending = asyncio.create_task(send())
        assert await soon(reader.read(-1)) == said
        await sending
        writer.close()
        await soon(writer.wait_closed())


async def test_a_slow_service_makes_drain_wait_and_memory_stays_bounded(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            _, writer = await way.open()
            there = await service.accept()
            sent = 0
            try:
                while True:
                    writer.write(bytes(100_000))
                    sent += 100_000
                    async with asyncio.timeout(0.5):
                        await writer.drain()
            except TimeoutError:
                pass  # nobody reads
            assert 0 < writer.transport.get_write_buffer_size() <= CONGESTED_ABOVE + 100_000
            assert sent < 64 * 1024 * 1024
            drained = asyncio.create_task(writer.drain())
            assert len(await there.exactly(sent)) == sent
            await soon(drained)
            assert writer.transport.get_write_buffer_size() == 0


async def test_a_slow_reader_slows_the_service_and_gets_all_in_the_end(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            reader, _ = await way.open()
            there = await service.accept()
            sent = 0
            try:
                while True:
                    async with asyncio.timeout(0.5):
                        await there.send(bytes(100_000))
                    sent += 100_000
            except TimeoutError:
                pass  # nobody reads
            assert sent < 64 * 1024 * 1024
            assert len(reader._buffer) <= 1024 * 1024  # type: ignore[attr-defined]
            there.finish()
            assert len(await soon(reader.read(-1))) >= sent


# --- endings ------------------------------------------------------------------------------------


async def test_each_side_may_finish_first(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            reader, writer = await way.open()
            there = await service.accept()
            writer.write(b"question")
            writer.write_eof()
            assert await there.rest() == b"question"
            with pytest.raises(RuntimeError, match="write_eof"):
                writer.write(b"more")
            await there.send(b"answer")
            there.finish()
            assert await soon(reader.read(-1)) == b"answer"
            writer.close()
            reader, writer = await way.open()
            there = await service.accept()
            await there.send(b"greeting")
            there.finish()
            assert await soon(reader.read(-1)) == b"greeting"
            writer.write(b"goodbye")
            writer.close()
            assert await there.rest() == b"goodbye"


async def test_half_an_answer_never_reads_as_a_whole_one(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            reader, writer = await way.open()
            there = await service.accept()
            await there.send(b"half")
            assert await soon(reader.readexactly(4)) == b"half"
            there.reset()
            with pytest.raises(ConnectionResetError, match="target-reset: "):
                await soon(reader.read())
            with pytest.raises(ConnectionResetError):
                await writer.drain()
            writer.write(b"dropped, as on a socket")
            reader, _ = await way.open()
            await service.accept()
            site.revoke_now(way.key)
            with pytest.raises(ConnectionResetError, match="revoked: "):
                await soon(reader.read())


async def test_an_abort_is_a_reset_for_the_service(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            reader, writer = await way.open()
            there = await service.accept()
            writer.write(b"half")
            assert await there.exactly(4) == b"half"
            writer.transport.abort()
            await there.cut()
            assert await soon(reader.read()) == b""


async def test_what_was_written_before_close_arrives_also_when_the_app_leaves(site: Site) -> None:
    with Target() as service:
        said = bytes(range(256)) * 8_000
        async with attached(site, service.port) as way:
            _, writer = await way.open()
            there = await service.accept()
            writer.write(said)
            writer.close()

            async def listen() -> bytes:
                heard = await there.rest()
                there.close()
                return heard

            listening = asyncio.create_task(listen())
        assert await soon(listening) == said


async def test_what_is_open_when_the_app_leaves_is_reset(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            reader, _ = await way.open()
            there = await service.accept()
        await there.cut()
        with pytest.raises(ConnectionResetError):
            await soon(reader.read())
        with pytest.raises(RuntimeError, match="left"):
            await way.app.open("orders")


async def test_who_has_closed_hears_little_more_and_then_resets(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            _, writer = await way.open()
            there = await service.accept()
            writer.close()
            await soon(writer.wait_closed())
            assert await there.rest() == b""

            async def speak() -> None:
                while True:
                    await there.send(bytes(65_536))

            with pytest.raises(ConnectionError):
                await soon(speak())


async def test_who_closes_with_much_unread_resets_at_once(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            _, writer = await way.open()
            there = await service.accept()
            [transport] = way.app._streams
            transport.pause_reading()
            await there.send(bytes(60_000))
            await until(lambda: len(transport._waiting) == 60_000, "it waits")
            writer.close()
            await there.cut()


async def test_who_has_closed_waits_for_the_far_end_only_so_long(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LINGER_SECONDS", 0.05)
    with Target() as service:
        async with attached(site, service.port) as way:
            _, writer = await way.open()
            there = await service.accept()
            writer.close()
            assert await there.gone()
            await until(lambda: not way.app._streams, "it is forgotten")


# --- refusals -----------------------------------------------------------------------------------


async def test_a_refusal_has_its_reason(site: Site) -> None:
    async with attached(site, free_port()) as way:  # nobody listens there
        with pytest.raises(ConnectionRefusedError) as refused:
            await way.open()
        assert str(refused.value.strerror).startswith("target-refused: The service behind the agent")
        for unknown in (free_port(), "billing", ""):
            with pytest.raises(ConnectionRefusedError, match="port-not-offered"):
                await way.app.open(unknown)
            with pytest.raises(ConnectionRefusedError, match="port-not-offered"):
                async with way.app.local(unknown):
                    pytest.fail("there is no such service")
        assert way.app._streams == set()


async def test_open_never_waits_longer_than_told(site: Site) -> None:
    with Target() as service:
        async with attached(site, service.port) as way:
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                await way.app.open("orders", timeout=0)
            assert time.monotonic() - began < 5
            assert way.app._streams == set()


async def test_while_a_relay_leaves_open_waits_for_the_next_a_moment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "HOLD_SECONDS", 0.2)

    async def never(seconds: float) -> None:
        await asyncio.Event().wait()

    async with Echo() as service:
        [port] = await site.offer(key := site.make_key(), service)
        record = site.make_app(key=key)
        settings = SidecarSettings(record.name, (site.relay_url,), listen=None)
        sidecar = Sidecar(settings, record.signer(), site.trust, Resources(), pause=never)
        async with Attached(sidecar, 20) as app:
            site.relay.drain(60)
            await until(lambda: sidecar.is_moving, "the relay leaves")
            began = time.monotonic()
            with pytest.raises(ConnectionRefusedError, match="no-agent"):
                await app.open(port)
            assert time.monotonic() - began >= 0.2


async def test_an_app_is_entered_once_and_used_inside_alone(site: Site) -> None:
    async with Echo() as service, attached(site, service.port) as way:
        with pytest.raises(RuntimeError, match="once"):
            await way.app.__aenter__()
        with pytest.raises(RuntimeError, match="async with"):
            await made(site, way.record).open(1)


# --- local addresses and the page ---------------------------------------------------------------


async def test_a_local_address_is_there_while_its_block_runs(site: Site) -> None:
    async with Echo() as service, attached(site, service.port) as way:
        async with way.app.local("orders") as (host, port):
            with await Conversation.connect(port, host) as client:
                await client.send(b"through")
                assert await client.exactly(7) == b"through"
        with pytest.raises(ConnectionRefusedError):
            await Conversation.connect(port, host)


async def test_the_last_words_in_a_local_connection_arrive_and_one_that_stays_is_reset(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "LEAVE_SECONDS", 0.3)
    with Target() as service:
        async with attached(site, service.port) as way:
            async with way.app.local("orders") as (host, port):
                staying = await Conversation.connect(port, host)
                await service.accept()
                leaving = await Conversation.connect(port, host)
                there = await service.accept()
                await leaving.send(b"last words")
                leaving.close()
            await staying.cut()
            staying.close()
            assert await there.exactly(10) == b"last words"
            await service.accepted[0].cut()


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda number: f"example {number + 1}")
async def test_the_examples_of_the_page_run_as_they_stand(
    site: Site, number: int, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    example, folder = EXAMPLES[number], tmp_path_factory.mktemp("example")
    asks_postgres = "SELECT" in example
    async with Echo() as echo:
        key, port = site.make_key(), free_port()
        service = postgres.port if asks_postgres else echo.port
        site.start_agent(key, f"{port}:{LOOPBACK}:{service},alias=orders")
        await site.attached(key)
        app = site.make_app(key=key)
        relay, authority = f"wss://{site.relay_url.audience}", site.folder / "ca.pem"
        (folder / "reports.secret").write_text(app.secret.reveal())
        (folder / "reports.secret").chmod(0o600)
        (folder / "relay-ca.pem").write_bytes(authority.read_bytes())
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", example.replace("wss://relay.example.com", relay)),
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "ADITUS_APP_SECRET": app.secret.reveal(),
                "ADITUS_RELAY": relay,
                "SSL_CERT_FILE": str(authority),
                "PGPASSWORD": postgres.password,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await soon(program.communicate())
    assert (program.returncode, complained.decode()) == (0, "")
    if asks_postgres:
        assert "42" in said.decode()
    elif "readline" in example:
        assert said == b"b'hello\\n'\n"
    else:
        assert said.decode() == f"{{{port}: 'orders'}}\n"
