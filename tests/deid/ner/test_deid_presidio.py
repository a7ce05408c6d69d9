"""Presidio's recognizers, with sockets disabled as in every test."""

from __future__ import annotations

import pytest

from sealtune.deid.entities import EntityType
from sealtune.deid.ner.presidio import PresidioDetector


def test_presidio_finds_without_model_or_network() -> None:
    pytest.importorskip("presidio_analyzer")
    text = "mail a.b@example.com card 4111111111111111 IBAN DE89370400440532013000"
    found = {(text[f.start : f.end], f.entity) for f in PresidioDetector().find(text)}
    assert ("a.b@example.com", EntityType.EMAIL) in found
    assert ("4111111111111111", EntityType.PAYMENT_CARD) in found
    assert ("DE89370400440532013000", EntityType.IBAN) in found
