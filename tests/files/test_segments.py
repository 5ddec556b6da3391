"""Where closed segments are looked for; no symbolic link leads anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditwatch.files.segments import matching, segment_files


def touch(directory: Path, *names: str | bytes) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        Path(os.fsdecode(bytes(directory) + b"/" + os.fsencode(name))).touch()


def test_beside_the_trail_names_decide(tmp_path: Path) -> None:
    touch(tmp_path, "a.jsonl", "a.jsonl.1", "a-20260101.jsonl.gz", "b.jsonl", "a.jsonl.1.gz.tmp", "a.jsonl.bak")
    found = segment_files(str(tmp_path / "a.jsonl")).found
    assert sorted(found) == [("", "a-20260101.jsonl.gz"), ("", "a.jsonl.1")]


def test_in_further_directories_names_decide_as_well(tmp_path: Path) -> None:
    touch(tmp_path / "old", "a.jsonl.1", "b.jsonl.1", "a.jsonl")
    found = segment_files(str(tmp_path / "a.jsonl"), directories=[str(tmp_path / "old"), str(tmp_path / "gone")])
    assert (found.found, found.unlisted) == (((str(tmp_path / "old"), "a.jsonl.1"),), ())


def test_what_matches_a_pattern_needs_no_name_and_is_found_once(tmp_path: Path) -> None:
    old = tmp_path / "old"
    touch(tmp_path, "a.jsonl", "a.jsonl.1")
    touch(old, "first.jsonl", "second.jsonl.gz", "third.jsonl.tmp", ".hidden.jsonl", "a.jsonl.2")
    patterns = [f"{old}/*.jsonl*", f"{tmp_path}/a*", f"{old}/none-*"]
    found = segment_files(str(tmp_path / "a.jsonl"), patterns, [str(old)]).found
    assert sorted(found) == [
        ("", "a.jsonl.1"),
        (str(old), "a.jsonl.2"),
        (str(old), "first.jsonl"),
        (str(old), "second.jsonl.gz"),
    ]


def test_a_wildcard_for_a_directory_does_not_follow_links(tmp_path: Path) -> None:
    touch(tmp_path / "2026-01", "a.jsonl")
    touch(tmp_path / "elsewhere" / "deep", "a.jsonl")
    (tmp_path / "2026-02").symlink_to(tmp_path / "elsewhere" / "deep")
    assert list(matching(f"{tmp_path}/2026-*/a.*")) == [f"{tmp_path}/2026-01/a.jsonl"]


def test_hostile_names_are_names(tmp_path: Path) -> None:
    old = tmp_path / "old"
    touch(old, b"a.jsonl.\xff", "a[1].jsonl", "a\n.jsonl")
    found = segment_files(str(tmp_path / "a.jsonl"), [f"{old}/a*"]).found
    assert {os.fsencode(name) for _, name in found} == {b"a.jsonl.\xff", b"a[1].jsonl", b"a\n.jsonl"}


def test_a_directory_that_cannot_be_listed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_path: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", fails)
    assert segment_files(str(tmp_path / "a.jsonl"), directories=["/x"]).unlisted == ("", "/x")
