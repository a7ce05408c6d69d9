"""The detectors of everything that has a form."""

from __future__ import annotations

from functools import cache

from sealtune.deid.detector import Detector
from sealtune.deid.structured import (
    contact,
    dates,
    labelled,
    logins,
    national,
    postal,
    secrets,
    vehicles,
)
from sealtune.deid.structured.blocks import BlockDetector
from sealtune.deid.structured.rules import RuleDetector


@cache
def structured_detectors() -> tuple[Detector, ...]:
    """Return the detectors of structured identifiers; compiled once in a process."""
    families = (contact, dates, labelled, logins, national, postal, secrets, vehicles)
    return (RuleDetector(rule for family in families for rule in family.RULES), BlockDetector())
