"""What the agent's state says about files that a command looks at; the state is only read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import partial

from auditwatch.agent.offline import WATCHED
from auditwatch.errors import Unreadable
from auditwatch.files.opening import opened
from auditwatch.files.reading import fingerprint
from auditwatch.host.births import born_ns
from auditwatch.ledger.blocks import blocks_of
from auditwatch.ledger.segment import Segment
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
    with closing(blocks) if blocks is not None else nullcontext():
        yield partial(_recorded, blocks, segments)


def _segments(store: Store) -> Iterator[tuple[str, tuple[str, Segment]]]:
    """Path of each known file, with its trail and what is known of it; last what is watched, and so up to date."""
    watched = json.loads(store.get(WATCHED) or "[]")
    for key in sorted(store.keys(), key=lambda key: key in watched):
        state = store.load(key)
        directory = os.path.dirname(key.partition("=")[2])
        for segment in state.files if state else ():
            if segment.packed:
                continue  # blocks are those of the file as it was before
            yield os.path.join(segment.directory or directory, segment.name), (key, segment)


def _recorded(
    blocks: BlockStore | None, segments: dict[str, tuple[str, Segment]], path: str, rules: Rules
) -> RecordedBlocks:
    key, segment = segments.get(os.path.abspath(path), ("", None))
    if segment is None or not _is_still_it(segment, path):
        return RecordedBlocks(lambda _k: None, 0)
    number, rules_id, position = segment.number, rules.reports_id, segment.anchor.position
    if blocks is None:
        return RecordedBlocks(lambda _k: None, 0, position, blocks_of(segment))
    known = blocks.count(key, number, rules_id)
    return RecordedBlocks(partial(blocks.block, key, number, rules_id), known, position, blocks_of(segment))


def _is_still_it(segment: Segment, path: str) -> bool:
    """Whether this is the file that the agent knows by this name; a new one after a rotation has no history yet."""
    head = segment.anchor.head
    try:
        with opened(path) as descriptor:
            status, born = os.fstat(descriptor), born_ns(descriptor)
            is_as_old = born == segment.born_ns or not (born and segment.born_ns)
            if is_as_old and (status.st_dev, status.st_ino) == (segment.device, segment.inode):
                return True
            return head.length > 0 and fingerprint(descriptor, 0, head.length).hex() == head.digest
    except Unreadable:
        return False  # the validation will say so
