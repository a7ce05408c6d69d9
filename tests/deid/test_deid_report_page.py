"""The page of a report: whole, the same each time, without a way out, and without foreign text."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import pytest

from deid.deid_reports import make_report
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.crypto.identity import Identity
from sealtune.deid.report import VerifiedReport, parse_report, sign_report, verify_report
from sealtune.deid.report_page import report_page
from sealtune.errors import Code, ConfigError

OWNER = Identity.generate("hospital")
FIGURES: dict[str, Any] = {
    "second": {"sure": {"phone": 4}, "possible": {"person": 9, "phone": 1}},
    "leaks": {"same_record": {"person": 2}},
    "quasi": {"k": 4, "sizes": {"2": 24, "5": 56}, "linkage_before": 0.61, "linkage": 0.2},
    "linkage": {"sample": 80, "chance": 0.0125, "whole_text": 0.9, "identifiers": 0.05},
}
HOSTILE = '<script src="https://example.org/x.js"></script>'


def verified(change: Callable[[dict[str, Any]], None] | None = None) -> VerifiedReport:
    document = make_report().to_dict()
    document["predicate"]["risk"] |= deepcopy(FIGURES)  # tests change what they get
    if change is not None:
        change(document["predicate"])
    configuration = canonical_json(document["predicate"]["configuration"])
    digest = sha256_digest(configuration).removeprefix("sha256:")
    document["predicate"]["configuration_digest"] = digest
    report = parse_report(canonical_json(document))
    return verify_report(sign_report(report, owner=OWNER.signing), owner=OWNER.signing.public)


class Elements(HTMLParser):
    """The tags, the references and the headings of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action"):
                self.links.append(value or "")


def test_the_same_report_gives_the_same_page():
    assert report_page(verified()) == report_page(verified())


def test_a_page_reaches_for_nothing():
    page = report_page(verified())
    elements = Elements(page)
    assert "default-src 'none'" in page
    assert not {"script", "link", "img", "iframe", "form", "object"} & elements.tags
    assert all(link.startswith("#") for link in elements.links)
    assert len(set(elements.ids)) == len(elements.ids)
    assert {link[1:] for link in elements.links} <= set(elements.ids)


def test_the_risk_comes_first_and_what_was_not_looked_for_before_the_digests():
    headings = re.findall(r"<h2>(.*?)</h2>", report_page(verified()))
    assert headings == ["What remains", "Figures", "What was not looked for", "How it was made"]


def test_every_measured_figure_is_drawn_and_tabled():
    page = report_page(verified())
    pictures = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
    assert len(pictures) == 5 == page.count("<table>")
    for picture in pictures:
        ElementTree.fromstring(picture)
        assert not re.search(r"(fill|stroke): #", picture), "a colour that dark screens cannot turn"
    assert '<th scope="row">phone</th><td>4</td><td>1</td><td>0</td>' in page
    assert '<th scope="row">2-4</th><td>24</td>' in page
    assert '<th scope="row">Text: has the original text</th><td>90.00%</td>' in page


def test_what_was_not_measured_is_said_so():
    def nothing(predicate: dict[str, Any]) -> None:
        predicate["risk"] = {"records": 100, "residual_per_10000": 2.5, "quasi": None}

    page = report_page(verified(nothing))
    assert page.count("Not measured.") == 3
    assert "smallest group (k)</dt><dd>not measured" in page


def test_nothing_found_in_the_output_is_not_the_same_as_not_measured():
    def clean(predicate: dict[str, Any]) -> None:
        predicate["risk"] |= {"second": {"sure": {}, "possible": {}}, "leaks": {}}

    page = report_page(verified(clean))
    assert "Nothing was found." in page
    assert "Not measured." not in page


def test_text_that_a_signer_chose_is_no_markup_and_no_figure():
    def hostile(predicate: dict[str, Any]) -> None:
        predicate["found"][HOSTILE] = 3
        predicate["risk"]["second"]["sure"] = {HOSTILE: 2, "phone": HOSTILE, "email": True}
        predicate["risk"]["quasi"]["sizes"] = {HOSTILE: 2}
        predicate["risk"]["linkage"] = {"chance": HOSTILE, "identifiers": 7, "whole_text": True}
        predicate["risk"]["second"]["possible"] = {}
        predicate["notes"] = [HOSTILE, "a\u202eb"]
        predicate["statement"]["text"] = HOSTILE

    page = report_page(verified(hostile))
    assert "<script" not in page
    assert "a\ufffdb" in page
    assert '<th scope="row">other</th><td>3</td>' in page
    assert page.count("example.org") == 2


def test_words_and_patterns_that_the_owner_named_are_counted_and_not_shown():
    def named(predicate: dict[str, Any]) -> None:
        configuration = predicate["configuration"]
        configuration["allow"] = ["Miller ward"]
        recognizer = {"name": "staff", "entity": "person", "pattern": "Sylvester", "context": []}
        recognizer |= {"confidence": 0.9, "ignore_case": False}
        configuration["recognizers"] = [recognizer]

    page = report_page(verified(named))
    assert "Miller" not in page
    assert "Sylvester" not in page
    assert "1: staff" in page


def test_a_weaker_and_reversible_run_is_pointed_out():
    def weaker(predicate: dict[str, Any]) -> None:
        predicate["configuration"]["reversible"] = predicate["reversible"] = True
        predicate["configuration"]["actions"]["person"] = "keep"

    page = report_page(verified(weaker))
    assert "<strong>⚠ Reversible:</strong>" in page
    assert "person is treated by keep." in page


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError) as caught:
        report_page(verified())
    assert caught.value.code is Code.DEPENDENCY_MISSING
    assert "sealtune[deid]" in (caught.value.remedy or "")


@pytest.mark.parametrize(("counted", "label"), [(3, "3, in subjects"), (9, "4, in records")])
def test_the_smallest_group_says_what_it_counts(counted: int, label: str):
    def table(predicate: dict[str, Any]) -> None:
        predicate["table"] = {"k": counted}
        predicate["configuration"]["fields"] = {
            "who": {"role": "subject", "entity": None, "hierarchy": {}}
        }

    k, _, unit = label.partition(", ")
    assert f"smallest group (k), {unit}</dt><dd>{k}<" in report_page(verified(table))
    assert "smallest group (k), in records</dt><dd>4<" in report_page(verified())
