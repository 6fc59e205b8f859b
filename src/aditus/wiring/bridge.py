"""`LiveRelays` over the relay of this process: from the control plane's threads to the relay's loop."""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from aditus.domain.errors import AditusError, Code
from aditus.domain.model import Cut
from aditus.domain.relays import KeyChanges, SidecarView, StreamView, TunnelView
from aditus.relay.relay import Relay
from aditus.telemetry.server_metrics import ServerMetrics

T = TypeVar("T")
ANSWER_SECONDS = 10.0
"""A relay's loop that does not answer for so long is stuck; the caller is told, and the commit stands."""


class LocalRelay:
    """Calls the relay on its own loop and waits for the answer. Usable from any other thread."""

    def __init__(self, relay: Relay, loop: asyncio.AbstractEventLoop, metrics: ServerMetrics) -> None:
        self._relay = relay
        self._loop = loop
        self._metrics = metrics

    def keys_changed(self, changes: KeyChanges, committed_at: float) -> Sequence[Cut]:
        cuts = self._call(lambda: self._relay.apply(changes, committed_at))
        if not any(cut.tunnels for cut in cuts):
            return cuts
        self._call(_turn)  # the loop closes what was cut in the turn after
        seconds = time.monotonic() - committed_at
        for cut in cuts:
            if cut.tunnels:
                self._metrics.cut_seconds.observe(seconds)
        return [replace(cut, milliseconds=round(seconds * 1000, 3)) if cut.tunnels else cut for cut in cuts]

    def would_cut(self, key_ids: Iterable[str]) -> Sequence[Cut]:
        return self._call(lambda: self._relay.would_cut(key_ids))

    def tunnels(self, subscription_id: str) -> Sequence[TunnelView]:
        return self._call(lambda: self._relay.tunnels(subscription_id))

    def streams(self, subscription_id: str) -> Sequence[StreamView]:
        return self._call(lambda: self._relay.streams(subscription_id))

    def sidecars(self, subscription_id: str) -> Sequence[SidecarView]:
        return self._call(lambda: self._relay.sidecars(subscription_id))

    def cut_tunnel(self, subscription_id: str, tunnel_id: str) -> bool:
        return self._call(lambda: self._relay.cut_tunnel(subscription_id, tunnel_id))

    def _call(self, work: Callable[[], T]) -> T:
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def on_loop() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
                raise

        try:
            self._loop.call_soon_threadsafe(on_loop)
        except RuntimeError as error:  # the loop is closed
            raise _unavailable() from error
        try:
            return future.result(ANSWER_SECONDS)
        except concurrent.futures.TimeoutError as error:
            raise _unavailable() from error


def _turn() -> None:
    """Nothing: that it was called means that the loop has turned."""


def _unavailable() -> AditusError:
    return AditusError(
        Code.UNAVAILABLE,
        "relay-unavailable",
        "The relay does not answer; what was changed is stored all the same.",
        remedy="It is stopping or overloaded: look at its log, and ask for the state again.",
    )
