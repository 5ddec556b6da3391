"""Floor 3: the engine. It decides which bytes are judged and by whom, and says what came out.

Workers judge ranges of an open file; full validation hands them the blocks of the grid; a sample looks at a few
lines; standard input is judged as it comes. All of them end in the same scan, so all of them agree.
"""
