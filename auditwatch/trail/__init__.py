r"""The format of an audit trail: this text is the specification, the modules beside it carry it out.

Nothing here touches a file, a clock, a thread, a log or a metric: bytes go in, verdicts come out.

**Trail, segment, line, record.** A trail is a sequence of segments (files) of which the last is *active*: it grows
at its end and nowhere else. A segment is a sequence of lines. A line ends at a newline (`\n`, 0x0A) and at nothing
else; a carriage return before it is white space of the line. A line is a *record*, and *whole*, when it is one JSON
object (RFC 8259) in UTF-8, no longer than `max_line_bytes` (1 MiB by default, newline excluded), nested at most
512 levels deep, and has what the trail's owner requires of it.

**The newline is the commit mark.** Bytes behind the last newline are *pending*: somebody may still be writing them.
They are never judged, until nobody can end them any more; then they are one `torn` line, also if they would parse.
Its number is one more than that of the last newline-ended line.

**Kinds.** A line that is not whole has one kind, the first that matches, as a function of its bytes and the rules
alone (`kinds`, `judge/`):

==  ===============  ==============================================================================================
1   oversize         longer than `max_line_bytes`; it is counted and hashed as it passes and never held
2   blank            nothing but JSON white space
3   byte_order_mark  a byte order mark before a whole record (else the kind of what follows the mark)
4   nul_bytes        holds NUL bytes
5   too_deep         more than 512 levels of nesting outside strings, parsing or not
    not_object       parses, but is no object
    schema           parses, but a required field is missing or of another type
    duplicate_key    parses, but an object has a key twice (only when the rules are strict)
6   concatenated     two or more whole objects end to end: the newline between them was lost
7   interleaved      a record head (`{` `"key"` `:`) at the first error, or in a string that begins before it
8   torn             its end or its beginning is missing: a string or a level is open at the end, or more is closed
                     than was opened
9   invalid_utf8     bytes that are not UTF-8
10  invalid_json     anything else that RFC 8259 does not know
==  ===============  ==============================================================================================

The *first error* is the first byte that no JSON text can have there, encoding aside; levels and strings of 5 and 8 are
counted from the start of the line, a quote opening or closing a string, a backslash in a string hiding the next byte.
Integers of any size, `1e400` and unpaired surrogate escapes are grammatical. `blank`, `byte_order_mark`, `schema` and
`duplicate_key` are *hygiene*: counted, never paged as damage. Hashes of lines are SHA-256 over the bytes before the
newline, a carriage return included.

**Grid.** Block k of a segment covers [c(k), c(k+1)): c(0) = 0, and c(k) lies just behind the first newline at an
offset >= k * 4 MiB - 1. So a line belongs to the block its first byte lies in, a block may be empty, and appending
never moves a boundary that exists. All blocks but the last are sealed (`grid`).

**Digest** of a segment: `b3-4m:` and 64 hex digits, BLAKE3-256 over the 32-byte BLAKE3-256 digests of its blocks
0 to K, K the last that begins, empty ones too, pending bytes excluded. An empty segment has one empty block.

**Ids.** A finding is named `f` and the first 10 hex digits of SHA-256 over trail name, decimal offset and line hash,
joined by NUL bytes; a violation of order or history `v` and the same over trail, kind and place (`findings`).

**Stamps.** A stamped record ends in `"_seq":N,"_prev":"H"`: N is 1 for the first stamped line of a trail and one more
for each that follows, over processes and segments; H is the SHA-256, in 64 hex digits, of the bytes between the two
newlines before it, whatever that line is, in the previous segment if need be, and 64 zeros if there is none.

**Own records.** The writer adds records of its own, which bear an object named `_auditwatch` with `"v":1` and a
`kind`: `recovered` (with `offset`, `length` and `sha256` of the torn bytes it ended with a newline) and, at the start
of a segment that has a predecessor, `continues` (with `segment`, the predecessor's name, and `last_sha256`, the hash
of its last line). They are stamped like others and exempt from required fields.

**Segment names.** The writer renames a full segment STEM.EXT to `STEM-YYYYMMDDTHHMMSSffffffZ-NNNNNNNNNN.EXT` (UTC, the
segment's number). Recognised besides: NAME.N, NAME-DATE, STEM-<digit>... and a `.backup` of any of them, each also as
`.gz` or `.zst` (`names`).

**Counters.** Writers of a trail NAME count what they stored in the file `.NAME.counters` beside it, 64 blocks of
256 bytes, little endian (`counters`).
"""
