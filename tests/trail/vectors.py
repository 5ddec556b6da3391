"""Lines of our own for what RFC 8259 allows, forbids and leaves open; and those of JSONTestSuite, where it is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SUITE: Final = ROOT.parent / "shared" / "data" / "JSONTestSuite"
PAGE: Final = ROOT / "docs" / "defects.md"

WHOLE: Final = [
    *[b"{}", b" {} ", b"{\t}", b'\t{"a" : 1}\r', b'{"":0}', b'{"a":{}}', b'{"a":[]}', b'{"a":"b","a":"b"}'],
    *[b'{"a":0}', b'{"a":-0}', b'{"a":-1}', b'{"a":10}', b'{"a":1.0}', b'{"a":0.1e1}', b'{"a":1E+2}', b'{"a":1e-2}'],
    *[b'{"a":true,"b":false,"c":null}', b'{"a":[1,"2",[3],{"b":4}]}', b'{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t"}'],
    *[b'{"a":"\\u0000"}', b'{"a":"\\uD834\\udd1e"}', b'{"a":"\\u0022"}', b'{"\\u0061":1}', b'{"a":"{\\"b\\":1}"}'],
    *['{"a":"é漢😀"}'.encode(), '{"é":"\u2028\u2029"}'.encode(), '{"a":"\ufeff"}'.encode(), b'{"a":"\x7f"}'],
]

NOT_OBJECTS: Final = [b"[]", b"[1]", b'""', b'"a"', b"0", b"-1.5e3", b"true", b"false", b"null", b' ["\\u00e9"] ']

REJECTED: Final = [
    *[b"{", b"}", b"[", b"]", b'"', b"{]", b"[}", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":[1', b'{"a":"'],
    *[b'{"a":1,}', b'{,"a":1}', b'{"a":1,,"b":2}', b'{"a" 1}', b'{"a"::1}', b'{"a":1 "b":2}', b'{"a"}', b"{1:1}"],
    *[b"{'a':1}", b"{a:1}", b'{"a":1};', b'{"a":1}#', b'{"a":1}//', b'{"a":/**/1}', b'{"a":1}}', b'{"a":1}]', b"{}{}"],
    *[b'{"a":01}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}', b'{"a":1e}', b'{"a":1e+}', b'{"a":0x1}', b'{"a":--1}'],
    *[b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":True}', b'{"a":nul}', b'{"a":nulll}', b'{"a":1_0}'],
    *[b'{"a":"\\x00"}', b'{"a":"\\u12"}', b'{"a":"\\u123g"}', b'{"a":"\\U0061"}', b'{"a":"\t"}', b'{"a":"\x1f"}'],
    *[b'{"a":"\0"}', b'\0{"a":1}', b'{"a":1}\0', b"[1,]", b"[,1]", b"[1 2]", b"[1,,2]", b"\x0b{}", b"\x0c", b"\xa0{}"],
    *[b'\xfe\xff{"a":1}', b'{"a":"\xe9"}', b'{"a":"\xc0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xe2\x82"}'],
    *[b"undefined", b"START", b"2026-01-01 {}", b"[" * 513 + b"]" * 513, '{"a":\uff11}'.encode(), b'{"a":"b"c"}'],
]


def choices() -> dict[bytes, str]:
    r"""The lines of the page on what the RFC leaves open, with their verdicts; `\xNN` there stands for a byte."""
    rows = re.findall(r"^\| [^|`]+ \| `([^`]+)` \| ([a-z_0-9]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {re.sub(rb"\\x([0-9a-f]{2})", _byte, line.encode()): verdict for line, verdict in rows}


def documented_vectors() -> dict[str, str]:
    """The vectors of the suite whose verdict parsers may choose, with the one that the page says is ours."""
    return dict(re.findall(r"^\| `(i_[^`]+)` \| ([a-z_0-9]+) \|$", PAGE.read_text(), re.MULTILINE))


def suite(prefix: str) -> dict[str, bytes]:
    """Vectors of the suite by name; none if it is not beside this checkout."""
    return {path.stem: path.read_bytes() for path in sorted(SUITE.glob(f"{prefix}_*.json"))}


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])
