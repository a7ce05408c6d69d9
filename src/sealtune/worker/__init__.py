"""The job inside the enclave: attest, fetch keys, open, train, gate, seal, sign."""
