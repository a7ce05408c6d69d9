"""Other people's forms of evidence and endorsements, read into ours. No I/O; verifies nothing."""
