"""Code cites the spec; a section that is cited exists."""

from __future__ import annotations

import re
from pathlib import Path

from sealtune.attestation import general_rules
from sealtune.attestation.anchors import vendor_anchors

REPOSITORY = Path(__file__).resolve().parents[2]
SPEC = (REPOSITORY / "docs" / "spec" / "attestation.md").read_text()
CITATION = re.compile(r"spec/attestation §([0-9]+(?:\.[0-9]+)?)((?:, §[0-9.]+[0-9])*)")


def test_every_cited_section_exists() -> None:
    sections = set(re.findall(r"^#{2,3} ([0-9]+(?:\.[0-9]+)?)\.? ", SPEC, re.MULTILINE))
    cited = set()
    for path in (REPOSITORY / "src").rglob("*.py"):
        for first, more in CITATION.findall(path.read_text()):
            cited |= {first, *re.findall(r"[0-9]+(?:\.[0-9]+)?", more)}
    assert len(cited) > 10
    assert not cited - sections


def test_the_spec_lists_the_rules_and_the_roots() -> None:
    folder = Path(general_rules.__file__).parent
    rules = {
        rule
        for path in folder.glob("*_rules.py")
        for rule in re.findall(r'(?:rule_result|_rule|_each)\(\s*"([a-z-]+)"', path.read_text())
    }
    # A row of a table, or an item of a list, with the code of its refusal.
    listed = set(re.findall(r"^\| ([a-z-]+) \|.*`(?:appraisal|device)-", SPEC, re.MULTILINE))
    listed |= set(re.findall(r"`([a-z-]+)`(?: \(SGX\))?[:,]", SPEC))
    listed |= set(re.findall(r", `([a-z-]+)` \(SGX\):", SPEC))
    assert len(rules) > 30
    assert rules <= listed
    for digest in vendor_anchors().roots:
        assert digest.removeprefix("sha256:") in SPEC
