"""The broker's messages and the worker's state machine, without I/O, and the thin HTTP client.

The protocol is docs/spec/protocol.md. `messages` are the forms, `answers` opens what a broker
signed, `session` is one key release, `reports` what a worker tells afterwards, `client` the only
part that touches a socket.
"""
