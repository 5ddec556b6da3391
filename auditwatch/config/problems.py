"""What is wrong with a configuration file, one line per mistake: FILE:LINE: key.path: what, remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel

from auditwatch.config.keys import FileKeys
from auditwatch.config.yaml_reader import Document, Path, Problem

_OF_A_KEY: Final = "[key]"
"""What pydantic adds to a place if a key is meant, not its value."""

_EXPECTED: Final = {
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list, as in [item, item]",
    "dict_type": "must contain keys, as in {key: value}",
    "model_type": "must contain keys, as in {key: value}",
}


def listed(source: str, problems: Iterable[Problem]) -> list[str]:
    """One line per problem, in order of their lines."""
    return [_written(source, problem) for problem in sorted(problems, key=lambda problem: problem.line)]


def model_problems(document: Document, errors: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """What pydantic objected to, in words for the person who wrote the file."""
    for error in errors:
        path: Path = tuple(part for part in error["loc"] if part != _OF_A_KEY)
        yield Problem(document.line(path), path, _message(error, path))


def name_problems(document: Document) -> Iterator[Problem]:
    """Trails with the same name or the same path, even if other things are wrong."""
    for key in ("name", "path"):
        first: dict[str, int] = {}
        for index, value in _trail_values(document.value, key):
            line = document.line(("trails", index, key))
            if value in first:
                message = f"{value!r} is already used in line {first[value]}; change one of them"
                yield Problem(line, ("trails", index, key), message)
            first.setdefault(value, line)


def _trail_values(value: object, key: str) -> Iterator[tuple[int, str]]:
    trails = value.get("trails") if isinstance(value, dict) else None
    for index, trail in enumerate(trails if isinstance(trails, list) else ()):
        if isinstance(trail, dict) and isinstance(trail.get(key), str):
            yield index, trail[key]


def _written(source: str, problem: Problem) -> str:
    place = f"{source}:{problem.line}: "
    return f"{place}{_dotted(problem.path)}: {problem.message}" if problem.path else f"{place}{problem.message}"


def _dotted(path: Path) -> str:
    """The path as people write it.

    >>> _dotted(("trails", 0, "full", "cron"))
    'trails[0].full.cron'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _message(error: Mapping[str, Any], path: Path) -> str:
    kind = str(error["type"])
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]), _known_keys(path[:-1]))
    if kind == "missing":
        return "is missing; add it"
    if kind in ("enum", "literal_error"):
        return f"must be one of {error['ctx']['expected']}"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    return _EXPECTED.get(kind, str(error["msg"]))


def _unknown_key(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key; {hint}"


def _known_keys(path: Path) -> list[str]:
    model: type[BaseModel] = FileKeys
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_of(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_of(annotation: object) -> type[BaseModel] | None:
    """The model inside `Model`, `Model | None` or `list[Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _model_of(inner))), None)
