"""The inside of a measured VM: its one channel, its disks, and the cage around the worker."""
