"""What we know of a trail over time, decided by one pure function.

`advance(state, event) -> (state, effects)`. Events say what was seen: *observed* (a look at the files), *judged* (a
report on bytes that follow the judged position), *reviewed* (a report on bytes judged before), *counted* (what the
writers counted), *acknowledged*, *ticked*. Effects say what is wanted: *read* this range, *look again*, *commit*.
Rotation, truncation, pending bytes, findings and their lifecycle are decided here and nowhere else; the agent's
monitors only perform the effects.

May import `trail` and nothing else of the package. Pure: no files, clocks, logs, threads or metrics. Times are seconds
since 1970, given by the events.
"""
