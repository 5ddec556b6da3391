"""`AuditHandler`: log records as lines of a trail; whatever goes wrong, the program that logs goes on."""

from __future__ import annotations

import errno
import json
import logging
import logging.config
import os
import threading
from collections import Counter

import pytest

from auditwatch import AuditHandler, AuditWriteError
from auditwatch.trail import counters
from auditwatch.writer.timestamp import utc_text
from tests.writer.chains import stamps


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def complaints(capsys, monkeypatch):
    """What `handleError` wrote to standard error: `raiseExceptions` allows it here, unlike on the command line."""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    return lambda: capsys.readouterr().err


def failed(trail) -> dict[str, int]:
    total = counters.decode(trail.with_name(f".{trail.name}.counters").read_bytes()).total
    return {reason: count for reason, count in zip(counters.FAILURES, total.failed, strict=True) if count}


def test_a_log_record_is_one_line_with_its_time_level_logger_message_and_extra_members(attach, trail, records):
    attach().warning("limit %d reached", 5, extra={"details": {"symbol": "BTC-USD"}, "price": 64123.5})
    (record,) = records(trail)
    assert list(record) == ["timestamp", "level", "logger", "message", "details", "price"]
    assert list(record.values())[1:] == [
        "WARNING",
        "risk.manager",
        "limit 5 reached",
        {"symbol": "BTC-USD"},
        64123.5,
    ]


def test_the_time_is_that_of_the_log_call(attach, trail, records):
    logger = attach(timestamp_field="at")
    record = logger.makeRecord("x", logging.INFO, "f", 1, "m", (), None)
    record.created = 1_759_795_200.123456
    logger.handle(record)
    assert records(trail)[0]["at"] == utc_text(1_759_795_200_123_456_000) == "2025-10-07T00:00:00.123456+00:00"


def test_without_a_time_field_there_is_no_time(attach, trail, records):
    attach(timestamp_field=None).info("x")
    assert list(records(trail)[0]) == ["level", "logger", "message"]


def test_an_exception_and_a_stack_come_last(attach, trail, records):
    logger = attach()
    try:
        {}["missing"]
    except KeyError:
        logger.exception("failed", extra={"a": 1})
    logger.info("here", stack_info=True)
    first, second = records(trail)
    assert list(first)[-2:] == ["a", "exception"]
    assert (first["exception"]["type"], first["exception"]["message"]) == ("KeyError", "'missing'")
    assert first["exception"]["traceback"].startswith("Traceback (most recent call last):\n")
    assert second["stack"].startswith("Stack (most recent call last):\n")


def test_an_exception_that_came_from_another_process_as_text_is_kept(attach, trail, records):
    attach().handle(logging.makeLogRecord({"levelno": logging.INFO, "msg": "m", "exc_text": "Traceback: far away"}))
    assert records(trail)[0]["exception"] == {"traceback": "Traceback: far away"}


def test_extra_members_with_names_that_are_taken_are_kept_apart(attach, trail, records):
    extra = {"level": 3, "logger": "mine", "timestamp": "mine", "_seq": 7, "_auditwatch": 1, "exception": "e", "b": 2}
    attach(stamp=True).info("x", extra=extra)
    (record,) = records(trail)
    assert (record["level"], record["logger"], record["b"], record["_seq"]) == ("INFO", "risk.manager", 2, 1)
    assert record["extra"] == {name: value for name, value in extra.items() if name != "b"}
    assert stamps(trail) == [1]


def test_values_that_json_does_not_know_become_text_unless_told_otherwise(attach, trail, records):
    attach().info("x", extra={"path": trail, "when": {1}})
    attach(default=lambda _: "known").info("x", extra={"when": {1}})
    attach(dumps=lambda record: json.dumps({"own": record["message"]})).info("y")
    assert [record.get("when", record.get("own")) for record in records(trail)] == ["{1}", "known", "y"]


def test_a_formatter_changes_nothing(attach, trail, records):
    logger = attach()
    logger.handlers[0].setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    logger.info("x")
    assert records(trail)[0]["message"] == "x"


def test_levels_and_filters_decide_as_everywhere(attach, trail, records):
    logger = attach(level="WARNING")
    logger.handlers[0].addFilter(lambda record: record.getMessage() != "secret")
    for level, message in ((logging.INFO, "low"), (logging.ERROR, "secret"), (logging.ERROR, "told")):
        logger.log(level, message)
    assert [record["message"] for record in records(trail)] == ["told"]


def test_it_is_configured_from_a_dictionary_with_all_settings_of_the_writer(trail, records):
    handler = {"class": "auditwatch.AuditHandler", "path": str(trail), "level": "INFO", "stamp": True}
    try:
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {"audit": {**handler, "durability": "power"}},
                "loggers": {"test.of.auditwatch": {"handlers": ["audit"], "level": "DEBUG", "propagate": False}},
            }
        )
        logging.getLogger("test.of.auditwatch").info("KILL_SWITCH", extra={"by": "ops"})
        logging.getLogger("test.of.auditwatch").debug("not this")
    finally:
        logger = logging.getLogger("test.of.auditwatch")
        logger.handlers.pop().close()
    assert [record["message"] for record in records(trail)] == ["KILL_SWITCH"]
    assert stamps(trail) == [1]


def test_what_cannot_be_stored_goes_to_handle_error_and_is_counted(attach, trail, records, complaints, monkeypatch):
    logger, write = attach(), os.write

    def refuse(fd, data):
        os.write = write
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        logger.info("x")
    said = complaints()
    logger.info("next")
    assert [record["message"] for record in records(trail)] == ["next"]
    assert failed(trail) == {"disk_full": 1}
    assert "--- Logging error ---" in said
    assert "make room" in said


def test_a_line_that_nothing_fits_into_goes_to_handle_error(attach, trail, records, complaints):
    attach(max_line_bytes=60).info("x")
    assert records(trail) == []
    assert failed(trail) == {"too_long": 1}
    assert "the limit is 60" in complaints()


def test_where_logging_is_told_to_be_silent_about_errors_it_is(attach, trail, complaints, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    attach(max_line_bytes=2).info("x")
    assert complaints() == ""
    assert failed(trail) == {"too_long": 1}


def test_a_callable_hears_of_failures_instead(attach, trail, complaints):
    heard = []
    logger = attach(on_failure=heard.append)
    logger.handlers[0].close()
    logger.info("x")
    assert [error.reason for error in heard] == ["other"]
    assert complaints() == ""


def test_a_trail_that_cannot_be_opened_is_said_when_logging_is_set_up(tmp_path):
    with pytest.raises(AuditWriteError, match="create the directory"):
        AuditHandler(tmp_path / "none" / "audit.jsonl")


def test_what_is_logged_while_a_record_is_stored_is_stored_behind_it(attach, trail, records):
    def default(value):
        logger.info("odd value of type %s", type(value).__name__)
        return "odd"

    logger = attach(default=default)
    logger.info("x", extra={"odd": {1}})
    logger.info("y")
    assert [record["message"] for record in records(trail)] == ["x", "odd value of type set", "y"]


def test_a_hook_that_logs_whenever_it_is_called_ends_and_is_counted(attach, trail, records, complaints):
    def default(value):
        logger.info("again", extra={"odd": {1}})
        return "odd"

    logger = attach(default=default)
    logger.info("x", extra={"odd": {1}})
    assert [record["message"] for record in records(trail)] == ["x", "again"]
    assert failed(trail) == {"other": 1}
    assert "keeps logging further records" in complaints()


def test_a_callable_that_logs_its_failure_to_the_same_trail_ends(attach, trail, complaints):
    logger = attach(max_line_bytes=2, on_failure=lambda error: logger.error("audit write failed: %s", error.reason))
    logger.info("x")
    assert failed(trail) == {"too_long": 2, "other": 1}


def test_a_signal_handler_that_logs_while_the_writer_appends_is_stored_behind(attach, trail, records, monkeypatch):
    logger = attach()
    true_write = os.write

    def write(fd, data):
        monkeypatch.undo()
        written = true_write(fd, data)
        logger.info("signal")
        return written

    monkeypatch.setattr(os, "write", write)
    logger.handlers[0].writer.append({"message": "direct"})
    monkeypatch.setattr(os, "write", write)
    logger.info("logged")
    assert [record["message"] for record in records(trail)] == ["direct", "signal", "logged", "signal"]


@pytest.mark.concurrency
def test_threads_lose_nothing_and_share_syncs(attach, trail, records, monkeypatch):
    syncs = []
    true_sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: [syncs.append(fd), true_sync(fd)])
    logger = attach(durability="power")

    def work(who):
        for number in range(50):
            logger.info("x", extra={"who": who, "number": number})

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = records(trail)
    assert Counter(record["who"] for record in found) == dict.fromkeys(range(8), 50)
    for who in range(8):
        assert [record["number"] for record in found if record["who"] == who] == list(range(50))
    assert len(syncs) < 400


FORKING = """
import logging, os, threading
from auditwatch import AuditHandler
logger = logging.Logger("x")
logger.addHandler(AuditHandler(sys.argv[1], lock_timeout=30))
stop = threading.Event()
counts = []
def busy():
    number = 0
    while not stop.is_set():
        logger.info("parent"); number += 1
    counts.append(number)
threads = [threading.Thread(target=busy) for _ in range(3)]
[thread.start() for thread in threads]
for _ in range(20):
    child = os.fork()
    if child == 0:
        for _ in range(5): logger.info("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
[thread.join() for thread in threads]
print(sum(counts))
"""


@pytest.mark.concurrency
def test_forks_in_the_middle_of_logging_neither_hang_nor_lose(trail, run, records):
    parents = int(run(FORKING, trail))
    assert Counter(record["message"] for record in records(trail)) == {"parent": parents, "child": 100}


EXITING = """
import logging
from auditwatch import AuditHandler
logging.basicConfig(handlers=[AuditHandler(sys.argv[1], durability="interval", sync_interval=3600)], level="INFO")
logging.getLogger("x").info("last words")
"""


def test_the_end_of_the_program_closes_it_in_good_order(trail, run, records):
    assert run(EXITING, trail) == ""
    assert [record["message"] for record in records(trail)] == ["last words"]


def test_importing_the_package_does_not_import_logging(run):
    assert "logging" not in run("import auditwatch\nprint('AuditHandler' in dir(auditwatch), *sys.modules)").split()[1:]
