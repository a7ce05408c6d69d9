"""The training engine: knows nothing of keys, bundles or attestation.

torch is imported by its modules, not here: `recipe` and `sources` can be read without it.
"""
