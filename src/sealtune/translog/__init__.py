"""The append-only log that an auditor checks without trusting its keeper (docs/spec/translog.md).

`chain` makes and verifies the hash chain and its signed heads. It stores nothing and reads no
clock: whoever keeps a log (the broker) gives it entries and the time.
"""
