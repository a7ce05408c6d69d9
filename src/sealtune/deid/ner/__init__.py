"""Detectors that are models or another library: by configuration, from local paths, no network."""

from __future__ import annotations

from sealtune.deid.config import Configuration
from sealtune.deid.detector import Detector

__all__ = ["ner_detectors"]


def ner_detectors(configuration: Configuration) -> tuple[Detector, ...]:
    """Return the engines that `configuration` asks for, loaded.

    Raises:
        ConfigError: a package is missing, or the model cannot be used.
    """
    # Each engine brings a large library; only the one asked for is loaded.
    detectors: list[Detector] = []
    if configuration.ner is not None:
        from sealtune.deid.ner.engine import load_engine

        detectors.append(load_engine(configuration.ner))
    if configuration.presidio:
        from sealtune.deid.ner.presidio import PresidioDetector

        detectors.append(PresidioDetector())
    return tuple(detectors)
