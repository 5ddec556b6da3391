"""Which bytes are judged, by whom, and with what result: the engine between open files and the scan.

`ranges` judges a range of an open file, `full` all blocks of the grid, `sample` a few lines, and `cover` a share of the
blocks. `workers/` judges ranges in other processes, and `once/` gives one verdict on paths, segments or standard input.
All of them use the same scan, so all of them agree.

May import `files`, `host`, `trail` and `errors`; a stranger to `salvage`.
"""
