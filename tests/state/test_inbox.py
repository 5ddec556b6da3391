"""Requests arrive whole or not at all, and nothing in the inbox stops the agent."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from auditwatch.errors import NotApplied, StateError, StateUnwritable
from auditwatch.ledger.events import Scope
from auditwatch.state.inbox import Answer, Request, Seen, answer, await_answer, new_request_id, pending, submit

REQUEST = Request("0" * 32, 1000.0, Scope.IDS, "ann", "a crash in March", ("f0123456789",), "risk")


def put(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "inbox").mkdir(0o700, exist_ok=True)
    (tmp_path / "inbox" / name).write_bytes(content)
    (tmp_path / "inbox" / name).chmod(0o600)


def names(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "inbox"))


def test_a_request_is_read_as_it_was_written(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    assert pending(str(tmp_path)) == [REQUEST]


def test_an_answer_takes_the_request_out_and_is_forgotten_once_read(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    given = Answer(False, ("f0123456789",), "unknown")
    answer(str(tmp_path), REQUEST.id, given)
    assert pending(str(tmp_path)) == []
    assert await_answer(str(tmp_path), REQUEST.id, 0.0) == given
    assert names(tmp_path) == []


def test_requests_come_in_the_order_in_which_they_were_made_whatever_the_clocks_said(tmp_path: Path) -> None:
    for asked in (3.0, 1.0, 2.0):
        submit(str(tmp_path), replace(REQUEST, id=new_request_id(), asked=asked))
    assert [request.asked for request in pending(str(tmp_path))] == [3.0, 1.0, 2.0]


def test_what_the_asker_saw_is_in_the_request(tmp_path: Path) -> None:
    request = replace(REQUEST, scope=Scope.ALL, ids=(), seen={"risk": Seen(1_800_000_000.123456, 41)})
    submit(str(tmp_path), request)
    assert pending(str(tmp_path)) == [request]


def test_a_request_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    old = b'{"asked":1000.0,"scope":"all","by":"ann","reason":"r","ids":[],"trail":"risk","undo":false}'
    put(tmp_path, f"{'a' * 32}.request", old)
    assert [(request.scope, request.seen) for request in pending(str(tmp_path))] == [(Scope.ALL, {})]


def test_no_answer_in_time_leaves_the_request_in_the_inbox(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    now = [0.0]
    with pytest.raises(NotApplied, match="within 6 s; it stays in"):
        await_answer(
            str(tmp_path), REQUEST.id, 6.0, clock=lambda: now[0], pause=lambda _seconds: now.__setitem__(0, now[0] + 1)
        )
    assert now[0] == 6.0
    assert pending(str(tmp_path)) == [REQUEST]


def test_an_answer_that_comes_while_one_waits_is_seen(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    given = Answer(True)
    assert (
        await_answer(str(tmp_path), REQUEST.id, 9.0, pause=lambda _: answer(str(tmp_path), REQUEST.id, given)) == given
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 4096,
        b'{"asked": 1',
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b'{"asked":1,"scope":"ids","by":"a","reason":"r","ids":["../../x"],"trail":"","undo":false}',
        b'{"asked":1,"scope":"everything","by":"a","reason":"r","ids":[],"trail":"","undo":false}',
        b'{"asked":NaN,"scope":"all","by":"a","reason":"r","ids":[],"trail":"","undo":false}',
        b'{"asked":1,"scope":"all","by":"a","reason":"two\\nlines","ids":[],"trail":"","undo":false}',
        b'{"asked":1,"scope":"all","by":"\\ud800","reason":"r","ids":[],"trail":"","undo":false}',
        b'{"asked":1,"scope":"all","by":7,"reason":"r","ids":[],"trail":"","undo":false}',
        b'{"asked":1,"scope":"all","by":"a","reason":"r","ids":[],"trail":"","undo":false,"seen":[]}',
        b'{"asked":1,"scope":"all","by":"a","reason":"r","ids":[],"trail":"","undo":false,"seen":{"risk":41}}',
        b'{"asked":1,"scope":"all","by":"a","reason":"r","ids":[],"trail":"","undo":false,"number":-1}',
    ],
)
def test_what_is_no_request_is_set_aside_and_the_others_still_count(content: bytes, tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    put(tmp_path, f"{'a' * 32}.request", content)
    assert pending(str(tmp_path)) == [REQUEST]
    assert names(tmp_path) == [f"{'0' * 32}.request", f"{'a' * 32}.rejected"]


def test_links_pipes_directories_large_files_and_odd_names_are_set_aside_unread(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    inbox = tmp_path / "inbox"
    (tmp_path / "secret").write_bytes((inbox / f"{REQUEST.id}.request").read_bytes())
    os.symlink(tmp_path / "secret", inbox / f"{'1' * 32}.request")
    os.mkfifo(inbox / f"{'2' * 32}.request")
    os.mkdir(inbox / f"{'3' * 32}.request")
    with open(inbox / f"{'4' * 32}.request", "wb") as large:
        large.truncate(1 << 40)
    put(tmp_path, "odd name.request", (tmp_path / "secret").read_bytes())
    assert pending(str(tmp_path)) == [REQUEST]
    assert "odd name.rejected" in names(tmp_path)
    assert f"{'1' * 32}.rejected" in names(tmp_path)
    assert f"{'2' * 32}.rejected" in names(tmp_path)
    assert f"{'4' * 32}.rejected" in names(tmp_path)
    assert (tmp_path / "secret").exists()


def directory_with_content(path: Path) -> None:
    path.mkdir()
    (path / "something").touch()


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(path.parent)  # the path of a test is longer than a socket's name may be
        bound.bind(path.name)


def huge(path: Path) -> None:
    path.touch(0o600)
    os.truncate(path, 1 << 40)


ODD: list[tuple[Callable[[Path], object], str]] = [
    (Path.mkdir, "is not a regular file"),
    (directory_with_content, "is not a regular file"),
    (os.mkfifo, "is not a regular file"),
    (socket_at, "is not a regular file"),
    (lambda path: path.symlink_to("/etc/passwd"), "is a symbolic link"),
    (lambda path: path.symlink_to("nothing"), "is a symbolic link"),
    (huge, "is larger than 4 MiB"),
    (lambda path: path.write_bytes(b"{"), "is not a request that this version understands"),
]


@pytest.mark.parametrize(("make", "said"), ODD)
def test_whatever_lies_in_the_place_of_a_request_is_set_aside_once_and_costs_no_descriptor(
    make: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    submit(str(tmp_path), REQUEST)
    make(tmp_path / "inbox" / "x.request")
    before = len(os.listdir("/proc/self/fd"))
    complaints: list[str] = []
    for _ in range(3):
        assert pending(str(tmp_path), complaints.append) == [REQUEST]
    assert len(os.listdir("/proc/self/fd")) == before
    assert complaints == [f"{tmp_path}/inbox/x.request {said}, so it was not applied; it is now x.rejected"]


def test_what_was_set_aside_before_is_not_overwritten(tmp_path: Path) -> None:
    put(tmp_path, "x.rejected", b"evidence")
    put(tmp_path, "x.1.rejected", b"more")
    put(tmp_path, "x.request", b"rubbish")
    assert pending(str(tmp_path)) == []
    assert names(tmp_path) == ["x.1.rejected", "x.2.rejected", "x.rejected"]
    assert (tmp_path / "inbox" / "x.rejected").read_bytes() == b"evidence"


def complaints_about(tmp_path: Path) -> list[str]:
    complaints: list[str] = []
    assert pending(str(tmp_path), complaints.append) == []
    return complaints


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_request_that_others_may_have_written_is_set_aside(mode: int, tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    (tmp_path / "inbox" / f"{REQUEST.id}.request").chmod(mode)
    (complaint,) = complaints_about(tmp_path)
    assert f"may be written by others (mode {mode:04o}), so it was not applied" in complaint
    assert names(tmp_path) == [f"{REQUEST.id}.rejected"]


def test_an_inbox_in_which_others_may_write_is_not_read_and_nothing_is_put_there(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    (tmp_path / "inbox").chmod(0o770)
    (complaint,) = complaints_about(tmp_path)
    assert "may be written by others (mode 0770): no request in it is read" in complaint
    with pytest.raises(StateUnwritable, match="no request in it is read"):
        submit(str(tmp_path), REQUEST)
    (tmp_path / "inbox").chmod(0o700)
    assert pending(str(tmp_path)) == [REQUEST]


def test_an_inbox_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    (tmp_path / "inbox").rename(tmp_path / "elsewhere")
    (tmp_path / "inbox").symlink_to("elsewhere")
    (complaint,) = complaints_about(tmp_path)
    assert "inbox is not a directory: no request in it is read" in complaint


def test_a_state_directory_that_others_may_change_is_said_and_requests_still_count(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    tmp_path.chmod(0o775)
    complaints: list[str] = []
    assert pending(str(tmp_path), complaints.append) == [REQUEST]
    (complaint,) = complaints
    assert "may be written by others (mode 0775): others can change what the agent knows" in complaint


def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: only root can give files away")


def test_requests_and_inboxes_of_other_users_are_refused(tmp_path: Path) -> None:
    as_root()
    submit(str(tmp_path), REQUEST)
    os.chown(tmp_path / "inbox", 4242, 4242)
    (complaint,) = complaints_about(tmp_path)
    assert "inbox belongs to user 4242: no request in it is read" in complaint
    os.chown(tmp_path / "inbox", 0, 0)
    os.chown(tmp_path / "inbox" / f"{REQUEST.id}.request", 4242, 4242)
    (complaint,) = complaints_about(tmp_path)
    assert "belongs to user 4242, so it was not applied" in complaint


def test_root_believes_the_owner_of_the_state_and_the_owner_believes_root(tmp_path: Path) -> None:
    as_root()
    os.chown(tmp_path, 4242, 4242)
    submit(str(tmp_path), REQUEST)
    assert pending(str(tmp_path)) == [REQUEST]
    assert as_user(4242, tmp_path) == 1
    os.chown(tmp_path / "inbox" / f"{REQUEST.id}.request", 0, 4242)
    (tmp_path / "inbox" / f"{REQUEST.id}.request").chmod(0o640)
    assert as_user(4242, tmp_path) == 1


def test_a_request_that_the_agent_may_not_read_is_set_aside(tmp_path: Path) -> None:
    as_root()
    os.chown(tmp_path, 4242, 4242)
    submit(str(tmp_path), REQUEST)
    os.chown(tmp_path / "inbox" / f"{REQUEST.id}.request", 0, 0)
    assert as_user(4242, tmp_path) == 0
    assert names(tmp_path) == [f"{REQUEST.id}.rejected"]


def as_user(number: int, tmp_path: Path) -> int:
    """How many requests an agent of this user finds; its parent directories are opened before it becomes that user."""
    child = os.fork()
    if child == 0:
        try:
            os.chdir(tmp_path)
            os.setresgid(number, number, number)
            os.setresuid(number, number, number)
            os._exit(len(pending(".")))
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_half_written_files_are_not_looked_at(tmp_path: Path) -> None:
    put(tmp_path, f".{'b' * 32}.request.17.new", b'{"asked"')
    assert pending(str(tmp_path)) == []
    assert names(tmp_path) == [f".{'b' * 32}.request.17.new"]


def test_a_broken_answer_is_no_success(tmp_path: Path) -> None:
    for content in (b"", b'{"applied": 1, "unknown": [], "message": ""}', b"[]"):
        put(tmp_path, f"{REQUEST.id}.answer", content)
        assert await_answer(str(tmp_path), REQUEST.id, 0.0).applied is False


def test_answers_that_nobody_came_for_are_forgotten(tmp_path: Path) -> None:
    put(tmp_path, f"{'c' * 32}.answer", b"{}")
    os.utime(tmp_path / "inbox" / f"{'c' * 32}.answer", (1, 1))
    answer(str(tmp_path), REQUEST.id, Answer(True))
    assert names(tmp_path) == [f"{REQUEST.id}.answer"]


def test_the_inbox_is_for_the_agent_alone(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    inbox = tmp_path / "inbox"
    assert inbox.stat().st_mode & 0o777 == 0o700
    assert (inbox / f"{REQUEST.id}.request").stat().st_mode & 0o777 == 0o600


def test_what_root_asks_belongs_to_the_owner_of_the_state(tmp_path: Path) -> None:
    as_root()
    os.chown(tmp_path, 4242, 4243)
    submit(str(tmp_path), REQUEST)
    for path in (tmp_path / "inbox", tmp_path / "inbox" / f"{REQUEST.id}.request"):
        assert (path.stat().st_uid, path.stat().st_gid) == (4242, 4243)


def test_a_missing_or_blocked_state_directory_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no state directory"):
        submit(str(tmp_path / "none"), REQUEST)
    (tmp_path / "inbox").write_bytes(b"")
    with pytest.raises(StateUnwritable, match="cannot be written"):
        submit(str(tmp_path), REQUEST)
    assert pending(str(tmp_path)) == []


def test_a_request_is_plain_json_for_whoever_looks(tmp_path: Path) -> None:
    submit(str(tmp_path), REQUEST)
    fields = json.loads((tmp_path / "inbox" / f"{REQUEST.id}.request").read_text())
    assert fields["reason"] == "a crash in March"
