"""What a request from the inbox means, and when it is refused; no agent and no file."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.agent.requests import event_of, objection, outcome
from auditwatch.ledger.advance import advance
from auditwatch.ledger.damage import Tally
from auditwatch.ledger.events import Scope
from auditwatch.ledger.state import TrailState
from auditwatch.state.inbox import Request, Seen
from auditwatch.trail.ids import unlisted_id, write_failures_id
from auditwatch.trail.kinds import Kind
from tests.ledger.trails import Trail

TORN = b'{"event":"TRADE_A\n'


def known() -> TrailState:
    trail = Trail(TORN * 2)
    trail.look()
    return trail.state


def asked(state: TrailState, **changes: object) -> Request:
    seen = {state.name: Seen(state.first_seen, state.step)}
    return replace(Request("0" * 32, 1.0, Scope.ALL, "ann", "r", trail=state.name, seen=seen), **changes)


def refused(request: Request, state: TrailState) -> str:
    found = objection(request, [state])
    return found.message if found else ""


def test_what_was_seen_of_this_state_is_applied() -> None:
    assert refused(asked(known()), known()) == ""
    assert event_of(asked(known()), known(), 5.0).step == known().step


def test_what_was_seen_of_a_state_that_is_lost_is_refused() -> None:
    state = known()
    for seen in (Seen(state.first_seen, state.step + 1), Seen(state.first_seen - 9, 1)):
        assert "begun anew" in refused(asked(state, seen={"risk": seen}), state)


def test_who_saw_no_state_at_all_meant_nothing_that_is_open_now() -> None:
    state = known()
    request = asked(state, seen={"risk": Seen(0.0, 0)})
    assert refused(request, state) == ""
    assert advance(state, event_of(request, state, 5.0)) == (state, ())


def test_single_findings_need_no_step_and_groups_do() -> None:
    state = known()
    (one, _) = state.active.findings
    single = asked(state, scope=Scope.IDS, ids=(one.id,), seen={}, trail="")
    assert refused(single, state) == ""
    state = replace(state, active=replace(state.active, unlisted={Kind.TORN: Tally(3)}))
    group = replace(single, ids=(unlisted_id("risk"),))
    assert "does not say what its asker saw" in refused(group, state)
    assert refused(replace(group, undo=True), state) == ""
    assert "no finding has the id w" in refused(replace(group, ids=(write_failures_id("risk"),)), state)


def test_the_answer_says_how_much_was_meant() -> None:
    state = known()
    after, _ = advance(state, event_of(asked(state), state, 5.0))
    assert outcome(asked(state), [state], [after]) == "acknowledged: 2 damaged lines"
    assert outcome(asked(after), [after], [after]) == "nothing was open"
    back = asked(after, scope=Scope.IDS, ids=(after.active.findings[0].id,), undo=True)
    again, _ = advance(after, event_of(back, after, 6.0))
    assert outcome(back, [after], [again]) == "open again: 1 damaged line"
    assert outcome(back, [again], [again]) == "nothing was acknowledged"
