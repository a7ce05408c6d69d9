"""The training engine. Knows nothing of keys, bundles or attestation; torch is imported by its modules, not here."""
