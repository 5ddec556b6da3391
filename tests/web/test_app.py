"""The endpoints."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from auditwatch.runbooks import runbook, runbook_names
from auditwatch.web.app import AGES_SECONDS, STATIC, create_app
from auditwatch.web.snapshot import Snapshot

PATHS = (
    "/",
    "/metrics",
    "/-/healthy",
    "/-/ready",
    "/api/v1/status",
    "/api/v1/findings",
    *(f"/static/{n}" for n in STATIC),
    "/runbooks/AuditwatchTrailDamaged",
)


class Agent:
    """What the app renders; tests can change it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot, self.now, self.healthy, self.is_up = snapshot, snapshot.at, True, True
        app = create_app(lambda: self.snapshot, lambda: self.healthy, lambda: self.is_up, lambda: self.now)
        self.transport = httpx.ASGITransport(app=app)

    def request(self, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://agent") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(ask())

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.request("GET", path, headers)


@pytest.fixture
def agent(populated: Snapshot) -> Agent:
    return Agent(populated)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_get_and_head_and_nothing_else(agent: Agent, path: str) -> None:
    assert agent.get(path).status_code == 200
    head = agent.request("HEAD", path)
    assert head.status_code == 200
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert agent.request(method, path).status_code == 405


@pytest.mark.parametrize("alert", runbook_names())
def test_every_runbook_is_given_as_text(agent: Agent, alert: str) -> None:
    answer = agent.get(f"/runbooks/{alert}")
    assert answer.text == runbook(alert)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/api/v1/findings?kind=x"])
def test_every_answer_keeps_a_browser_from_doing_more_than_show(agent: Agent, path: str) -> None:
    headers = agent.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; script-src 'self'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/nothing", "/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/runbooks/", "/metrics/", "/.env"]
)
def test_unknown_paths_are_short_404s(agent: Agent, path: str) -> None:
    answer = agent.get(path)
    assert (answer.status_code, answer.text) == (404, "Not Found\n")


def test_metrics_name_their_format(agent: Agent) -> None:
    assert agent.get("/metrics").headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    asked = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"}
    answer = agent.get("/metrics", headers=asked)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert answer.text.endswith("# EOF\n")


def test_health_and_readiness_are_what_the_agent_says(agent: Agent) -> None:
    agent.healthy = False
    assert agent.get("/-/healthy").status_code == 503
    assert agent.get("/-/ready").status_code == 200
    agent.healthy, agent.is_up = True, False
    assert agent.get("/-/healthy").status_code == 200
    assert agent.get("/-/ready").status_code == 503


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/api/v1/findings", "/static/auditwatch.css"])
def test_what_did_not_change_is_not_sent_again(agent: Agent, path: str) -> None:
    first = agent.get(path)
    again = agent.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/api/v1/findings"])
def test_a_new_snapshot_is_sent(agent: Agent, path: str) -> None:
    tag = agent.get(path).headers["etag"]
    agent.snapshot = replace(agent.snapshot, revision=agent.snapshot.revision + 1, trails=())
    answer = agent.get(path, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert "orders" not in answer.text


def test_another_agent_on_the_same_address_is_sent(agent: Agent) -> None:
    tag = agent.get("/").headers["etag"]
    agent.snapshot = replace(agent.snapshot, agent=replace(agent.snapshot.agent, started=1.0))
    assert agent.get("/", headers={"If-None-Match": tag}).status_code == 200


def test_ages_on_the_page_do_not_stand_still(agent: Agent) -> None:
    first = agent.get("/")
    agent.now += AGES_SECONDS
    later = agent.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert later.status_code == 200
    assert "1 min 40 s ago" in first.text
    assert "1 min 55 s ago" in later.text


def test_findings_are_filtered_by_the_query(agent: Agent) -> None:
    def lines(query: str) -> list[int]:
        return [row["line"] for row in agent.get(f"/api/v1/findings?{query}").json()["findings"]]

    assert lines("") == [3, 4, 7, 9, 11]
    assert lines("kind=interleaved&trail=risk") == [3, 4]
    assert lines("open=true") == [3, 4, 7, 9]
    assert lines("open=false") == lines("")
    assert lines("trail=orders") == []
    assert lines("since=1900000000") == []


@pytest.mark.parametrize(
    "query", ["trail=none", "kind=<script>", "since=yesterday", "since=nan", "since=-1", "open=maybe"]
)
def test_a_query_that_is_not_understood_is_one_line_that_says_why(agent: Agent, query: str) -> None:
    answer = agent.get(f"/api/v1/findings?{query}")
    assert answer.status_code == 400
    assert answer.text.count("\n") == 1
    assert answer.text.startswith(query.partition("=")[0] + ":")
    assert "script" not in answer.text


def test_hostile_names_do_not_break_any_endpoint(agent: Agent, build: Any) -> None:
    segment = build.segment(9, name="\udcff\x00</script>", findings=(build.finding(1, 0),))
    agent.snapshot = build.snapshot(build.trail(segment, name='"\\\n\udcff'), host="\udcfe", revision=9)
    for path in PATHS:
        assert agent.get(path).status_code == 200
    assert "</script>\n" in agent.get("/").text
    assert "\\x00&lt;/script&gt;" in agent.get("/").text
