"""What the agent's state says about files that a command looks at; the state is only read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from auditwatch.state.blocks import BlockStore
from auditwatch.state.store import Store
from auditwatch.trail.rules import Rules
from auditwatch.validation.once.comparison import RecordedBlocks
from auditwatch.validation.once.paths import RecordedBlocksOf


@contextmanager
def recorded_blocks(state_dir: str) -> Iterator[RecordedBlocksOf]:
    """Gives what the agent with this state directory recorded about the file at a path.

    Raises:
        StateUnwritable: There is no state to read in the directory.
    """
    with closing(Store.read_only(state_dir)) as store:
        segments = dict(_segments(store))
    blocks = BlockStore.read_only(state_dir)
    if blocks is None:
        yield lambda _path, _rules: RecordedBlocks(lambda _k: None, 0)
        return
    with closing(blocks):
        yield partial(_recorded, blocks, segments)


def _segments(store: Store) -> Iterator[tuple[str, tuple[str, int]]]:
    """Path of each known file, with its trail and its number there."""
    for key in store.keys():  # noqa: SIM118  a store is not a dictionary
        state = store.load(key)
        directory = os.path.dirname(key.partition("=")[2])
        for segment in state.files if state else ():
            if segment.packed:
                continue  # blocks are those of the file as it was before
            yield os.path.join(directory, segment.name), (key, segment.number)


def _recorded(blocks: BlockStore, segments: dict[str, tuple[str, int]], path: str, rules: Rules) -> RecordedBlocks:
    key, number = segments.get(os.path.abspath(path), ("", 0))
    return RecordedBlocks(
        partial(blocks.block, key, number, rules.reports_id), blocks.count(key, number, rules.reports_id)
    )
