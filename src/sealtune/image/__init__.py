"""Enclave images: built, measured and verified."""
