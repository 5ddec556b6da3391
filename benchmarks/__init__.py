"""What auditwatch costs, measured side by side with what it replaces, in one run."""
