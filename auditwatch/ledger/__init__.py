"""What we know of a trail over time, decided by one pure function.

`advance(state, event) -> (state, effects)`. Events say what happened: *observed* (a look at the files), *judged* (a
report on bytes after the judged position), *reviewed* (a report on bytes that were judged before), *counted* (what the
writers counted), *acknowledged*, *rebaselined* (what lies there is new history), *forgotten* (what had been stored is
lost), *rehashed* (digests of blocks now), *unpacked* (a compressed segment, read again), *ticked*. Effects say what to
do next: *read* this range, *look again*, *hash again*, *review*, *commit*. Rotation, truncation, pending bytes,
findings and their lifecycle are decided here and nowhere else; the agent's monitors only perform the effects.

May import `trail` and nothing else of the package. Pure: no files, clocks, logs, threads or metrics. Times are seconds
since 1970 and come with the events.
"""
