"""The page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from auditwatch.ledger.damage import Tally
from auditwatch.ledger.state import Standing
from auditwatch.ledger.writes import Writes
from auditwatch.trail.ids import write_failures_id
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.verdict import Trouble
from auditwatch.web.glosses import GLOSSES
from auditwatch.web.page import ALL_CELLS, MAX_CARDS, MAX_ROWS, render_page
from auditwatch.web.snapshot import Snapshot

VOID = {"meta", "link", "br", "img", "input"}


class Page(HTMLParser):
    """The page's tags, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(snapshot: Snapshot) -> Page:
    return Page(render_page(snapshot, snapshot.at))


def words(snapshot: Snapshot) -> str:
    return " ".join(" ".join(page(snapshot).words).split())


def test_the_page_nests_and_has_one_card_a_trail(populated: Snapshot) -> None:
    drawn = page(populated)
    assert drawn.open == []
    assert [card["aria-label"] for card in drawn.all("article")] == ["risk: damaged", "orders: unchecked"]


def test_a_link_leads_to_the_card_of_each_trail(populated: Snapshot) -> None:
    cards = [attrs["id"] for tag, attrs in Page(render_page(populated, populated.at)).tags if tag == "article"]
    assert sorted(str(card) for card in cards) == ["trail-orders", "trail-risk"]


def test_a_card_says_verdict_basis_counts_age_size_lines_growth_and_freshness(populated: Snapshot) -> None:
    text = words(populated)
    assert (
        "6 damaged lines found since watching began; 3 damaged lines were there before watching began; 1 viol" in text
    )
    for said in (
        "Basis: format",
        "9 open",
        "newest damage 1 min 40 s ago",
        "size 5.9 KiB in 2 files",
        "lines 60",
        "growth +40 lines",
        "pending 200 bytes for 1 min",
        "last full run 1 min 30 s ago every 7 d",
        "last sample never",
        "Full run 25.0 %",
    ):
        assert said.replace(" open", "") in text, said


def test_a_card_says_what_writers_counted_and_the_table_what_failed(populated: Snapshot) -> None:
    text = words(populated)
    for said in (
        "3 writes failed: their records may be missing.",
        "failed writes 3",
        "writes 1,200 stored 6 failed",
        "failed writes disk_full 4, lock_timeout 2",
        "last failed write 5 min ago",
        "waits for the lock 5 over 1 s, 2 timed out",
        "failed writes 3 records may be missing disk_full 2, lock_timeout 1 as counted by the producers",
        write_failures_id("risk"),
        "writes not counted",
    ):
        assert said in text, said
    assert text.index("failed writes 3 records may") < text.index("truncated")


def test_failed_writes_are_said_first_and_their_trail_before_other_whole_ones(build: Any) -> None:
    failing = build.trail(build.segment(9), name="failing", writes=build.writes())
    snapshot = build.snapshot(build.trail(build.segment(9), name="fine"), failing)
    assert [card["aria-label"] for card in page(snapshot).all("article")] == ["failing: whole", "fine: whole"]
    assert "2 whole 3 failed writes failing" in words(snapshot)


def test_counters_that_were_there_and_cannot_be_read_are_said(build: Any) -> None:
    writes = build.writes(trouble="/x: permission denied", open=())
    text = words(build.snapshot(build.trail(build.segment(9), writes=writes)))
    assert "writes 1,200 stored 6 failed counters /x: permission denied" in text
    assert "may be missing" not in text
    text = words(build.snapshot(build.trail(build.segment(9), writes=Writes(trouble="no <file>"))))
    assert "writes not counted: no <file>" in text


def test_green_says_what_it_does_not_mean(build: Any) -> None:
    text = words(build.snapshot(build.trail(build.segment(100))))
    assert "Every line is well-formed. Missing lines cannot be detected: no sequence numbers were checked." in text


def test_the_map_says_where_the_damage_is_without_colour(build: Any) -> None:
    segment = build.segment(12 << 20, findings=(build.finding(1, 5 << 20),))
    drawn = page(build.snapshot(build.trail(segment)))
    (label,) = [attrs["aria-label"] for attrs in drawn.all("div") if attrs.get("role") == "img"]
    assert label == "Map of 384 cells: 1 damaged, 383 whole. Damaged: a.jsonl, bytes 5,242,880 to 5,275,648."
    titles = [attrs["title"] for attrs in drawn.all("i") if "title" in attrs]
    assert titles[160] == "a.jsonl, bytes 5,242,880 to 5,275,648: damaged"


def test_findings_are_ranges_with_violations_first(populated: Snapshot) -> None:
    text = words(populated)
    places = [text.index(part) for part in ("truncated", "lines 3 to 4", "line 7", "line 9", "line 11")]
    assert places == sorted(places)
    assert "6 more: auditwatch findings" in text


def test_hashes_of_lines_are_not_on_the_page(populated: Snapshot) -> None:
    assert "5ec4e7" not in render_page(populated, populated.at)


def test_ten_thousand_findings_make_a_page_that_ends(build: Any) -> None:
    found = tuple(build.finding(line * 2, line * 20) for line in range(1, 10_001))
    segment = build.segment(1 << 20, findings=found, unlisted={Kind.TORN: Tally(90_000)})
    drawn = page(build.snapshot(build.trail(segment)))
    assert len([attrs for attrs in drawn.all("tr") if attrs.get("class") == "open"]) == MAX_ROWS
    assert "99,800 more: " in drawn.words


def test_very_many_trails_show_the_worst_and_count_the_rest(build: Any) -> None:
    whole = [build.trail(build.segment(1 << 33), name=f"t{k}") for k in range(MAX_CARDS + 50)]
    bad = build.trail(build.segment(9, findings=(build.finding(1, 0),)), name="bad")
    drawn = page(build.snapshot(*whole, bad))
    assert len(drawn.all("article")) == MAX_CARDS
    assert drawn.all("article")[0]["aria-label"] == "bad: damaged"
    assert len([attrs for attrs in drawn.all("i") if "title" in attrs]) <= ALL_CELLS
    assert "51 more trails, none worse than these: " in drawn.words


def test_hostile_names_are_only_ever_text(build: Any) -> None:
    evil = "<script>alert(1)</script>\"' onload=x {{7*7}}\u202e\x1b\udcff"
    trouble = Trouble("io_error", evil)
    segment = build.segment(9, name=evil, findings=(build.finding(1, 0, acknowledgement=build.note),))
    trail = replace(build.trail(segment, name=evil, standing=Standing.UNREADABLE, trouble=trouble), path=evil)
    text = render_page(build.snapshot(trail, host=evil), build.now)
    text.encode()
    drawn = Page(text)
    assert [attrs["src"] for attrs in drawn.all("script")] == ["static/auditwatch.js"]
    assert all(name not in attrs for _, attrs in drawn.tags for name in ("onload", "onclick", "style"))
    assert not {"\u202e", "\x1b"} & set(text)
    assert "49" not in "".join(drawn.words).split("as of")[0]


def test_the_page_asks_nobody_else_and_refreshes_itself_without_javascript(populated: Snapshot) -> None:
    drawn = page(populated)
    links = [attrs.get(key) for _, attrs in drawn.tags for key in ("src", "href") if key in attrs]
    assert links
    assert not [link for link in links if link is None or ":" in link or link.startswith("/")]
    assert {"http-equiv": "refresh", "content": "15"} in drawn.all("meta")


def test_no_trails_unsaved_state_and_a_refused_configuration_are_said(build: Any) -> None:
    text = words(build.snapshot(state_writable=False, config_last_reload_successful=False))
    assert "No trails are being watched." in text
    assert "The state cannot be saved." in text
    assert "The new configuration was rejected." in text


def test_every_kind_has_a_gloss() -> None:
    assert set(GLOSSES) == {*Kind, *Violation}
