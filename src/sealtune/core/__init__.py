"""Ground floor: canonical JSON, digests, named limits, time, durable files. Knows no keys."""
