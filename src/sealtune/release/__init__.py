"""(AttestationResult, Contract, usage) -> ReleaseDecision. Pure functions; a decision is data.

`rules` holds one function for each rule, `decide` puts them in order. Verifies no signature and no
Evidence (`attestation` did), counts nothing (`broker.store` does): docs/security-policy-flow.md.
"""
