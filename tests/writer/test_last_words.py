"""Appends as the interpreter ends, and what else cannot work: stored, or one AuditWriteError and no warning."""

from __future__ import annotations

import asyncio
import warnings
from functools import partial

import pytest

from auditwatch import AuditWriteError, AuditWriter

TOLD = """
import asyncio, atexit, builtins, os
from auditwatch import AuditWriteError, AuditWriter

def tell(append, AuditWriteError=AuditWriteError, write=os.write):
    try:
        append()
    except AuditWriteError as error:
        write(1, f"{error.stored} {error.reason}\\n".encode())
    except BaseException as error:
        write(1, f"{type(error).__name__}: {error}\\n".encode())
    else:
        write(1, b"stored\\n")

class Last:
    # Its finaliser runs when nothing can be imported any more.
    def __init__(self, append, tell=tell):
        self.append, self.tell, self.itself = append, tell, self
        builtins.last = self
    def __del__(self):
        self.tell(self.append)

path, settings = sys.argv[1], eval(sys.argv[2])
"""

FIRST = (
    TOLD
    + """
writer = AuditWriter(path, **settings)
atexit.register(tell, lambda: writer.append({"a": 1}))
"""
)

OPENED = (
    TOLD
    + """
atexit.register(tell, lambda: AuditWriter(path, **settings).append({"a": 1}))
"""
)

ASYNC = (
    TOLD
    + """
async def main():
    async with AuditWriter(path, **settings) as writer:
        await writer.append_async({"a": 1})
atexit.register(tell, lambda: asyncio.run(main()))
"""
)

SETTINGS = [
    {}, {"durability": "interval"}, {"durability": "power"}, {"rotate_bytes": 50}, {"ballast_bytes": 4096},
    {"stamp": True},
]  # fmt: skip


@pytest.mark.parametrize("script", [FIRST, OPENED, ASYNC], ids=["first", "opened", "async"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_is_first_appended_by_an_exit_handler_is_stored(tmp_path, run, records, script, settings):
    trail = tmp_path / "audit.jsonl"
    assert run(script, trail, settings) == "stored\n"
    assert [record["a"] for record in records(trail)] == [1]


FINALISED = (
    TOLD
    + """
Last(lambda writer=AuditWriter(path, **settings): writer.append({"a": 1}))
"""
)

FINALISED_OPENED = (
    TOLD
    + """
Last(lambda AuditWriter=AuditWriter, path=path, settings=settings: AuditWriter(path, **settings).append({"a": 1}))
"""
)


@pytest.mark.parametrize("script", [FINALISED, FINALISED_OPENED], ids=["first", "opened"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_a_finaliser_appends_at_the_very_end_is_stored_or_fails_as_an_append_does(
    tmp_path, run, records, script, settings
):
    trail = tmp_path / "audit.jsonl"
    told = run(script, trail, settings)
    assert told in ("stored\n", "no other\n", "no unserialisable\n")
    assert len(records(trail) if trail.exists() else []) == (told == "stored\n")


async def answer(_):
    """No hook: its call does nothing."""


class Asynchronous:
    """No hook either."""

    async def __call__(self, _):
        """Do nothing."""


@pytest.mark.parametrize("name", ["default", "dumps", "on_failure"])
@pytest.mark.parametrize("hook", [answer, Asynchronous()], ids=["function", "object"])
def test_a_hook_that_is_async_is_refused_at_once(tmp_path, name, hook):
    with pytest.raises(ValueError, match=rf"^{name} must be .* not .*async"):
        AuditWriter(tmp_path / "audit.jsonl", **{name: hook})


@pytest.mark.parametrize("name", ["default", "dumps"])
def test_a_hook_that_answers_with_a_coroutine_is_one_error_without_a_warning(tmp_path, name):
    with AuditWriter(tmp_path / "audit.jsonl", **{name: partial(answer)}) as writer:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with pytest.raises(AuditWriteError, match=f"{name}= returned a coroutine") as caught:
                writer.append({"a": {1}})
        assert (warned, caught.value.reason) == ([], "unserialisable")


@pytest.mark.parametrize("path", ["missing/audit.jsonl", "directory", "/dev/null"])
def test_a_trail_that_cannot_be_opened_is_one_error_without_a_warning_about_what_is_counted(tmp_path, path):
    (tmp_path / "directory").mkdir()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(AuditWriteError, match="not opened"):
            AuditWriter(tmp_path / path)
    assert warned == []


def test_where_the_thread_of_a_loop_cannot_be_loaded_the_record_is_stored_all_the_same(tmp_path, records, monkeypatch):
    writer = AuditWriter(tmp_path / "audit.jsonl")

    def fail():
        raise ImportError("sys.meta_path is None, Python is likely shutting down")

    monkeypatch.setattr(writer, "_async_front", fail)
    asyncio.run(writer.append_async({"a": 1}))
    writer.close()
    assert [record["a"] for record in records(tmp_path / "audit.jsonl")] == [1]
