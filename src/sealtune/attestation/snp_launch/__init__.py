"""The launch digest of an SNP guest, computed ahead of its launch (spec/attestation §5.8)."""
