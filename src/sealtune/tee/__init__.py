"""The Attesters and launchers, one file per TEE; none imports another."""
