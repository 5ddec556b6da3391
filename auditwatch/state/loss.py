"""Whether the state that is found at a start is the newest there was; decided from values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditwatch.state.step import Steps, TrailMark


@dataclass(frozen=True, slots=True)
class Loss:
    """What was known is lost, in whole or in part; stored until each trail that it concerns has said so.

    Attributes:
        at: When that was found.
        detail: One line for people.
        trails: What `state.step` remembers of each trail that was known, by digest.
        is_everything: Whether it is not known which trails were known: every one that is watched may have been.
    """

    at: float
    detail: str
    trails: Mapping[str, TrailMark] = field(default_factory=dict)
    is_everything: bool = False


@dataclass(frozen=True, slots=True)
class FoundStore:
    """What an intact store says of itself.

    Attributes:
        id: Its id.
        step: Its last transaction.
        supersedes: Whose `state.step` may still be there, as `author` has it; None if this store has its own.
    """

    id: str
    step: int
    supersedes: str | None


def author(steps: Steps | None) -> str:
    """The id of the store that `state.step` speaks of: empty if there is no such file, `?` if it is damaged."""
    if steps is None:
        return ""
    return steps.head.store if steps.head else "?"


def loss_at_start(
    at: float, fault: str | None, steps: Steps | None, boot: str, stored: Mapping[str, int], former: Loss | None
) -> Loss | None:
    """What has to be said of the trails; `former` itself if nothing more was lost.

    Args:
        at: Now.
        fault: Why the store is not the newest there was; None if it is.
        steps: What `state.step` says.
        boot: Which boot this is.
        stored: The transaction that last wrote each trail in the store, by the digest of the trail.
        former: An earlier loss of which some trails have not said so yet.
    """
    marks = steps.trails if steps else {}
    known = former.trails if former else {}
    fallen = {t: m for t, m in marks.items() if t not in known and _is_behind(stored.get(t), m, steps, boot)}
    if fault is None and not fallen:
        return former
    concerned = fallen if fault is None else {**{trail: TrailMark(trail) for trail in stored}, **marks}
    is_everything = fault is not None and (steps is None or steps.head is None)
    detail = fault or "what is stored of this trail is not the newest there was"
    if former:
        concerned, is_everything = {**known, **concerned}, is_everything or former.is_everything
    return Loss(at, detail, concerned, is_everything)


def _is_behind(step: int | None, mark: TrailMark, steps: Steps | None, boot: str) -> bool:
    """Whether a trail is missing in the store, or older there than this boot, or what is durable, left it."""
    head = steps.head if steps else None
    if step is None or head is None:
        return step is None
    return step < mark.step <= head.reached(boot)


def fault_of_store(store: FoundStore, steps: Steps | None, boot: str) -> str | None:
    """Why this intact store is not the newest there was; None if it is.

    Args:
        store: What it says of itself.
        steps: What `state.step` says; None if there is no such file.
        boot: Which boot this is.
    """
    head = steps.head if steps else None
    if store.supersedes == author(steps):
        return None
    if head is None:
        return "state.step, which says how far the state had come, is " + ("missing" if steps is None else "damaged")
    if head.store != store.id:
        return "the state is not the one that was stored here last"
    reached = head.reached(boot)
    if store.step < reached:
        return f"the state is at step {store.step}, and had been at step {reached}"
    return None


def remembered(mark: TrailMark | None) -> str:
    """What `state.step` still knows of a trail, as the end of a sentence; empty if nothing that matters.

    >>> remembered(TrailMark("", judged=90, open={"torn": 2}, violations=("v1",), violations_open=1))
    '; 90 bytes of the active file had been judged; open were torn 2, v1'
    >>> remembered(None)
    ''
    """
    if mark is None:
        return ""
    known = [f"{kind} {count}" for kind, count in mark.open.items()] + list(mark.violations)
    unnamed = mark.violations_open - len(mark.violations)
    if unnamed:
        known.append(f"and {unnamed} more violations")
    judged = f"; {mark.judged} bytes of the active file had been judged"
    return judged + (f"; open were {', '.join(known)}" if known else "")
