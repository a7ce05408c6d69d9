"""The broker's messages and their state machine, without I/O, and the thin HTTP client (docs/spec/protocol.md)."""
