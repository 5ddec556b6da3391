"""Trails as files: opened safely, read in bounded pieces, never written, locked or mapped.

Everything here may block on the trail's file system, so the agent calls it only from a prober thread or a worker.

May import `host`, `trail` and `errors`; a stranger to `writer` and `config`.
"""
