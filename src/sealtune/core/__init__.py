"""Ground floor: canonical JSON, digests, named limits, time and durable files. Knows no cryptographic key."""
