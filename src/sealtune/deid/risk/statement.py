"""The risk in plain words, with the figures that each sentence rests on, and what was not sought.

A privacy officer reads this first. "Anonymized" is said of a table whose k, and what was asked of l
and t, was reached, and never of text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sealtune.deid.config import Configuration, Role
from sealtune.deid.risk.residual import ResidualRisk
from sealtune.deid.tables.plan import TableResult

NER_MODES: Final = ("spacy", "transformers", "gliner")
_ALWAYS: Final = (
    "images, audio and attached files",
    "who wrote a text, by its style",
    "stories so rare that a reader who knows the person recognizes them, with no identifier left",
    "facts in free text that identify in combination (an occupation, a place of work, a relative)",
    "names in scripts other than Latin, by the second detector",
)
_NO_MODEL: Final = (
    "names that neither lists nor their surroundings give away: no model for names was configured"
)
_NOT_ALL: Final = "every identifier against every record: there were too many, a sample was taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One statement and the figures under it."""

    text: str
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskStatement:
    """All sentences, the word for the output, and what was not looked for."""

    word: str  # `de-identified`, or `anonymized` of a table that passed the test in `test`
    test: str
    sentences: tuple[Sentence, ...]
    not_looked_for: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(sentence.text for sentence in self.sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        sentences = [{"text": one.text, "figures": dict(one.figures)} for one in self.sentences]
        return {
            "word": self.word,
            "test": self.test,
            "text": self.text,
            "sentences": sentences,
            "not_looked_for": list(self.not_looked_for),
        }


def risk_statement(
    risk: ResidualRisk,
    *,
    configuration: Configuration,
    table: TableResult | None,
    modes: Sequence[str],
    unnamed: bool,
) -> RiskStatement:
    """Return what `risk` and the `table`'s result mean; `modes` are the detectors that ran.

    `unnamed`: whether the records had fields that the configuration does not name, which are text.
    """
    test = "" if unnamed else _passed_test(configuration, table)
    word = "anonymized" if test else "de-identified"
    return RiskStatement(
        word=word,
        test=test,
        sentences=tuple(_sentences(risk, table, word, test)),
        not_looked_for=tuple(_not_looked_for(risk, configuration, modes)),
    )


def _passed_test(configuration: Configuration, table: TableResult | None) -> str:
    """Return the test that lets a table be called anonymized; empty where none passed.

    Every named field must have a role that leaves no free text, and k must be 2 or more.
    """
    asked = configuration.table
    roles = {rule.role for rule in configuration.fields.values()}
    if table is None or table.k is None or asked.k < 2 or Role.TEXT in roles:
        return ""
    text = configuration.fields.get(configuration.text_field)
    if text is None or text.role is Role.SAFE:
        # Nobody looked into it, and no class is made of it.
        return ""
    reached = table.k >= asked.k
    reached = reached and (asked.l == 1 or (table.l or 0) >= asked.l)
    reached = reached and (asked.t == 1 or (table.t is not None and table.t <= asked.t))
    if not reached:
        return ""
    wanted = [f"k = {table.k}"]
    wanted += [f"l = {table.l}"] if asked.l > 1 else []
    wanted += [f"t = {table.t:.3f}"] if asked.t < 1 else []
    return ", ".join(wanted)


def _sentences(
    risk: ResidualRisk, table: TableResult | None, word: str, test: str
) -> Iterator[Sentence]:
    passed = f" in the sense of {test}" if test else ""
    changed = sum(figures.changed for figures in risk.entities.values())
    text = (
        f"The {risk.records:,} records are {word}{passed}: {changed:,} identifiers were replaced."
    )
    yield Sentence(text=text, figures={"records": risk.records, "changed": changed})
    yield _left(risk)
    yield _leaks(risk)
    yield from _quasi(risk, table)
    yield from _linkage(risk)
    yield from _classes(risk)


def _left(risk: ResidualRisk) -> Sentence:
    sure, possible = sum(risk.second.sure.values()), sum(risk.second.possible.values())
    text = (
        f"A second detector, built differently, read the output and found {_count(sure, 'place')} "
        f"that look like identifiers, and {possible:,} that may be words or measurements."
    )
    per = risk.residual_per_10000
    text += f" With identifiers that stayed elsewhere that makes {per:g} per 10,000 records."
    figures = {"sure": dict(risk.second.sure), "possible": dict(risk.second.possible)}
    return Sentence(text=text, figures=figures | {"residual_per_10000": per})


def _leaks(risk: ResidualRisk) -> Sentence:
    leaks = risk.leaks
    same, near = sum(leaks.same_record.values()), sum(leaks.near.values())
    elsewhere = sum(leaks.elsewhere.values())
    figures = {
        "same_record": dict(leaks.same_record),
        "near": dict(leaks.near),
        "elsewhere": dict(leaks.elsewhere),
    }
    if not same + near + elsewhere:
        text = "No identifier that was replaced was found again in the output."
        return Sentence(text=text, figures=figures)
    text = (
        f"Identifiers that were replaced were found again: {same:,} in the same record, {near:,} "
        f"nearly the same there, {elsewhere:,} in others."
    )
    return Sentence(text=text, figures=figures)


def _quasi(risk: ResidualRisk, table: TableResult | None) -> Iterator[Sentence]:
    quasi = risk.quasi
    if quasi is None:
        return
    text = (
        f"The fields {', '.join(quasi.fields)} were alone to their person in "
        f"{quasi.unique_before:.1%} of the records and are in {quasi.unique_after:.1%}; the "
        f"smallest group has {_count(quasi.k, 'record')}. Who knows these facts of a person draws "
        f"the right record with a chance of {quasi.linkage:.2%}, before {quasi.linkage_before:.2%}."
    )
    if table is not None and table.suppressed:
        text += f" {_count(table.suppressed, 'record')} were left out for that."
    figures = {"unique_before": quasi.unique_before, "unique_after": quasi.unique_after}
    figures |= {"k": quasi.k, "linkage_before": quasi.linkage_before, "linkage": quasi.linkage}
    yield Sentence(text=text, figures=figures)


def _linkage(risk: ResidualRisk) -> Iterator[Sentence]:
    linkage = risk.linkage
    if linkage is None:
        return
    text = (
        f"Of {linkage.sample:,} records, {linkage.identifiers:.1%} can be matched by somebody who "
        f"has only the identifiers that were replaced (by chance {linkage.chance:.2%}; parts "
        "that were kept, such as years, can tell), and "
        f"{linkage.whole_text:.1%} by somebody who has the original text: who has the original "
        "learns nothing new from that, but can tell that the record is in the dataset."
    )
    figures = {"sample": linkage.sample, "chance": linkage.chance}
    figures |= {"identifiers": linkage.identifiers, "whole_text": linkage.whole_text}
    yield Sentence(text=text, figures=figures)


def _classes(risk: ResidualRisk) -> Iterator[Sentence]:
    for small in risk.small_classes:
        if small.small:
            text = (
                f"Of the {small.values:,} values of {small.field}, {small.small:,} are in fewer "
                f"than {small.below} records: {_count(small.records, 'record')} stand out by that."
            )
            figures = {"values": small.values, "small": small.small, "records": small.records}
            yield Sentence(text=text, figures=figures)


def _not_looked_for(
    risk: ResidualRisk, configuration: Configuration, modes: Sequence[str]
) -> Iterator[str]:
    yield from _ALWAYS
    if not any(mode.split(":")[0] in NER_MODES for mode in modes):
        yield _NO_MODEL
    if min(risk.leaks.compared, risk.second.words_examined) < 1:
        yield _NOT_ALL
    fields = configuration.fields.items()
    safe = [name for name, rule in fields if rule.role is Role.SAFE]
    if safe:
        yield f"names in fields that the owner named safe: {', '.join(safe)}"
    if risk.quasi is None:
        yield "combinations of fields that identify: no field was named a quasi-identifier"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
