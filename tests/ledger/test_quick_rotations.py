"""Rotations that are faster than our looks, or whose compression is: nothing of them raises an alarm, all is judged."""

from __future__ import annotations

import pytest

from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import FileSight, Observed
from auditwatch.ledger.segment import Fingerprint
from tests.ledger.trails import NAME, POLICY, Trail

GOOD = b'{"event":"TRADE_APPROVED","id":1,"side":"buy","size":100}\n'


def lines(number: int, start: int) -> bytes:
    return b"".join(b'{"event":"A","n":%d}\n' % (start + n) for n in range(number))


def rotate(trail: Trail, gone: int = 0) -> None:
    """The cascade of names; as many of the oldest are removed."""
    numbers = sorted((int(name.rpartition(".")[2]) for name in trail.files if name != NAME), reverse=True)
    for number in numbers[:gone]:
        del trail.files[f"{NAME}.{number}"]
    for number in numbers[gone:]:
        trail.rename(f"{NAME}.{number}", f"{NAME}.{number + 1}")
    trail.rename(NAME, f"{NAME}.1")
    trail.create()


def rotated(count: int) -> Trail:
    trail = Trail(b"")
    trail.look()
    for number in range(count):
        trail.append(lines(number + 3, 100 * number))
        trail.look()
        rotate(trail)
        trail.look()
    return trail


def settle(trail: Trail) -> None:
    for _ in range(3):
        trail.now += POLICY.absence_seconds
        trail.look()


def check(trail: Trail) -> None:
    """Every line that lies there is judged once, and nothing is said."""
    settle(trail)
    assert trail.state.violations == ()
    found = {segment.name: segment.lines for segment in trail.state.files}
    assert found == {name: file.data.count(b"\n") for name, file in trail.files.items()}


def test_what_was_never_judged_is_read_before_its_archive_is_taken_for_another() -> None:
    """The directory went away right after a rotation; the kernel said where its files are."""
    trail = Trail(b"")
    trail.look()
    trail.append(lines(27, 0))
    (file,) = trail.files.values()
    trail.rename(NAME, f"{NAME}.1")
    trail.compress(f"{NAME}.1")
    trail.create()
    size = len(file.data)
    prints = (Fingerprint(), Fingerprint())
    archive = FileSight(f"{NAME}.1.gz", 1, 2, size, 0.0, packed=9, prints={1: prints}, directory="/away")
    born = trail.state.active.born_ns if trail.state.active else 0
    former = FileSight("", 1, file.inode, size, 0.0, *prints, born_ns=born)
    trail.step(Observed(trail.now, None, None, (archive,), former))
    assert [segment.name for segment in trail.state.files] == [NAME]
    check(trail)
    assert trail.state.appended_lines == 27


@pytest.mark.parametrize("kept", [f"{NAME}~", f"{NAME}.bak"])
def test_an_editor_that_keeps_the_old_file_and_saves_the_same_bytes_changed_nothing(kept: str) -> None:
    trail = Trail(lines(200, 0))
    trail.look()
    data = bytes(trail.files[NAME].data)
    trail.rename(NAME, kept)
    trail.create(data + GOOD)
    trail.look()
    settle(trail)
    assert trail.state.violations == ()
    assert (trail.state.appended_lines, trail.state.rotations) == (1, 0)


def test_retention_gets_no_verdict_while_a_rotation_is_not_seen_to_its_end() -> None:
    trail = rotated(2)
    trail.append(GOOD * 3)
    trail.look()
    del trail.files[f"{NAME}.2"], trail.files[f"{NAME}.1"]
    trail.look()
    whole = bytes(trail.files.pop(NAME).data)
    trail.create()
    trail.pack(whole[:20], f"{NAME}.1.gz", is_cut=True)
    settle(trail)
    assert (trail.state.violations, trail.state.expired) == ((), 0)
    trail.pack(whole, f"{NAME}.1.gz")
    check(trail)
    assert trail.state.expired == 2


def test_a_rotation_that_was_seen_before_what_it_took_away_still_explains_it() -> None:
    """What is missing is not looked for as long as a compressed file is in the making."""
    trail = rotated(4)
    trail.pack(b"", f"{NAME}.9.gz", is_cut=True)
    made = trail.files.pop(f"{NAME}.9.gz")
    rotate(trail, gone=3)
    trail.files[f"{NAME}.9.gz"] = made
    trail.look()
    assert trail.state.rotations == 5
    del trail.files[f"{NAME}.9.gz"]
    check(trail)
    assert trail.state.expired == 3


def test_a_file_that_was_compressed_before_anything_of_it_was_judged_is_found_by_its_size() -> None:
    trail = Trail(GOOD)
    trail.look()
    rotate(trail)
    trail.append(lines(40, 0))
    trail.glance()
    rotate(trail)
    trail.glance()
    rotate(trail)
    trail.compress(f"{NAME}.2")
    check(trail)
    assert trail.state.rotations == 3


def test_of_those_that_are_found_at_once_names_say_which_is_older() -> None:
    """The rotation before the last was missed: the active file of the last look is the younger of the two."""
    trail = rotated(1)
    trail.append(lines(20, 1000))
    rotate(trail)
    trail.compress(f"{NAME}.1")
    trail.files[f"{NAME}.2.gz"] = trail.files.pop(f"{NAME}.1.gz")
    trail.files[f"{NAME}.3"] = trail.files.pop(f"{NAME}.2")
    trail.rename(NAME, f"{NAME}.1")
    trail.create()
    trail.append(lines(30, 2000))
    trail.look()
    assert [segment.name for segment in trail.state.closed if not segment.vanished] == [
        f"{NAME}.3",
        f"{NAME}.2.gz",
        f"{NAME}.1",
    ]
    check(trail)


def test_an_empty_archive_of_the_next_rotation_is_not_the_one_that_had_its_name() -> None:
    """Two rotations of a file that nobody wrote to: each leaves an empty archive of one name, and retention goes on."""
    trail = rotated(1)
    trail.pack(b"", f"{NAME}.2.gz")
    trail.look()
    del trail.files[f"{NAME}.2.gz"], trail.files[f"{NAME}.1"]
    trail.append(lines(5, 1000))
    trail.look()
    trail.rename(NAME, f"{NAME}.1")
    trail.create()
    trail.pack(b"", f"{NAME}.2.gz")
    check(trail)
    assert trail.state.expired == 1


def test_an_archive_with_the_inode_of_another_segment_that_is_being_compressed_is_not_found_twice() -> None:
    trail = rotated(3)
    freed = trail.files.pop(f"{NAME}.2")
    trail.is_unpacking = True
    trail.compress(f"{NAME}.3")
    trail.now += 1
    trail.reuse(f"{NAME}.3.gz", freed.inode)
    trail.look()
    trail.look()
    trail.is_unpacking = False
    trail.pack(bytes(freed.data), f"{NAME}.2.gz")
    check(trail)
    assert trail.state.rotations == 3


def test_the_archive_of_the_active_file_is_not_taken_for_one_that_nobody_read() -> None:
    trail = rotated(1)
    trail.append(lines(20, 200))
    rotate(trail)
    trail.append(lines(30, 300))
    effects = trail.glance()
    reads = [effect for effect in effects if isinstance(effect, Read)]
    active = trail.state.active
    assert active
    trail.read(next(read for read in reads if read.segment == active.number))
    del trail.files[f"{NAME}.2"], trail.files[f"{NAME}.1"]
    trail.append(lines(30, 400))
    whole = bytes(trail.files.pop(NAME).data)
    trail.pack(whole, f"{NAME}.1.gz")
    trail.create(lines(7, 500))
    check(trail)


def rotate_packed(trail: Trail, keep: int = 3) -> None:
    """What logrotate does with `compress` and without `delaycompress`."""
    trail.files.pop(f"{NAME}.{keep}.gz", None)
    for number in range(keep - 1, 0, -1):
        if f"{NAME}.{number}.gz" in trail.files:
            trail.rename(f"{NAME}.{number}.gz", f"{NAME}.{number + 1}.gz")
    trail.rename(NAME, f"{NAME}.1")
    trail.compress(f"{NAME}.1")
    trail.create()


def test_names_are_not_settled_by_a_look_that_met_the_directory_away() -> None:
    """A rotation was seen, then the directory was away; after that the names were given to other files."""
    trail = Trail(b"")
    trail.look()
    for number in range(2):
        trail.append(lines(30, 100 * number))
        trail.look()
        rotate_packed(trail)
        trail.look()
    trail.append(lines(30, 400))
    trail.look()
    rotate_packed(trail)
    del trail.files[NAME]
    trail.look()
    trail.is_away = True
    trail.look()
    trail.is_away = False
    trail.create()
    for number in range(2):
        trail.append(lines(5, 500 + 10 * number))
        rotate_packed(trail)
    trail.append(lines(7, 600))
    trail.is_unpacking = True
    hidden = {name: trail.files.pop(name) for name in list(trail.files) if name != NAME}
    trail.look()
    trail.is_unpacking = False
    trail.files.update(hidden)
    trail.now += 60  # none of them is being written any more
    check(trail)
