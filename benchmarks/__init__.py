"""What auditwatch costs, measured beside what it replaces, in one run."""
