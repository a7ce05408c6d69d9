"""Public simulators: a crypto-valid mock hardware PKI, fault-injecting network, the demo. All of it insecure."""
