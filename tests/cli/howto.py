"""The how-tos as one shell script, and what they take for granted: records and a small model."""

from __future__ import annotations

import json
import random
import re
import socket
from pathlib import Path

HOWTOS = Path(__file__).resolve().parents[2] / "docs" / "howto"
LABELS = ("cardiology", "neurology")
_WORDS = {
    "cardiology": "flat quiet still mild clear soft",
    "neurology": "wind rain gale thunder flood wreck",
}
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"\b870[12]\b")
_WAIT = """
wait_for() {
    for _ in $(seq 300); do (: > "/dev/tcp/127.0.0.1/$1") 2> /dev/null && return; sleep 0.1; done
    exit 1
}
"""


def order() -> list[Path]:
    """Return the how-tos in the order in which their README names them."""
    names = re.findall(r"\]\(([a-z-]+\.md)\)", (HOWTOS / "README.md").read_text())
    return [HOWTOS / name for name in names]


def script(pages: list[Path]) -> str:
    """Return every shell block of `pages`, with files written and ports that are free."""
    ports: dict[str, str] = {}
    parts = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT", _WAIT]
    for page in pages:
        for kind, name, body in _BLOCK.findall(page.read_text()):
            if name:
                parts.append(f"cat > {name} <<'END'\n{body}END\n")
            elif kind == "sh":
                parts.append(_background(_PORT.sub(lambda found: _port(found[0], ports), body)))
    return "\n".join(parts)


def furnish(folder: Path) -> None:
    """Make `notes.jsonl` and `encoder` in `folder`."""
    draw = random.Random(0)
    with (folder / "notes.jsonl").open("w") as file:
        for number in range(48):
            label = LABELS[number % 2]
            text = " ".join(draw.choices(_WORDS[label].split(), k=draw.randint(3, 12)))
            file.write(json.dumps({"text": text, "label": label}) + "\n")
    (folder / "encoder").mkdir()
    # Here: a test that makes no model needs no torch.
    from training.tiny_models import make_model

    make_model(folder / "encoder", model_type="bert", auto_class="AutoModel")


def _background(body: str) -> str:
    # What is started in the background must listen before the next command needs it.
    waited = r"\1 >> brokers.out 2>> brokers.log &\nwait_for \2"
    return re.sub(r"^(.* --port (\d+).*) &$", waited, body, flags=re.MULTILINE)


def _port(name: str, ports: dict[str, str]) -> str:
    if name not in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports[name] = str(probe.getsockname()[1])
    return ports[name]


def contract_toml() -> str:
    """Return the contract of the how-to, its four blanks not filled in."""
    page = HOWTOS / "write-a-contract.md"
    return next(body for _, name, body in _BLOCK.findall(page.read_text()) if name)
