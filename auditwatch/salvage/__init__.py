"""What can be saved from damaged lines: whole records, records in two pieces, and fragments that are neither.

`dissect` says what one damaged line still holds, `stitch` puts halves of records together, `habits` learns what the
whole records of a trail have in common. `readings` reads a trail twice, `window` holds the damaged lines of a stretch
that may belong together, `run` writes what comes of it into a new directory (`output`).

May import `files`, `host`, `trail` and `errors`; a stranger to `validation`. `dissect`, `habits`, `stitch`, `lines`,
`results` and `window` are pure, as `trail` is: no files, clocks, logs or threads.
"""
