"""What compressed neighbours hold, while a rotation gives them other names again and again."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from dataclasses import replace
from pathlib import Path

from auditwatch.agent.archives import _TRIES_BEFORE_GOING_ON, Archives, ArchiveServices
from auditwatch.agent.place import Place
from auditwatch.agent.prober import Prober
from auditwatch.agent.probes import Held, look
from auditwatch.ledger.events import Observed
from auditwatch.ledger.identity import expectation
from auditwatch.ledger.state import Policy, TrailState, begin
from auditwatch.validation.workers.pool import WorkerPool
from tests.agent.running import records


def test_a_look_waits_for_an_archive_that_is_renamed_each_time_before_it_is_read(trail: Path) -> None:
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(records(500)))
    place, held = Place(str(trail)), Held()
    state: TrailState = replace(begin("risk", Policy("rules")), first_seen=1.0)
    complaints: list[str] = []
    last = 3 + _TRIES_BEFORE_GOING_ON

    def seen(archives: Archives) -> Observed:
        return archives.filled(look(place, expectation(None), (), time.time, held), state)

    async def story() -> None:
        pool, prober = WorkerPool(1), Prober("test")
        archives = Archives(place, ArchiveServices(prober, pool, lambda: None, complaints.append, time.time, 30.0))
        try:
            for number in range(2, last + 1):
                assert seen(archives).is_unpacking
                os.rename(f"{trail}.{number - 1}.gz", f"{trail}.{number}.gz")
                await archives.wait()
            assert seen(archives).is_unpacking
            await archives.wait()
            found = seen(archives)
            assert not found.is_unpacking
            assert [(sight.name, sight.size) for sight in found.others or ()] == [
                (f"{trail.name}.{last}.gz", len(records(500)))
            ]
        finally:
            prober.close()
            await pool.close()

    asyncio.run(story())
    assert complaints == []
