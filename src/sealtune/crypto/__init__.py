"""The only door to the `cryptography` package: HPKE, chunked streams, DSSE signatures, X.509, key files."""
