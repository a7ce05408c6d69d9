"""The whole chain on one machine, with an insecure simulated enclave, and then its attackers."""
