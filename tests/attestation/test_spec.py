"""Code cites the spec; a section that is cited exists."""

from __future__ import annotations

import re
from pathlib import Path

from sealtune.attestation.anchors import amd_anchors
from sealtune.attestation.snp_rules import snp_rules

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
    source = Path(snp_rules.__code__.co_filename).read_text()
    rules = set(re.findall(r'rule_result\(\s*"([a-z-]+)"', source))
    listed = set(re.findall(r"^\| ([a-z-]+) \|.*`appraisal-", SPEC, re.MULTILINE))
    assert rules == listed
    for digest in amd_anchors().roots:
        assert digest.removeprefix("sha256:") in SPEC
