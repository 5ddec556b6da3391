"""Checks records against a JSON Schema; needs the extra `schema`.

The library is jsonschema-rs: it knows all drafts, takes a microsecond per record where one in Python takes twenty-five,
and its patterns cannot be made to run for ever. A schema may refer to itself only: nothing is ever fetched.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from auditwatch.trail.judge.field_types import is_own

if TYPE_CHECKING:
    from jsonschema_rs import Validator


def check_schema(schema: str) -> None:
    """Check that a schema can be used.

    Raises:
        ValueError: It is not a JSON Schema, or it refers to another document.
        ImportError: The library is not installed.
    """
    try:
        _validator(schema)
    except (ValueError, RecursionError) as error:
        said = str(error).partition("\n")[0]
        raise ValueError(f"not a usable JSON Schema: {said}; it must not refer to other files") from None


def violates(line: bytes, schema: str) -> bool:
    """Whether a line known to be one object violates the schema; own records are exempt.

    >>> violates(b'{"n":"x"}', '{"properties":{"n":{"type":"integer"}}}')
    True
    """
    if is_own(line):
        return False
    try:
        return not _validator(schema).is_valid(json.loads(line))
    except (ValueError, RecursionError):  # the library cannot take it, for example an unpaired surrogate in a key
        return True


@lru_cache(4)
def _validator(schema: str) -> Validator:
    import jsonschema_rs  # noqa: PLC0415  an extra

    return jsonschema_rs.validator_for(json.loads(schema), retriever=_refused)


def _refused(uri: str) -> None:
    raise ValueError(f"{uri!r} is another document")
