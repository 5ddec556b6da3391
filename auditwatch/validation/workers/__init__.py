"""Worker processes that judge ranges of open files: `pool` asks, `process` answers, `messages` is what they say.

May import `validation.ranges`, `trail` and `errors`.
"""
