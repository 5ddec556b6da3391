"""The configuration: its keys, what they mean, and all mistakes in a file at once, each with its place.

May import `trail`, `ledger`, `host` and `errors`; never `agent`, `web` or `state`, which are given what they need.
`places` and `quantities` load nothing but the standard library, so that light commands can use them.
"""
