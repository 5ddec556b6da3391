"""`auditwatch append`, driven as the command line drives it."""

from __future__ import annotations

import subprocess

import pytest

from tests.writer.chains import stamps

COMMAND = """
from auditwatch.cli.append import command
from auditwatch.errors import AuditWriteError
try:
    sys.exit(command.main(sys.argv[1:], standalone_mode=False))
except AuditWriteError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_status)
"""


@pytest.fixture
def append(start):
    """Run the command over some input; hands over its status and what it said."""

    def run(data: bytes, *arguments: object) -> tuple[int, str]:
        process: subprocess.Popen[str] = start(COMMAND, *arguments)
        _, err = process.communicate(data.decode("latin-1"), timeout=60)
        return process.returncode, err

    return run


def test_good_lines_keep_their_bytes_and_bad_ones_are_named_by_number(append, tmp_path):
    path = tmp_path / "audit.jsonl"
    data = b'{ "a" : 1 }\r\n\n{"b":2}\n{"torn\n{"_seq":1}\n[1]\n{"last":1}'
    status, err = append(data, path)
    assert (status, path.read_bytes()) == (1, b'{ "a" : 1 }\r\n{"b":2}\n{"last":1}\n')
    assert [line.split(":")[0] for line in err.splitlines()] == ["line 2", "line 4", "line 5", "line 6"]
    assert "torn" in err.splitlines()[1]


def test_with_good_lines_only_the_status_is_zero_and_nothing_is_said(append, tmp_path):
    assert append(b'{"a":1}\n{"b":2}\n', tmp_path / "audit.jsonl") == (0, "")
    assert append(b"", tmp_path / "audit.jsonl") == (0, "")


@pytest.mark.parametrize(("length", "status"), [(1 << 20, 0), ((1 << 20) + 1, 1), (3 << 20, 1)])
def test_a_line_over_the_limit_is_bad_and_its_neighbours_are_stored(append, tmp_path, length, status):
    path = tmp_path / "audit.jsonl"
    long = b'{"a":"' + b"x" * (length - 8) + b'"}'
    assert append(b'{"a":1}\n' + long + b'\n{"a":2}\n', path)[0] == status
    assert path.read_bytes().count(b"\n") == 3 - status


def test_a_failed_write_is_status_three_and_says_how_far_the_input_came(append, tmp_path):
    assert append(b'{"a":1}\n', tmp_path / "none" / "audit.jsonl")[0] == 3
    lock = tmp_path / "lock"
    with lock.open("w") as holder:
        import fcntl

        fcntl.flock(holder, fcntl.LOCK_EX)
        path = tmp_path / "audit.jsonl"
        status, err = append(b'\n{"a":1}\n', path, "--lock-path", lock, "--lock-timeout", "0.05")
    assert status == 3
    assert "line 2 and everything after it" in err
    assert path.read_bytes() == b""


def test_stamped_lines_go_on_the_chain_that_was_there_and_keep_their_bytes_before_the_stamp(append, tmp_path):
    path = tmp_path / "audit.jsonl"
    assert append(b'{ "a" : 1.50 }\n', path, "--stamp") == (0, "")
    assert append(b'{"b":2}\n{"c":3}\n', path, "--stamp", "--durability", "power") == (0, "")
    assert path.read_bytes().startswith(b'{ "a" : 1.50,"_seq":1,"_prev":"000')
    assert stamps(path) == [1, 2, 3]


def test_a_line_that_only_its_stamp_makes_too_long_is_a_bad_line_and_no_failed_write(append, tmp_path, records):
    path = tmp_path / "audit.jsonl"
    long = b'{"a":"' + b"x" * ((1 << 20) - 8) + b'"}'
    status, err = append(long + b'\n{"a":2}\n', path, "--stamp")
    assert (status, err) == (1, "line 1: not stored: oversize once stamped\n")
    assert [record["a"] for record in records(path)] == [2]


def test_an_unknown_durability_is_named_with_those_there_are(append, tmp_path):
    _, err = append(b"", tmp_path / "audit.jsonl", "--durability", "forever")
    assert "'process', 'interval', 'power'" in err
