"""Asking the running agent: directly, in time, and never believing an answer that is not an agent's."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from auditwatch.cli import sources
from auditwatch.cli.main import run
from auditwatch.errors import AgentSilent, UsageError

pytestmark = pytest.mark.concurrency


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    replies: ClassVar[dict[str, tuple[int, bytes]]] = {
        "/api/v1/status": (200, b'{"trails": []}'),
        "/page": (200, b"<html>"),
        "/bad": (400, b"trail: unknown\n"),
    }
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self.replies.get(self.path.partition("?")[0], (500, b""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_answer_is_read_whatever_proxy_the_environment_names(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert asked(url, "/api/v1/status") == {"trails": []}


def test_a_query_is_escaped(url: str) -> None:
    sources.fetch(url + "/", "/page", {"trail": "a&b=c d"})
    assert Answers.asked[-1] == "/page?trail=a%26b%3Dc+d"


def test_what_answers_with_something_else_is_no_agent(url: str) -> None:
    with pytest.raises(AgentSilent, match="but is not auditwatch"):
        asked(url, "/page")
    with pytest.raises(AgentSilent, match="answers 500"):
        asked(url, "/error")


def test_a_query_that_the_agent_refuses_is_usage(url: str) -> None:
    with pytest.raises(UsageError, match=r"^trail: unknown$"):
        asked(url, "/bad")


def stored(_directory: str) -> dict[str, Any]:
    raise AssertionError("an agent answers")


def asked(url: str, path: str) -> dict[str, Any]:
    return sources.answered(url, None, path, None, stored).content


@pytest.mark.parametrize("wrong", ["file:///etc/passwd", "ftp://x/", "nonsense", "http://"])
def test_what_is_no_http_url_is_usage(wrong: str) -> None:
    with pytest.raises(UsageError, match="is not a URL"):
        sources.fetch(wrong, "/")


def test_an_agent_without_trails_is_said_so(
    url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(Answers.replies, "/api/v1/status", (200, b'{"trails": [], "at": 0}'))
    assert run(["status", "--url", url]) == 0
    assert capfd.readouterr().out == "no trails are known\nas of never\n"
