"""Presidio's own recognizers beside ours, without a language model and without network."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

from sealtune.deid.entities import Finding
from sealtune.deid.ner.labels import entity_of
from sealtune.errors import Code, ConfigError

_LANGUAGE: Final = "en"


class PresidioDetector:
    """Finds what the recognizers of `presidio-analyzer` find, those of all countries included."""

    name = "presidio"

    def __init__(self) -> None:
        """Load the recognizers.

        Raises:
            ConfigError: `presidio-analyzer` is not installed.
        """
        try:
            self._analyzer: Any = _analyzer()
        except ModuleNotFoundError as error:
            message = f"presidio: the package {error.name} is not installed"
            remedy = "pip install 'sealtune[deid]'"
            raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy) from None

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what Presidio finds with one of our types."""
        for found in self._analyzer.analyze(text=text, language=_LANGUAGE):
            entity = entity_of(found.entity_type)
            if entity is not None:
                score = min(float(found.score), 1.0)
                yield Finding(
                    found.start, found.end, entity, score, self.name, found.entity_type.lower()
                )


def _analyzer() -> Any:
    import presidio_analyzer
    import tldextract
    from presidio_analyzer import predefined_recognizers
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    # It warns about each entity that a model could have found; that there is none is known.
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    # The list of top-level domains is the one that the package carries: fetching it would be the
    # only traffic of de-identification.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.extract = tldextract.tldextract.TLD_EXTRACTOR
    registry = presidio_analyzer.RecognizerRegistry(supported_languages=[_LANGUAGE])
    for recognizer in _recognizers(presidio_analyzer, predefined_recognizers):
        registry.add_recognizer(recognizer)
    return presidio_analyzer.AnalyzerEngine(
        registry=registry, nlp_engine=_blank(SpacyNlpEngine), supported_languages=[_LANGUAGE]
    )


def _recognizers(package: Any, module: Any) -> Iterator[Any]:
    for name in sorted(module.__all__):
        kind = getattr(module, name)
        patterns = isinstance(kind, type) and issubclass(kind, package.PatternRecognizer)
        # The other kinds need a model or a service of the network; phone numbers need neither.
        if not patterns and name != "PhoneRecognizer":
            continue
        try:
            yield kind(supported_language=_LANGUAGE)
        except TypeError:
            yield kind()


def _blank(kind: Any) -> Any:
    import spacy

    class Blank(kind):  # type: ignore[misc]
        """Tokens only, as context words need them."""

        def load(self) -> None:
            self.nlp = {_LANGUAGE: spacy.blank(_LANGUAGE)}

    engine = Blank(models=[{"lang_code": _LANGUAGE, "model_name": "blank"}])
    engine.load()
    return engine
