"""The judge: the kind of a line is a function of its bytes and the rules alone.

A sieve passes whole lines, many at once. Whatever it holds back goes to `explain`, which has the last word. So a sieve
may hold back too much, but must never let a line pass that is not whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditwatch.trail.judge.explain import explain, may_repeat_key
from auditwatch.trail.judge.json_schema import violates
from auditwatch.trail.judge.sieve import sieve_for
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules


class Judge:
    """Judges lines by one set of rules.

    >>> judge = Judge(Rules())
    >>> judge.kind_of(b'{"event":"START"}') is None, judge.kind_of(b'{"event":"STA')
    (True, <Kind.TORN: 'torn'>)
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._sieve = sieve_for(rules)
        self._looks_closer = bool(rules.strict or rules.schema)

    def kind_of(self, line: bytes) -> Kind | None:
        """What is wrong with one line, given without its newline; None if it is whole."""
        return None if self._sieve.passes(line) and not self._is_suspect(line) else explain(line, self.rules)

    def stretches(self, text: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, Kind | None]]:
        r"""The lines of a text from `start` to `end`, both at the beginning of a line.

        Yields:
            How many lines come next, the offset just after them, and None if they are whole, or the kind of the one.

        >>> text = b'{"a":1}\n{}\n{"b":\n{}\n'
        >>> [(lines, end) for lines, end, kind in Judge(Rules()).stretches(text, 0, len(text))]
        [(2, 11), (1, 17), (1, 20)]
        """
        at = start
        for lines, stop, passed in self._sieve.sift(text, start, end):
            if not passed:
                yield 1, stop, explain(bytes(text[at : stop - 1]), self.rules)
            elif self._looks_closer:
                yield from self._closer(bytes(text[at:stop]), at)
            else:
                yield lines, stop, None
            at = stop

    def damaged(self, lines: list[bytes]) -> Iterator[tuple[int, Kind]]:
        """The index and the kind of each line that is not whole, in order; lines are given without their newlines."""
        text, index = b"".join([line + b"\n" for line in lines]), 0
        for count, _, kind in self.stretches(text, 0, len(text)):
            if kind is not None:
                yield index, kind
            index += count

    def _closer(self, text: bytes, at: int) -> Iterator[tuple[int, int, Kind | None]]:
        """The same for lines that the sieve passed, where the rules ask for more than a sieve knows."""
        whole, end = 0, at
        for line in text[:-1].split(b"\n"):
            kind = explain(line, self.rules) if self._is_suspect(line) else None
            if kind is not None and whole:
                yield whole, end, None
            end += len(line) + 1
            if kind is not None:
                yield 1, end, kind
            whole = whole + 1 if kind is None else 0
        if whole:
            yield whole, end, None

    def _is_suspect(self, line: bytes) -> bool:
        """Whether a line that the sieve passed may break rules that a sieve does not know."""
        rules = self.rules
        return (rules.strict and may_repeat_key(line)) or (bool(rules.schema) and violates(line, rules.schema))
