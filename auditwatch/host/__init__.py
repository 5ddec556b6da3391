"""What several packages ask the kernel: file systems, lock holders, durable small files, signals.

Nothing here knows about trails. May import `errors` and nothing else of the package. Where it reads `/proc`, the path
is a parameter whose default is the real one, so that tests can run on a recorded one. Where the kernel does not say
(another system, a hidden `/proc`), the answer is "not known", never an error.
"""
