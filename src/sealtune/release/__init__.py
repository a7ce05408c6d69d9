"""(AttestationResult, Contract, usage) -> ReleaseDecision. Pure functions; a decision is data."""
