"""The inputs that fuzzing found worth keeping, once more: `make fuzz` looks for others."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.targets import TARGETS, corpus

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_that_is_kept_keeps_the_promise(name: str) -> None:
    inputs = list(corpus(str(CORPUS / name)))
    assert len(inputs) > 20
    for data in inputs:
        TARGETS[name](data)
