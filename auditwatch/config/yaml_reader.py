"""YAML without surprises: what looks like text stays text, a key appears once, and the line of every value is known.

PyYAML's own reading turns `off` into False, `1:30` into 90 and `0100` into 64, and of two equal keys the last one wins
silently. Here only null, true and false, decimal integers and floats are anything but text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

Path = tuple[str | int, ...]
"""Keys and 0-based indexes of list items that lead to a value."""

_NULL: Final = "tag:yaml.org,2002:null"
_BOOL: Final = "tag:yaml.org,2002:bool"
_INT: Final = "tag:yaml.org,2002:int"
_FLOAT: Final = "tag:yaml.org,2002:float"
_STR: Final = "tag:yaml.org,2002:str"

_MAX_NODES: Final = 100_000  # aliases of aliases of aliases are small on disk and endless in memory
_MAX_DEPTH: Final = 32


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader that resolves only null, booleans, decimal integers and floats."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  as the base class has it


for _tag, _regexp, _first in (
    (_NULL, r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    (_BOOL, r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    (_INT, r"^[-+]?(?:0|[1-9][0-9]{0,30})$", list("-+0123456789")),
    (_FLOAT, r"^[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$", list("-+0123456789")),
):
    _PlainLoader.add_implicit_resolver(_tag, re.compile(_regexp), _first)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is and what is wrong."""

    line: int
    path: Path
    message: str


@dataclass(slots=True)
class Document:
    """A YAML file that was read.

    Attributes:
        value: Its contents, in plain dicts, lists and scalars; None if nothing could be read.
        lines: 1-based line of each value.
        problems: What is wrong with the text itself.
    """

    value: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of a value, or of the nearest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: bytes) -> Document:
    """The contents of a YAML file, together with everything that is wrong with its form."""
    document = Document()
    try:
        root = yaml.compose(text.decode("utf-8-sig"), Loader=_PlainLoader)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        document.problems.append(Problem(line, (), "is not UTF-8; save the file as UTF-8"))
    except yaml.YAMLError as error:
        document.problems.append(_form_problem(error))
    except RecursionError:
        document.problems.append(Problem(1, (), "is nested too deeply"))
    else:
        document.value = _Reading(document).value(root, ()) if root is not None else None
    return document


def _form_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    return Problem(mark.line + 1 if mark else 1, (), f"is not YAML: {what}")


class _Reading:
    """One walk over the composed nodes; notes lines and problems in the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> object:
        self._nodes += 1
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if self._nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            self._complain(node, path, "is nested too deeply, or aliases make it too large")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _complain(self, node: yaml.Node, path: Path, message: str) -> None:
        if self._nodes <= _MAX_NODES + 1:  # report it once, not for each alias
            self._document.problems.append(Problem(node.start_mark.line + 1, path, message))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[Hashable, object]:
        result: dict[Hashable, object] = {}
        for key, child in self._keys(node, path):
            result[key] = self.value(child, (*path, key))
        return result

    def _keys(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, yaml.Node]]:
        first_lines: dict[str, int] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _STR:
                self._complain(key_node, path, "a key must be text; put it in quotes")
            elif key_node.value in first_lines:
                message = f"appears twice, first in line {first_lines[key_node.value]}; remove one of them"
                self._complain(key_node, (*path, key_node.value), message)
            else:
                first_lines[key_node.value] = self._document.lines[(*path, key_node.value)] = line
                yield key_node.value, child

    def _scalar(self, node: yaml.Node, path: Path) -> object:
        text = str(node.value)
        try:
            return _SCALARS[node.tag](text)
        except (KeyError, ValueError, OverflowError):
            self._complain(node, path, "has a tag that cannot be used here; remove it")
            return None


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_SCALARS: Final[dict[str, Callable[[str], object]]] = {
    _NULL: lambda _: None,
    _BOOL: _boolean,
    _INT: int,
    _FLOAT: float,
    _STR: str,
}
