"""What is live now: tunnels and streams, as the relays see them."""

from aditus.control import audit
from aditus.control.service import inputs
from aditus.control.service.context import Context, permitted, unfound
from aditus.domain.model import Caller, StreamView, TunnelView
from aditus.domain.policy import Operation


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

    def cut(self, caller: Caller, locator: str, tunnel_id: str) -> None:
        """End one tunnel. Its agent may come back: to keep it out, suspend or revoke its key."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.TUNNELS_CUT, locator)
        if not inputs.is_id(tunnel_id) or not self._context.relays.cut_tunnel(
            subscription.subscription_id, tunnel_id
        ):
            raise unfound("tunnel", "`aditus tunnels list` shows those that live now.")
        with self._context.database.write() as tx:
            audit.record(
                tx,
                caller,
                "tunnel.cut",
                tunnel_id,
                "",
                self._context.now(),
                subscription=subscription,
            )
