"""What risk remains in de-identified records, measured on the output.

A second detector that is built differently, identifiers that stayed somewhere, quasi-identifiers,
linkage with the input, small classes. Keeps keyed hashes and counters, never text.
"""

from __future__ import annotations

from sealtune.deid.risk.linkage import Smallest
from sealtune.deid.risk.meter import RiskMeter
from sealtune.deid.risk.residual import ResidualRisk
from sealtune.deid.risk.statement import RiskStatement, risk_statement

__all__ = ["ResidualRisk", "RiskMeter", "RiskStatement", "Smallest", "risk_statement"]
