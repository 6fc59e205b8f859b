"""An agent with several links to one relay: streams are spread over them, and a lost link costs its own."""

from contextlib import ExitStack
from pathlib import Path

from tests.ends import LOOPBACK, Target, free_port
from tests.world import Site


async def test_streams_are_spread_and_the_loss_of_one_link_costs_its_own_alone(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        with Target() as service, ExitStack() as ends:
            key, port = site.make_key(), free_port()
            site.start_agent(key, f"{port}:{LOOPBACK}:{service.port}", links=4)
            tunnels = await site.attached(key, tunnels=4)
            assert sorted(view.slot for view in tunnels) == [0, 1, 2, 3]

            pairs = []
            for number in range(8):
                app, there = await site.pair(port, service)
                pairs.append((ends.enter_context(app), ends.enter_context(there)))
                await app.send(b"%d" % number)
                assert await there.exactly(1) == b"%d" % number
            assert [view.streams for view in site.tunnels(key)] == [2, 2, 2, 2]

            [lost] = [view.tunnel_id for view in site.tunnels(key) if view.slot == 2]
            streams = site.relay.streams(key.subscription_id)
            on_lost = {stream.source for stream in streams if stream.tunnel_id == lost}
            assert site.relay.cut_tunnel(key.subscription_id, lost)
            for app, there in pairs:
                if "{}:{}".format(*app.sock.getsockname()) in on_lost:
                    await app.cut()
                else:
                    await there.send(b"still here")
                    assert await app.exactly(10) == b"still here"
            await site.attached(key, tunnels=4)  # the link that was lost is back
