"""A service that speaks the PROXY protocol sees the app's address: asked of a real HAProxy."""

import struct
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.agent import proxy_protocol
from tests.ends import LOOPBACK, Target, free_port
from tests.middleboxes import Middlebox
from tests.world import Site

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


class Saying(Middlebox):
    """HAProxy as a service that expects a PROXY header, and answers with the address that it was told."""

    program = "haproxy"

    def command(self, folder: Path) -> list[str]:
        (folder / "haproxy.cfg").write_text(
            f"""
            defaults
              mode http
              timeout connect 5s
              timeout client 60s
              timeout server 60s
            frontend here
              bind {LOOPBACK}:{self.port} accept-proxy
              http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port]"
            """.replace("\n            ", "\n")
        )
        return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


@pytest.mark.needs("haproxy")
async def test_haproxy_is_told_who_the_app_is(site: Site) -> None:
    key, port = site.make_key(), free_port()
    with Saying() as service:
        site.start_agent(key, f"{port}:{LOOPBACK}:{service.port},proxy-protocol")
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"GET / HTTP/1.0\r\n\r\n")
            answer = await app.rest()
            host, app_port = app.sock.getsockname()
            assert answer.endswith(f"{host}:{app_port}".encode())


async def test_the_header_goes_before_what_the_app_said_early_and_costs_it_nothing(site: Site) -> None:
    key, port = site.make_key(), free_port()
    with Target() as service:
        site.start_agent(key, f"{port}:{LOOPBACK}:{service.port},proxy-protocol")
        await site.attached(key)
        with await site.app(port) as app:
            sent = bytes(range(256)) * 4_096  # a mebibyte, of which much goes before the accept
            await app.send(sent[:10])
            there = await service.accept()
            header = await there.exactly(28)
            assert header[:12] == SIGNATURE
            await app.send(sent[10:])
            assert await there.exactly(len(sent)) == sent


async def test_other_specs_say_nothing_of_their_own(site: Site) -> None:
    key, port = site.make_key(), free_port()
    with Target() as service:
        site.start_agent(key, f"{port}:{LOOPBACK}:{service.port}")
        await site.attached(key)
        app, there = await site.pair(port, service)
        with app:
            await app.send(b"first")
            assert await there.exactly(5) == b"first"


# --- the header itself ------------------------------------------------------------------------

addresses = st.ip_addresses()
ports = st.integers(1, 65_535)


def text(address: object, port: int) -> str:
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


@given(addresses, ports, addresses, ports)
def test_a_header_has_both_addresses_in_one_family(
    app: object, app_port: int, service: object, service_port: int
) -> None:
    header = proxy_protocol.header(text(app, app_port), (str(service), service_port))
    assert header[:13] == SIGNATURE + b"\x21"
    is_ipv4 = ":" not in f"{app}{service}"
    assert header[13] == (0x11 if is_ipv4 else 0x21)
    size = 4 if is_ipv4 else 16
    (length,) = struct.unpack("!H", header[14:16])
    assert length == len(header) - 16 == 2 * size + 4
    told = ip_address(header[16 : 16 + size])
    assert told in (app, ip_address(f"::ffff:{app}") if ":" not in str(app) else app)
    assert struct.unpack("!HH", header[-4:]) == (app_port, service_port)


@pytest.mark.parametrize("source", ["", "unknown", "billing", "300.1.1.1:5", "1.2.3.4:x"])
def test_a_source_that_is_no_address_is_told_as_unknown(source: str) -> None:
    assert proxy_protocol.header(source, (LOOPBACK, 1)) == SIGNATURE + b"\x21\x00\x00\x00"
