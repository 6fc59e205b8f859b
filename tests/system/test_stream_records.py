"""Over everything real: what a record says of a stream is what was moved through it."""

import asyncio
from pathlib import Path

from aditus.domain.relays import StreamRecord
from tests.ends import Target, soon
from tests.world import World

UP, DOWN = 3_000_000, 5_000_000


async def test_the_record_of_a_stream_has_all_bytes_that_were_moved(tmp_path: Path) -> None:
    async with World(tmp_path) as world:
        with Target() as service:
            key = await world.key("plant-1")
            [port] = await world.offer(key, service)
            app, there = await world.pair(port, service)
            with app, there:
                await soon(asyncio.gather(app.send(bytes(UP)), there.exactly(UP)))
                await soon(asyncio.gather(there.send(bytes(DOWN)), app.exactly(DOWN)))
                app.finish()
                assert await there.rest() == b""
                there.finish()
                assert await app.rest() == b""
            cut, other = await world.pair(port, service)
            with cut, other:
                await cut.send(b"half a")
                assert await other.exactly(6) == b"half a"
                await world.revoke(key)
                assert await cut.cut() == b""

            def asked() -> list[StreamRecord]:
                return list(world.client.stream_records(access_key_id="plant-1", port=port))

            records: list[StreamRecord] = []
            for _ in range(200):  # until the relay's next report is kept
                if len(records) < 2:
                    await asyncio.sleep(0.05)
                    records = await asyncio.to_thread(asked)
            last, first = records
            assert (first.bytes_in, first.bytes_out, first.reason) == (UP, DOWN, "closed")
            assert (last.bytes_in, last.bytes_out, last.reason) == (6, 0, "revoked")
            assert {record.key_id for record in records} == {key.key_id}
