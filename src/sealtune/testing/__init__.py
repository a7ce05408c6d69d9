"""Public simulators: mock hardware, synthetic notes, the demo. All of it INSECURE."""
