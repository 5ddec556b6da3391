"""One file per command: parse, call one function, print, choose the exit status.

Results go to standard output, messages to standard error. A command module exports `command`, whose callback
returns the exit status (None = 0) or raises; `main` turns what was raised into one line and a status.

May import everything.
"""
