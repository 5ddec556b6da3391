"""Which bytes are judged, by whom, and what came out: the engine between open files and the scan.

`ranges` judges a range of an open file; `full` all blocks of the grid, `sample` a few lines, `cover` a share of the
blocks. `workers/` judges ranges in other processes, `once/` gives one verdict on paths, segments or standard input. All
of them end in the same scan, so all of them agree.

May import `files`, `host`, `trail` and `errors`; a stranger to `salvage`.
"""
