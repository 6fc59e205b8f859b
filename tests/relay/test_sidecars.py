"""How sidecars get in: the same two steps as agents, by credentials of apps; and what they may say."""

import dataclasses
import time

import pytest

from aditus.crypto.keys import generate_pair, random_id
from aditus.crypto.proof import KeySigner
from aditus.domain.keytext import format_app_secret, parse_app_secret
from aditus.domain.relays import RelayApp, RelayCredential
from aditus.relay.app_ring import AppRing
from aditus.relay.keyring import MAX_DEAD
from aditus.wire import frames
from aditus.wire.errors import ResetReason
from aditus.wire.frames import FrameType, PortVerdict, Role, Status, Verdict
from tests.ends import Target, free_port, until
from tests.raw import HandAgent, Wire, upgrade
from tests.relay.test_guard import hand
from tests.world import SUBSCRIPTION, App, Site


async def knock(site: Site, bearer: str = "", path: str = "/attach") -> tuple[int, str]:
    """The status and reason of an upgrade."""
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        answer = await wire.ask(path, upgrade(site.relay_url, bearer))
        return answer.status, answer.reason


async def hand_sidecar(site: Site, app: App) -> HandAgent:
    return await HandAgent.dial(site.relay_url, site.trust, app.signer(), "/attach")


async def status(sidecar: HandAgent) -> Status:
    _, count, payload = await sidecar.hear(FrameType.STATUS)
    return frames.decode_status(count, payload)


async def attach(site: Site, app: App) -> HandAgent:
    """A sidecar made by hand, up to its first STATUS, which it leaves unread."""
    sidecar = await hand_sidecar(site, app)
    await sidecar.wire.say(sidecar.hello(role=Role.SIDECAR))
    return sidecar


async def test_who_has_no_good_proof_is_refused_as_an_agent_is(site: Site) -> None:
    app, now = site.make_app(), time.time()
    here = site.relay_url.audience
    stranger = KeySigner(parse_app_secret(format_app_secret(random_id(), generate_pair().secret).reveal()))
    forged = KeySigner(
        parse_app_secret(format_app_secret(app.signer().key_id, generate_pair().secret).reveal())
    )
    assert await knock(site) == (401, "bad-proof")
    assert await knock(site, "no proof") == (401, "bad-proof")
    assert await knock(site, stranger.bearer(here, now)) == (401, "bad-proof")
    assert await knock(site, forged.bearer(here, now)) == (401, "bad-proof")
    assert await knock(site, app.signer().bearer("elsewhere.example", now)) == (401, "bad-proof")
    assert await knock(site, app.signer().bearer(here, now - 3_600)) == (401, "clock-skew")
    assert await knock(site, site.make_key().signer().bearer(here, now)) == (401, "bad-proof")
    assert await knock(site, app.signer().bearer(here, now)) == (101, "")
    site.revoke_credential(app)
    assert await knock(site, app.signer().bearer(here, now)) == (403, "revoked")


async def test_an_apps_credential_is_no_key_and_a_plain_question_gets_no_answer(site: Site) -> None:
    app, key = site.make_app(), site.make_key()
    bearer = app.signer().bearer(site.relay_url.audience, time.time())
    assert await knock(site, bearer, "/connect") == (403, "wrong-region")
    assert await knock(site, bearer, key.url.path) == (403, "wrong-region")
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        answer = await wire.ask("/attach", {"Host": site.relay_url.audience})
        assert (answer.status, answer.reason) == (404, "no-such-url")


async def test_the_first_status_says_whose_sidecar_it_is_and_what_it_reaches(site: Site) -> None:
    key, port = site.make_key(expires_at=4_000_000_000.0), free_port()
    app = site.make_app("reports", key)
    async with hand(site, key, port), await attach(site, app) as sidecar:
        assert sidecar.connect_id == ""
        assert await status(sidecar) == Status(
            0, (PortVerdict(port, Verdict.SERVED),), 4_000_000_000, (), app.app_id, "reports"
        )
        [view] = site.relay.sidecars(SUBSCRIPTION)
        assert (view.app_id, view.credential_id) == (app.app_id, app.signer().key_id)
        assert site.relay.sidecars("another") == []
    await until(lambda: not site.relay.sidecars(SUBSCRIPTION), "it is gone")


@pytest.mark.parametrize(
    ("association", "warning"),
    [
        (("", ""), "the app is associated with no access key; an administrator can do that"),
        (("elsewhere0000", "eu"), "the app's access key is of region eu; dial a relay there"),
    ],
)
async def test_a_sidecar_that_can_reach_nothing_is_told_why(
    site: Site, association: tuple[str, str], warning: str
) -> None:
    app = site.make_app()
    key_id, region = association
    site.change_app(app, key_id=key_id, region=region)
    async with await attach(site, app) as sidecar:
        told = await status(sidecar)
        assert (told.ports, told.warnings) == ((), (warning,))


async def test_the_challenge_is_signed_by_the_credential_in_the_role_of_a_sidecar(site: Site) -> None:
    app = site.make_app()
    for details in ({}, {"role": Role.SIDECAR, "signature": bytes(64)}):
        async with await hand_sidecar(site, app) as sidecar:
            await sidecar.wire.say(sidecar.hello(**details))
            assert await sidecar.wire.closed() == (1002, "protocol")
    assert site.relay.sidecars(SUBSCRIPTION) == []


async def test_a_sidecar_offers_nothing(site: Site) -> None:
    async with await attach(site, site.make_app()) as sidecar:
        await status(sidecar)
        await sidecar.wire.say(frames.encode_offer(frames.Offer(1, (5432,))))
        assert await sidecar.wire.closed() == (1002, "protocol")


async def test_a_newer_session_of_the_same_sidecar_takes_its_place(site: Site) -> None:
    app = site.make_app()
    async with await attach(site, app) as old:
        await status(old)
        async with await hand_sidecar(site, app) as new:
            new.instance = old.instance
            await new.wire.say(new.hello(role=Role.SIDECAR))
            await status(new)
            assert await old.wire.closed() == (4001, "superseded")
            assert len(site.relay.sidecars(SUBSCRIPTION)) == 1


async def test_each_open_is_judged_by_the_association_of_its_moment(site: Site) -> None:
    with Target() as service:
        key = site.make_key()
        [port] = await site.offer(key, service)
        app = site.make_app(key=key)
        async with await attach(site, app) as sidecar:
            await status(sidecar)
            await sidecar.wire.say(frames.encode_open(1, port, "127.0.0.1:5000"))
            await sidecar.hear(FrameType.ACCEPT)
            with await service.accept():
                await sidecar.wire.say(frames.encode_open(2, free_port()))
                assert (await sidecar.hear(FrameType.RESET))[1] == ResetReason.NO_AGENT
                [stream] = site.relay.streams(SUBSCRIPTION)
                assert stream.source == "127.0.0.1:5000"
                site.associate(app, None)
                assert (await sidecar.hear(FrameType.RESET))[1] == ResetReason.NOT_ASSOCIATED
            await sidecar.wire.say(frames.encode_open(3, port))
            assert (await sidecar.hear(FrameType.RESET))[1] == ResetReason.NOT_ASSOCIATED


async def test_who_connected_is_the_sidecars_address_with_the_port_that_it_says(site: Site) -> None:
    key, port = site.make_key(), free_port()
    app = site.make_app(key=key)
    async with hand(site, key, port) as agent, await attach(site, app) as sidecar:
        await status(sidecar)
        for number, said in enumerate(("10.1.2.3:77", "what:ever", "1.2.3.4:123456", ""), 1):
            await sidecar.wire.say(frames.encode_open(number, port, said))
        await until(lambda: agent.opened == 4, "the opens")
        sources = [stream.source for stream in site.relay.streams(SUBSCRIPTION)]
        assert sources == ["127.0.0.1:77", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"]


# --- what a relay remembers of apps -------------------------------------------------------------


def app_of(number: int, *, key_id: str = "", revoked: bool = False) -> RelayApp:
    credential = RelayCredential(f"c{number}", bytes(32), revoked)
    return RelayApp(f"a{number}", f"app {number}", SUBSCRIPTION, key_id, "", (credential,))


def test_dead_credentials_are_remembered_up_to_a_bound_and_the_oldest_go_first() -> None:
    ring = AppRing()
    ring.apply(app_of(number, revoked=True) for number in range(MAX_DEAD + 2))
    assert ring.credential("c0") is ring.credential("c1") is None
    assert ring.get("a0") is None
    assert ring.credential("c2") is not None
    assert ring.credential(f"c{MAX_DEAD + 1}") is not None


def test_an_app_that_changes_leaves_nothing_of_what_it_was() -> None:
    ring = AppRing()
    ring.apply([app_of(1, key_id="k1")])
    assert ring.of_key("k1") == ["a1"]
    ring.apply([dataclasses.replace(app_of(1, key_id="k2"), credentials=())])
    assert (ring.of_key("k1"), ring.of_key("k2")) == ([], ["a1"])
    assert ring.credential("c1") is None
    ring.apply([dataclasses.replace(app_of(1), credentials=())])
    assert ring.get("a1") is None
    assert ring.of_key("k2") == []
