"""The sidecar's shell: one monitor a trail, schedules, and the supervisor that wires them.

Floor 5. Nothing here decides what a line or a trail is; it performs what the ledger asks for.
"""
