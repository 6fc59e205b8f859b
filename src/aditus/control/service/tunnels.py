"""What is live now, tunnels and streams, as the relays see them; and which streams there were."""

import dataclasses

from aditus.control import audit
from aditus.control.service import inputs
from aditus.control.service.context import Context, permitted, unfound
from aditus.domain import names
from aditus.domain.model import Caller, Page
from aditus.domain.policy import Operation
from aditus.domain.relays import StreamRecord, StreamView, TunnelView
from aditus.store import stream_records
from aditus.store.stream_records import Traffic, Wanted


class Tunnels:
    """The use cases of live tunnels. `locator` `0` is the caller's own subscription."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, caller: Caller, locator: str) -> tuple[TunnelView, ...]:
        """The live tunnels, oldest first."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.TUNNELS_LIST, locator)
        return tuple(self._context.relays.tunnels(subscription.subscription_id))

    def streams(self, caller: Caller, locator: str) -> tuple[StreamView, ...]:
        """The live streams, oldest first."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.STREAMS_LIST, locator)
        return tuple(self._context.relays.streams(subscription.subscription_id))

    def stream_records(
        self,
        caller: Caller,
        locator: str,
        wanted: Wanted,
        *,
        cursor: str = "",
        limit: int = inputs.DEFAULT_PAGE,
    ) -> Page[StreamRecord]:
        """A page of finished streams, the last that was reported first; `limit` 1 to 500."""
        limit, before = inputs.page_size(limit), inputs.row(cursor)
        if wanted.access_key_id:
            wanted = dataclasses.replace(wanted, access_key_id=names.access_key_id(wanted.access_key_id))
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.STREAMS_LIST, locator)
            found = stream_records.page(
                tx, subscription.subscription_id, wanted, self._context.now(), before=before, limit=limit + 1
            )
        items = found[:limit]
        return Page(items, str(items[-1].record_id) if len(found) > limit else "")

    def traffic(self, caller: Caller, locator: str, region: str, since: float) -> Traffic:
        """What the streams of a region carried that finished since then (Unix seconds), or live now."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.STREAMS_LIST, locator, region)
            finished = stream_records.traffic(tx, subscription.subscription_id, region, since)
        tunnels = self._context.relays.tunnels(subscription.subscription_id)
        here = {one.tunnel_id for one in tunnels if one.region == region}
        streams = self._context.relays.streams(subscription.subscription_id)
        live = [one for one in streams if one.tunnel_id in here]
        return Traffic(
            finished.streams + len(live),
            finished.bytes_in + sum(one.bytes_in for one in live),
            finished.bytes_out + sum(one.bytes_out for one in live),
        )

    def cut(self, caller: Caller, locator: str, tunnel_id: str) -> None:
        """End one tunnel. Its agent may come back: to keep it out, suspend or revoke its key."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.TUNNELS_CUT, locator)
        live = self._context.relays.tunnels(subscription.subscription_id)
        tunnel = next((one for one in live if one.tunnel_id == tunnel_id), None)
        if tunnel is None or not self._context.relays.cut_tunnel(subscription.subscription_id, tunnel_id):
            raise unfound("tunnel", "`aditus tunnels list` shows those that live now.")
        with self._context.database.write() as tx:
            audit.record(
                tx,
                caller,
                "tunnel.cut",
                tunnel_id,
                tunnel.access_key_id,
                self._context.now(),
                subscription=subscription,
                region=tunnel.region,
                details={"key_id": tunnel.key_id, "instance": tunnel.instance},
            )
