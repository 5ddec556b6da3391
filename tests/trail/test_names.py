"""Names of trails and segments."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.names import distinct_names, printable, segment_order, trail_name


@given(st.text())
def test_every_path_gives_a_name_that_fits(path: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_-]*", trail_name(path))


@given(st.lists(st.sampled_from(["x.jsonl", "a/x.log", "x-2.jsonl", "X", "x-2-2.jsonl"])))
def test_no_two_paths_share_a_name(paths: list[str]) -> None:
    names = distinct_names(paths)
    assert len(set(names)) == len(paths)


def test_segments_are_put_in_order_with_the_active_one_last() -> None:
    in_order = [
        "audit-20250101T010203000000Z-0000000009.jsonl.zst",
        "audit-20250101T010203000000Z-0000000010.jsonl",
        "audit-2025-01-01.jsonl.gz",
        "audit.jsonl-20250102",
        "audit_20250103_14.backup",
        "audit.jsonl.10.gz",
        "audit.jsonl.2",
        "audit.jsonl.1",
        "audit.jsonl.backup",
        "audit.jsonl",
    ]
    found = sorted(sorted(in_order), key=lambda name: segment_order("audit.jsonl", name) or ())
    assert found == in_order


@pytest.mark.parametrize(
    "name",
    [
        *[
            "auditor.jsonl",
            "audit-old.jsonl",
            ".audit.jsonl.counters",
            "audit.jsonl.tmp",
            "audit.jsonl~",
            "audit-1.txt",
            "",
        ],
        *[
            "audit.jsonl.1.gz.tmp",
            "audit.jsonl.1.bak",
            "audit.jsonl.2.part",
            "audit.jsonl.1.swp",
            "audit-20250101.tar.gz",
        ],
    ],
)
def test_strangers_are_no_segments(name: str) -> None:
    assert segment_order("audit.jsonl", name) is None


@given(st.text(st.characters(codec=None)))
def test_a_printed_name_is_printable(name: str) -> None:
    assert printable(name).isprintable()
