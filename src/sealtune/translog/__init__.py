"""The append-only log that an auditor checks without trusting its keeper."""
