"""The sidecar's shell: one monitor per trail, schedules, and the supervisor that wires them together.

Nothing here decides what a line or a trail is; it performs what the ledger asks for. May import everything but `cli`.
"""
