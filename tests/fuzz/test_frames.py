"""Hostile frames over live sessions cost their own session and nothing else. `make fuzz` takes longer."""

import os
from pathlib import Path
from random import Random

import pytest

from aditus.wire.frames import Offer
from tests.conftest import FULL
from tests.fuzz import conversations
from tests.fuzz.fuzzer import Fuzzer

SEED = os.urandom(4).hex() if FULL else "aditus"
"""The same frames at each run, so that a red ring is red for the change at hand."""


async def fuzz(folder: Path, frames: int) -> Fuzzer:
    async with Fuzzer(folder, SEED) as fuzzer:
        while fuzzer.frames < frames:
            await fuzzer.session()
    return fuzzer


async def test_2_000_frames_end_no_session_but_their_own(tmp_path: Path) -> None:
    ended = (await fuzz(tmp_path, 2_000)).ends
    assert ended["goes on"] > 10
    assert ended["closed with 1002"] > 30


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_20_000_frames_end_no_session_but_their_own(tmp_path: Path) -> None:
    await fuzz(tmp_path, 20_000)


def test_a_seed_tells_the_same_conversation_again() -> None:
    one, other = (conversations.of_agent(Random("7/1"), (1, 2, 3), Offer(2, (5432,)), 20) for _ in range(2))
    assert one == other
