"""Presidio as it comes, for comparison: its default recognizers, with or without a spaCy model.

As it comes it fetches a list of domains when it first sees an address for mail. That list is
replaced here by the copy that its package carries: nothing reaches for the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sealtune.deid.entities import EntityType, Finding
from sealtune.errors import Code, ConfigError

# Presidio's names for what is of a type of ours; any other is a number of some country's.
_TYPES: Final = {
    "PERSON": EntityType.PERSON,
    "LOCATION": EntityType.LOCATION,
    "ORGANIZATION": EntityType.ORGANIZATION,
    "NRP": EntityType.LOCATION,
    "DATE_TIME": EntityType.DATE,
    "PHONE_NUMBER": EntityType.PHONE,
    "EMAIL_ADDRESS": EntityType.EMAIL,
    "URL": EntityType.URL,
    "IP_ADDRESS": EntityType.IP_ADDRESS,
    "MAC_ADDRESS": EntityType.DEVICE,
    "US_SSN": EntityType.SSN,
    "US_ITIN": EntityType.TAX_ID,
    "US_MBI": EntityType.HEALTH_PLAN,
    "US_NPI": EntityType.LICENSE,
    "MEDICAL_LICENSE": EntityType.LICENSE,
    "US_DRIVER_LICENSE": EntityType.LICENSE,
    "US_PASSPORT": EntityType.PASSPORT,
    "US_BANK_NUMBER": EntityType.ACCOUNT,
    "ABA_ROUTING_NUMBER": EntityType.ACCOUNT,
    "CREDIT_CARD": EntityType.PAYMENT_CARD,
    "IBAN_CODE": EntityType.IBAN,
    "CRYPTO": EntityType.OTHER_ID,
}


class PlainPresidio:
    """An `AnalyzerEngine` for English, with what it loads by itself."""

    def __init__(self, model: Path | None = None) -> None:
        """Load it; `model` is a spaCy pipeline on disk, without one words are split and no more.

        Raises:
            ConfigError: Presidio or spaCy is not installed.
        """
        try:
            import presidio_analyzer
            import spacy
        except ImportError:
            raise ConfigError(
                Code.DEPENDENCY_MISSING,
                "presidio-analyzer is not installed",
                remedy="pip install 'sealtune[deid]'",
            ) from None
        _stay_offline()
        language = spacy.blank("en") if model is None else spacy.load(model)
        self._engine = presidio_analyzer.AnalyzerEngine(nlp_engine=_engine_of(language))

    def find(self, text: str) -> list[Finding]:
        """Return what it finds in `text`."""
        return [
            Finding(
                item.start,
                item.end,
                _TYPES.get(item.entity_type, EntityType.NATIONAL_ID),
                item.score,
                "presidio",
                item.entity_type,
            )
            for item in self._engine.analyze(text, language="en")
        ]


def _engine_of(language: Any) -> Any:
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Loaded(SpacyNlpEngine):  # type: ignore[misc]
        def load(self) -> None:
            self.nlp = {"en": language}

    engine = Loaded(models=[{"lang_code": "en", "model_name": "given"}])
    engine.load()
    return engine


def _stay_offline() -> None:
    import tldextract

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
