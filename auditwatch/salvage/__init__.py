"""What can be saved from damaged lines: whole records, records in two pieces, and fragments that are neither.

`dissect` finds what one damaged line still contains, `stitch` joins the two pieces of a record, and `habits` learns
what the whole records of a trail have in common. `readings` reads a trail twice, `window` holds nearby damaged lines
that may belong together, and `run` writes the results into a new directory (`output`).

May import `files`, `host`, `trail` and `errors`; a stranger to `validation`. `dissect`, `habits`, `stitch`, `lines`,
`results` and `window` are pure, as `trail` is: no files, clocks, logs or threads.
"""
