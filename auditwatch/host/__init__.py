"""What several packages ask the kernel: file systems, lock holders, durable small files, signals.

Nothing here knows of trails, and it imports nothing of the package but `errors`. Where it reads `/proc`, the path is a
parameter with a true default, so that tests run on a recorded one; where the kernel does not tell (another system, a
hidden `/proc`), the answer says "not known" and never fails.
"""
