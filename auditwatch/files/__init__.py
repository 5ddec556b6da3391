"""Floor 2: files as they are. Opened safely, read in bounded pieces, never written, locked or mapped.

Everything here may block on the trail's file system, so the agent calls it from a prober thread or a worker only.
"""
