"""The only door to the `cryptography` package: HPKE, streams, signatures, X.509, key files."""
