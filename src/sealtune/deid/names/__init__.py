"""Names, places and organizations by rules and lists, rosters, and patterns of the owner's own.

No model: lists of names and places, titles, contexts, shapes, and what recurs within a document.
What a reader would understand from a sentence alone, these rules do not.
"""

from __future__ import annotations

from sealtune.deid.config import Configuration
from sealtune.deid.detector import Detector
from sealtune.deid.names.detector import NameDetector
from sealtune.deid.names.firms import FirmDetector
from sealtune.deid.names.frames import frame_detector
from sealtune.deid.names.recognizers import recognizer_detector
from sealtune.deid.names.rosters import read_roster

__all__ = ["name_detectors"]


def name_detectors(configuration: Configuration) -> tuple[Detector, ...]:
    """Return the detectors of names, places and organizations, of rosters, of custom patterns.

    Raises:
        ConfigError: the lists' package is missing, or a pattern could run away.
        StorageError: a roster cannot be read.
    """
    rosters = tuple(read_roster(roster) for roster in configuration.rosters)
    recognizers = tuple(recognizer_detector(item) for item in configuration.recognizers)
    return (NameDetector(), frame_detector(), FirmDetector(), *rosters, *recognizers)
