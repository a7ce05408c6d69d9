"""Code and specification name the same things: sections, endpoints, limits, rules, symbols."""

from __future__ import annotations

import importlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealtune.broker.app import ROUTES
from sealtune.broker.audit import _HANDLERS
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import MIB
from sealtune.protocol import messages
from sealtune.protocol.messages import ChallengeAnswer, ChallengeRequest, parse_message
from sealtune.release import rules

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "sealtune"
PROTOCOL = (REPOSITORY / "docs/spec/protocol.md").read_text()
FLOW = (REPOSITORY / "docs/security-policy-flow.md").read_text()


@pytest.mark.parametrize("name", ["deidentification", "protocol", "translog"])
def test_each_section_that_the_code_cites_exists(name: str):
    specification = (REPOSITORY / f"docs/spec/{name}.md").read_text()
    sections = set(re.findall(r"^#+ ([0-9]+(?:\.[0-9]+)?)\.? ", specification, re.MULTILINE))
    cited = set()
    for path in SOURCE.rglob("*.py"):
        for tail in re.findall(
            rf"spec/{name}(?:\.md)?((?:,? (?:to |and )?§[0-9.]+)+)", path.read_text()
        ):
            cited |= {section.rstrip(".") for section in re.findall(r"§([0-9.]+)", tail)}
    assert cited
    assert cited <= sections


def test_the_endpoints_are_those_of_the_specification():
    rows = re.findall(r"\| `POST (/v1/\w+)` \|.*?\| ([0-9]+) (KiB|MiB) \|", PROTOCOL)
    sizes = {path: int(size) * (MIB if unit == "MiB" else 1024) for path, size, unit in rows}
    assert sizes == {route.path: route.limit for route in ROUTES}


def test_every_payload_type_is_specified():
    types = [value for name, value in vars(messages).items() if name.endswith("_TYPE")]
    assert len(types) == len(set(types)) == 8
    for value in types:
        short = value.removeprefix("application/vnd.sealtune.").removesuffix(".v1+json")
        assert short in PROTOCOL


def test_every_rule_is_specified():
    source = Path(rules.__file__).read_text()
    named = set(re.findall(r'"((?:contract|evidence|bundle|run)\.[a-z]+)"', source))
    table = PROTOCOL.split("## 9. Decision")[1].split("## 10.")[0]
    assert named == set(re.findall(r"^\| `([a-z.]+)` \|", table, re.MULTILINE))


def test_every_kind_of_log_entry_is_specified():
    table = PROTOCOL.split("## 10. Decision log")[1].split("## 11.")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == set(_HANDLERS)


def test_the_example_is_one():
    request, answer = re.findall(r"```json\n(.*?)\n```", PROTOCOL)
    message = parse_message(ChallengeRequest, request.encode(), limit=1000, what="example")
    answered = parse_message(ChallengeAnswer, answer.encode(), limit=1000, what="example")
    assert message.encode() == request.encode()
    assert answered.request == sha256_digest(request.encode())
    assert datetime.strptime(answered.expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@pytest.mark.parametrize("symbol", sorted(set(re.findall(r"`(sealtune\.[\w.]+)`", FLOW))))
def test_a_symbol_of_the_authorization_path_exists(symbol: str):
    parts = symbol.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        break
    for name in parts[length:]:
        found = getattr(found, name)
    assert found is not None
