"""A crowd of apps over a sidecar, before an agent that does not answer: it waits in the relay."""

from aditus.domain.model import KeyState
from aditus.relay.guard import PLACES
from tests.ends import free_port, until
from tests.relay.test_guard import Hands, crowd, hand
from tests.world import Site

CROWD = 400


async def full(agent: Hands) -> None:
    """Wait until the agent is asked for all of its places, and for no more."""
    await until(lambda: agent.opened >= PLACES, "its places are taken")
    assert await agent.catch_up() == PLACES


async def test_no_agent_is_asked_for_more_than_its_places_and_all_have_their_turn(site: Site) -> None:
    key, port = site.make_key(), free_port()
    app = site.make_app(key=key)
    async with hand(site, key, port) as agent:
        beside = site.start_sidecar(app)
        await beside.reaches(port)
        async with crowd(port, CROWD) as apps:
            for one in apps[-3:]:
                await one.send(b"said before it was its turn")
            await full(agent)
            while agent.opened < CROWD:
                await agent.accept(await agent.catch_up())
            await agent.accept(await agent.catch_up())
            for one in apps:
                assert await one.exactly(7) == b"welcome"


async def test_those_that_wait_for_an_agent_that_goes_are_reset(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with hand(site, key, port) as agent:
        beside = site.start_sidecar(site.make_app(key=key))
        await beside.reaches(port)
        async with crowd(port, CROWD) as apps:
            await full(agent)
            await agent.agent.wire.close()
            for one in apps:
                await one.cut()
        assert site.resources.budget.spent == 0


async def test_those_that_wait_lose_their_turn_with_their_right(site: Site) -> None:
    key, port = site.make_key(), free_port()
    app = site.make_app(key=key)
    async with hand(site, key, port) as agent:
        beside = site.start_sidecar(app)
        await beside.reaches(port)
        async with crowd(port, CROWD) as apps:
            await full(agent)
            site.associate(app, None)
            for one in apps:
                await one.cut()
        assert agent.opened == PLACES
    assert site.known(key).state is KeyState.ACTIVE
