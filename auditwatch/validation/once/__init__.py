"""One verdict on what a command is given: paths, the segments of a trail, or standard input.

`paths`, `as_trail` and `stdin` judge; `witness` and `comparison` compare the outcome with what others remember; `text`
and `filemap` render it.

May import what `validation` may, and `validation` itself.
"""
