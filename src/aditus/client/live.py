"""What is live by the API: tunnels and streams, those that ended, and what happens from now on."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from aditus.client.asking import Asking, rfc3339
from aditus.client.decode import decode
from aditus.client.http import segment
from aditus.domain.errors import AditusError, Code
from aditus.domain.happenings import Event, KeyEvent, QuotaEvent, TunnelChange, TunnelEvent
from aditus.domain.model import AccessKey, Quota
from aditus.domain.relays import StreamRecord, StreamView, TunnelView


class Live(Asking):
    """The tunnels and streams of one subscription, and its events."""

    def tunnels(self) -> tuple[TunnelView, ...]:
        """The live tunnels, oldest first."""
        return tuple(self._pages(TunnelView, f"{self._subscription}/tunnels", None))

    def streams(self) -> tuple[StreamView, ...]:
        """The live streams, oldest first."""
        return tuple(self._pages(StreamView, f"{self._subscription}/streams", None))

    def stream_records(
        self,
        *,
        access_key_id: str = "",
        port: int | None = None,
        reason: str = "",
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[StreamRecord]:
        """Finished streams of the last 7 days, newest first; asks for a page when it is needed."""
        given = {
            "access_key_id": access_key_id,
            "port": "" if port is None else str(port),
            "reason": reason,
            "since": rfc3339(since) or "",
            "until": rfc3339(until) or "",
        }
        wanted = {name: value for name, value in given.items() if value}
        return self._pages(StreamRecord, f"{self._subscription}/stream-records", wanted)

    def cut_tunnel(self, tunnel_id: str) -> None:
        """End one tunnel; its agent may come back."""
        self._http.request("DELETE", f"{self._subscription}/tunnels/{segment(tunnel_id)}")

    @contextlib.contextmanager
    def events(self) -> Iterator[Iterator[Event]]:
        """What happens to keys, tunnels and quotas since the block began: read the lists within it.

        The iterator ends only by raising: unavailable `events-lost` when some were, or the server's own word.
        Then read the lists anew, in a new block.
        """
        with self._http.followed(f"{self._subscription}/events") as lines:
            told = _told(lines)
            if next(told, ("", None))[0] != "ready":
                raise self._http.not_aditus("without events")
            yield self._events(told)

    def _events(self, told: Iterator[tuple[str, Any]]) -> Iterator[Event]:
        for kind, data in told:
            if kind == "key":
                yield KeyEvent(self._decoded(lambda data: decode(AccessKey, data), data))
            elif kind == "tunnel":
                yield self._decoded(_tunnel_event, data)
            elif kind == "quota":
                yield QuotaEvent(self._decoded(lambda data: decode(Quota, data), data))
            elif kind == "ended":
                raise AditusError(
                    Code.FORBIDDEN, str(data["reason"]), str(data["detail"]), remedy="Use another token."
                )
        raise AditusError(
            Code.UNAVAILABLE,
            "events-lost",
            "The stream of events has ended, and some may be lost.",
            remedy="Follow again, and read the lists anew.",
        )


def _told(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Server-sent events, each with its JSON."""
    kind, data = "", ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = line.removeprefix("data: ")
        elif not line and kind:
            yield kind, json.loads(data)
            kind, data = "", ""


def _tunnel_event(data: Any) -> TunnelEvent:
    return TunnelEvent(TunnelChange(data["change"]), decode(TunnelView, data["tunnel"]))
