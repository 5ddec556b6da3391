"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A loaded machine is slow, not wrong: no example is judged by how long it took.
settings.register_profile("auditwatch", deadline=None)
settings.load_profile("auditwatch")
