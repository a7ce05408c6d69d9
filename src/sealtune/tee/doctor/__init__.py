"""What a machine is, what it could run as, and what to mend; outside the enclave's code.

Probes read files of /proc, /sys, /dev and /boot and run a fixed list of commands, all through a
`Machine`, which may be a recorded tree. Nothing here writes to the machine, needs root, or uses the
network; and nothing here is evidence: whoever controls the machine controls every answer.
"""
