"""The only place that dials private hosts: a spec, or nothing.

A stream is opened for an app port. If a spec offers that port its target is dialled; else the stream is
reset. No host ever comes from the wire. A spec that asks for it is probed: dialled now and then, and left.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections import Counter
from collections.abc import Sequence

from aditus.agent import proxy_protocol
from aditus.agent.addresses import only_when_named
from aditus.agent.settings import AgentSettings
from aditus.domain.spec import Spec
from aditus.net import tcp
from aditus.net.mux import MuxStream
from aditus.net.pump import Pump
from aditus.telemetry.complaints import Complaints
from aditus.telemetry.log import fields
from aditus.wire.errors import ResetReason
from aditus.wire.frames import Offer

_log = logging.getLogger(__name__)

PAYLOAD_SHOWN = 256
"""Bytes of each chunk that `--payload` logs."""


class TargetPump(Pump):
    """The pump of a stream whose target is being dialled, and then connected."""

    def __init__(self, stream: MuxStream, says_source: bool = False) -> None:
        super().__init__(ResetReason.TARGET_RESET)
        self._target_stream = stream
        self._says_source = says_source
        self.dialling: asyncio.Task[None] | None = None
        self.bind(stream)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self.dead:  # else it was cut since the target answered
            if self._says_source:
                host, port = transport.get_extra_info("peername")[:2]
                self.greet(proxy_protocol.header(self._target_stream.source, (host, port)))
            self._target_stream.accept()

    def cut(self, reason: ResetReason, detail: str) -> None:
        super().cut(reason, detail)
        if self.dialling is not None:
            self.dialling.cancel()


class PayloadPump(TargetPump):
    """Logs the first bytes of what passes. For `--payload` alone: payload may hold secrets."""

    def data(self, data: memoryview) -> None:
        _log.debug("to the target: %r", bytes(data[:PAYLOAD_SHOWN]), extra=fields(bytes=len(data)))
        super().data(data)

    def buffer_updated(self, nbytes: int) -> None:
        shown = bytes(self._target_stream.receive_buffer[: min(nbytes, PAYLOAD_SHOWN)])
        _log.debug("from the target: %r", shown, extra=fields(bytes=nbytes))
        super().buffer_updated(nbytes)


async def visit(spec: Spec, seconds: float) -> None:
    """Connect to the target of a spec, and leave in peace. Raises as `tcp.dial` does, or `TimeoutError`."""
    async with asyncio.timeout(seconds):
        sock = await tcp.dial(spec.host, spec.port, only_when_named)
    with sock, contextlib.suppress(OSError):  # it answered: what it does then is its own affair
        if spec.proxy_protocol:
            sock.send(proxy_protocol.LOCAL)


class Dialer:
    """Opens streams to the targets of the specs. Its dials live in the given task group."""

    def __init__(self, settings: AgentSettings, tasks: asyncio.TaskGroup) -> None:
        self._pump = PayloadPump if settings.log_payload else TargetPump
        self._seconds = settings.target_seconds
        self._tasks = tasks
        self._specs: dict[int, Spec] = {}
        self._failing: dict[int, ResetReason] = {}
        self._probes: dict[int, asyncio.Task[None]] = {}
        self._complaints = Complaints()
        self._closed = False
        self.failures: Counter[tuple[int, ResetReason]] = Counter()
        """Dials that failed since the start, by app port and reason."""
        self.change(settings.specs)

    @property
    def ports(self) -> tuple[int, ...]:
        """The app ports on offer, in the order of the specs."""
        return tuple(self._specs)

    def offer(self, revision: int) -> Offer:
        """All of them, as a relay is told."""
        aliases = tuple((spec.app_port, spec.alias) for spec in self._specs.values() if spec.alias)
        return Offer(revision, self.ports, aliases)

    @property
    def failing(self) -> dict[Spec, ResetReason]:
        """The specs whose last dial failed, and why."""
        return {self._specs[port]: reason for port, reason in self._failing.items()}

    def change(self, specs: Sequence[Spec]) -> set[int]:
        """Offer these from now on. The app ports that lead elsewhere than before, or nowhere any more."""
        before, self._specs = self._specs, {spec.app_port: spec for spec in specs}
        for port, old in before.items():
            if self._specs.get(port) != old and port in self._probes:
                self._probes.pop(port).cancel()
        for spec in specs:
            if spec.probe_seconds is not None and spec.app_port not in self._probes:
                self._probes[spec.app_port] = self._tasks.create_task(self._probe(spec, spec.probe_seconds))
        moved = {
            port
            for port, old in before.items()
            if port not in self._specs or self._specs[port].target != old.target
        }
        for port in moved:
            self._failing.pop(port, None)
        return moved

    def open(self, stream: MuxStream, port: int) -> None:
        """Dial the target of `port` for this stream, or reset the stream."""
        if self._closed:
            stream.reset(ResetReason.DRAIN)
            return
        spec = self._specs.get(port)
        if spec is None:
            self._complaints.warn("refused a stream: the port is not offered", port=port)
            stream.reset(ResetReason.PORT_NOT_OFFERED)
            return
        pump = self._pump(stream, spec.proxy_protocol)
        stream.end = pump
        pump.dialling = self._tasks.create_task(self._dial(spec, pump, stream))

    def close(self) -> None:
        """Dial and probe no more: tasks that end take in no new ones, and relays may still open streams."""
        self._closed = True
        for probe in self._probes.values():
            probe.cancel()

    async def _dial(self, spec: Spec, pump: TargetPump, stream: MuxStream) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await tcp.connect(spec.host, spec.port, pump, only_when_named)
        except (OSError, UnicodeError) as error:
            reason, detail = self._failed(spec, error)
            stream.reset(reason, detail)
        else:
            self._answered(spec)
            _log.debug("stream opened", extra=fields(spec=spec, source=stream.source))
        finally:
            pump.dialling = None

    async def _probe(self, spec: Spec, seconds: float) -> None:
        while True:
            try:
                await visit(spec, self._seconds)
            except (OSError, UnicodeError) as error:
                self._failed(spec, error)
            else:
                self._answered(spec)
            await asyncio.sleep(seconds)

    def _answered(self, spec: Spec) -> None:
        if self._is_offered(spec) and self._failing.pop(spec.app_port, None) is not None:
            _log.info("the target answers again", extra=fields(spec=spec))

    def _failed(self, spec: Spec, error: Exception) -> tuple[ResetReason, str]:
        reason, detail = self._why(error)
        self.failures[spec.app_port, reason] += 1
        if self._is_offered(spec):
            self._failing[spec.app_port] = reason
        self._complaints.warn(f"target failed: {detail}", spec, spec=spec, reason=reason.token)
        return reason, detail

    def _is_offered(self, spec: Spec) -> bool:
        """Whether the spec's app port still leads to the same target."""
        now = self._specs.get(spec.app_port)
        return now is not None and now.target == spec.target

    def _why(self, error: Exception) -> tuple[ResetReason, str]:
        """The reason for the app's side, without the private host, which must not leave its network."""
        if isinstance(error, TimeoutError):
            return ResetReason.TARGET_TIMEOUT, f"the target did not answer within {self._seconds:g} s"
        if isinstance(error, socket.gaierror | UnicodeError):
            return ResetReason.TARGET_UNRESOLVED, "the target's name has no address"
        if isinstance(error, tcp.Forbidden):
            return (
                ResetReason.TARGET_REFUSED,
                "the target's name leads to a link-local or metadata address: give it in the spec, if meant",
            )
        if isinstance(error, OSError) and error.errno:  # whose own text may name the host
            return ResetReason.TARGET_REFUSED, os.strerror(error.errno).lower()
        return ResetReason.TARGET_REFUSED, "the target refused the connection"
