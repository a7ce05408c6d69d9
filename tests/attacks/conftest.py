"""The attacks on whole runs use the same small world as the tests of the chain."""

from __future__ import annotations

from chain.conftest import chain_mock, measured_vm, tiny_encoder, world

__all__ = ["chain_mock", "measured_vm", "tiny_encoder", "world"]
