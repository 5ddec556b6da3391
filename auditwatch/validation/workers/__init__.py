"""Worker processes that judge ranges of open files: `pool` asks, `process` answers, `messages` defines what they send.

May import `validation.ranges`, `trail` and `errors`.
"""
