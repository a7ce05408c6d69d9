"""Starting an SGX enclave under Gramine: what the host needs, how large it is, one run."""
