r"""The format of an audit trail: this text is the specification, and the modules of this package implement it.

May import `errors` and nothing else of the package. Pure: bytes go in, verdicts come out; no files, clocks, threads,
logs or metrics.

**Trail, segment, line, record.** A trail is a sequence of segments (files). The last one is *active*: it grows at its
end and nowhere else. A segment is a sequence of lines. A line ends at a newline (`\n`, 0x0A) and at nothing else; a
carriage return before the newline is white space that belongs to the line. A line is *whole*, and is then called a
*record*, when it is one JSON object (RFC 8259) in UTF-8, no longer than `max_line_bytes` (1 MiB by default, newline
excluded), nested at most 512 levels deep, and meets what the trail's owner requires.

**The newline is the commit mark.** Bytes after the last newline are *pending*: a producer may still be writing them.
They are not judged as long as a producer can still complete them. After that they are one `torn` line, even if they
would parse. Its number is one more than that of the last newline-ended line.

**Kinds.** A line that is not whole has exactly one kind: the first that matches. The kind depends on the line's bytes
and the rules alone (`kinds`, `judge/`):

==  ===============  ==============================================================================================
1   oversize         longer than `max_line_bytes`; counted and hashed as it passes, never held in memory
2   blank            nothing but JSON white space
3   byte_order_mark  a byte order mark before a whole record (otherwise the kind of what follows the mark)
4   nul_bytes        contains NUL bytes
5   too_deep         more than 512 levels of nesting outside strings, whether or not it parses
    not_object       parses, but is not an object
    schema           parses, but a required field is missing or has another type
    duplicate_key    parses, but an object has the same key twice (only when the rules are strict)
6   concatenated     two or more whole objects end to end: the newline between them was lost
7   interleaved      a record head (`{` `"key"` `:`) at the first error, or in a string that begins before it
8   torn             its end or its beginning is missing: a string or a level is still open at the end of the line,
                     or more levels are closed than were opened
9   invalid_utf8     bytes that are not UTF-8
10  invalid_json     anything else that RFC 8259 does not allow
==  ===============  ==============================================================================================

The *first error* is the first byte that cannot stand there in any JSON text, encoding aside. For `too_deep` and `torn`,
levels and strings are counted from the start of the line: a quote opens or closes a string, and a backslash in a string
hides the byte after it. Integers of any size, `1e400` and unpaired surrogate escapes are allowed. `blank`,
`byte_order_mark`, `schema` and `duplicate_key` are *hygiene*: counted, never paged as damage. The hash of a line is
SHA-256 over the bytes before its newline, a carriage return included.

**Grid.** Block k of a segment covers [c(k), c(k+1)). c(0) = 0, and c(k) is the offset just after the first newline at
an offset >= k * 4 MiB - 1. So a line belongs to the block that contains its first byte, a block may be empty, and
appending never moves an existing boundary. All blocks but the last are *sealed* (`grid`).

**Digest** of a segment: `b3-4m:` and 64 hex digits. They are BLAKE3-256 over the 32-byte BLAKE3-256 digests of blocks
0 to K, where K is the last block that begins. Empty blocks are included, pending bytes are not. An empty segment has
one empty block.

**Ids.** The id of a finding is `f` and the first 10 hex digits of SHA-256 over trail name, decimal offset and line
hash, joined by NUL bytes. The id of a violation of order or history is `v` and the same over trail name, kind and place
(`ids`).

**Stamps.** A stamped record ends in `"_seq":N,"_prev":"H"`. N is 1 for the first stamped line of a trail and one more
for each stamped line after it, across processes and segments. H is SHA-256, as 64 hex digits, over the bytes between
the two newlines before the record, whatever that line is, in the previous segment if need be; it is 64 zeros if there
is no line before.

**Own records.** The writer adds its own records. Each has a member `_auditwatch`, an object with `"v":1` and a `kind`:
`recovered` (with `offset`, `length` and `sha256` of the torn bytes that the writer ended with a newline) or, at the
start of a segment that has a predecessor, `continues` (with `segment`, the predecessor's name, and `last_sha256`, the
hash of its last line). They are stamped like other records and exempt from required fields.

**Segment names.** The writer renames a full segment STEM.EXT to `STEM-YYYYMMDDTHHMMSSffffffZ-NNNNNNNNNN.EXT` (time in
UTC, number of the segment). Also recognised are NAME.N, NAME-DATE, STEM-<digit>... and a `.backup` of any of them, each
also with `.gz`, `.zst`, `.xz` or `.bz2`. Names that end like unfinished files, editors' files, copies or archives of
several files (`.tmp`, `~`, `.bak`, `.tar` and so on) are not segments (`names`).

**Counters.** The writers of a trail NAME count what they stored in the file `.NAME.counters` beside it: 64 blocks of
256 bytes, little endian (`counters`).
"""
