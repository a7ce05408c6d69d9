"""How `sealtune attest` looks: steps, verdicts and fields as lines that fit the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sealtune.cli.output import count, done, hint, insecure, printable, refused, rows
from sealtune.core.clock import format_time

if TYPE_CHECKING:
    from sealtune import Explanation
    from sealtune.cli.attest_verify import Asked, Examined

_WIDTH_MIN, _WIDTH_MAX = 60, 120
_NAME_MAX: Final = 28
_VALUE_MIN: Final = 8
_SIMULATED: Final = "a mock root signed this: it proves nothing"
_UNPROTECTED: Final = "the operator can read this machine's memory"


def terminal_width() -> int:
    """Return how wide lines may be."""
    return max(_WIDTH_MIN, min(_WIDTH_MAX, shutil.get_terminal_size().columns))


def examined_lines(found: Examined, asked: Asked) -> Iterator[str]:
    """Yield each step, then the verdict, why, and what the evidence says."""
    width = terminal_width()
    examination = found.examination
    policy = f"policy {found.policy}" if found.policy else "no policy"
    yield click.style(f"{found.path}: {examination.type}", bold=True)
    sources = count(len(asked.endorsements), "source of endorsements", "sources of endorsements")
    yield from _wrapped("  ", 2, f"at {format_time(found.at)}, {policy}, {sources}", width)
    if found.files_skipped:
        files = count(found.files_skipped, "file", "files")
        yield f"  {files} in folders left out: no endorsements"
    yield ""
    yield from _steps(examination.to_dict()["steps"], width)
    yield ""
    if examination.insecure:
        yield insecure(_SIMULATED)
    yield from _verdict(found, width)


def _steps(steps: Sequence[Mapping[str, str]], width: int) -> Iterator[str]:
    names = min(_NAME_MAX, max((len(step["step"]) for step in steps), default=0))
    for step in steps:
        start = f"  {_mark(step['outcome'])} {step['step']:<{names}}  "
        column = 6 + max(names, len(step["step"]))
        yield from _wrapped(start, column, step["reason"], width)


def _mark(outcome: str) -> str:
    if outcome == "passed":
        return done("").strip()
    return refused("").strip() if outcome == "failed" else click.style("-", dim=True)


def _verdict(found: Examined, width: int) -> Iterator[str]:
    examination = found.examination
    refusal = examination.refusal
    skipped = sum(step.outcome == "skipped" for step in examination.steps)
    if refusal is None:
        open_ = count(skipped, "step was", "steps were")
        yield done(
            f"accepted; {open_} skipped: read what they leave open" if skipped else "accepted"
        )
    else:
        yield from _wrapped(refused("refused: "), 11, refusal.message, width)
        label = click.style("remedy", dim=True)
        yield from _wrapped(f"  {label}  ", 10, found.remedy, width)
        yield f"  {click.style('code', dim=True)}    {refusal.code}"
    yield from _claims(examination.claims, width)


def _claims(claims: Mapping[str, Any], width: int) -> Iterator[str]:
    if claims.get("authenticated"):
        if not claims["memory_protected"]:
            yield click.style(f"  ! {_UNPROTECTED}", fg="yellow")
        yield from rows(_facts(claims, width - 17))
    devices = claims.get("devices", ())
    if len(devices) == 1 and devices[0].get("platform") == claims.get("platform"):
        return  # the claims are those of this device
    for number, device in enumerate(devices):
        yield f"  device {number}: {_device(device)}"


def _device(claims: Mapping[str, Any]) -> str:
    if not claims.get("authenticated"):
        return "not genuine"
    tcb = claims["tcb"]
    return f"{claims['platform']}, {claims['generation']}, VBIOS {tcb['vbios']}" + (
        f", driver {tcb['driver']}" if tcb["driver"] else ""
    )


def _facts(claims: Mapping[str, Any], width: int) -> list[tuple[str, str]]:
    named = {
        "platform": ", ".join(filter(None, (claims["platform"], claims["generation"]))),
        "signed by": f"{claims['signer']}, {claims['vendor']}",
        "measurement": _folded(claims["measurement"], width),
        "host data": _folded(claims["host_data"] or "", width),
        "debug": "ON" if claims["debug"] else "off",
        **{name: _folded(value, width) for name, value in claims["identity"].items()},
    }
    return [(name, value) for name, value in named.items() if value]


def explained_lines(path: Path, explained: Sequence[Explanation]) -> Iterator[str]:
    """Yield every field with its meaning, of each machine or device."""
    width = terminal_width()
    flag = click.style(" NOT VERIFIED ", fg="black", bg="yellow") + " "
    warning = f"anybody can write this; `sealtune attest verify {path}` verifies it"
    yield from _wrapped(flag, 15, warning, width)
    for number, one in enumerate(explained):
        yield ""
        which = f" {number}" if len(explained) > 1 else ""
        yield from _explained(one, which, width)


def _explained(one: Explanation, which: str, width: int) -> Iterator[str]:
    yield click.style(f"{one.kind}{which}, {one.size} bytes", bold=True)
    if not one.rows:
        yield refused("no field can be read: it is damaged, or of another kind")
    names = min(_NAME_MAX, max((len(row.name) for row in one.rows), default=0))
    last = ""
    for row in one.rows:
        # Said once of what stands together, as the registers and measurements do.
        meaning = "" if row.meaning == last else row.meaning
        last = row.meaning
        yield from _field(row.name, _value(row.value), meaning, names=names, width=width)
    for number, device in enumerate(one.devices):
        yield ""
        yield from _explained(device, f" (device {number})", width)


def _field(name: str, value: str, meaning: str, *, names: int, width: int) -> Iterator[str]:
    column = names + 4
    name = printable(name)
    label = click.style(name.ljust(names), dim=True)
    if len(name) > names:
        yield f"  {label}"
        label = " " * names
    start = f"  {label}  "
    if meaning and column + max(len(value), _VALUE_MIN) + 4 + len(meaning) <= width:
        yield f"{start}{value:<{_VALUE_MIN}}  {hint(meaning)}"
        return
    yield from _wrapped(start, column, value, width)
    if meaning:
        yield from _wrapped(" " * column + hint(""), column + 2, meaning, width)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else printable(str(value)) or '""'


def _folded(text: str, width: int) -> str:
    text = printable(text)
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def _wrapped(start: str, column: int, text: str, width: int) -> Iterator[str]:
    """Yield `text` beside `start`, which is `column` wide on the screen, colours not counted."""
    # Some of it stands in evidence, which anybody can write.
    text = printable(text)
    first, *others = textwrap.wrap(text, width - column, break_on_hyphens=False) or [""]
    yield (start + first).rstrip()
    yield from (" " * column + line for line in others)


def collected_lines(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was collected, and what to do with it."""
    yield done(f"wrote {made['path']}")
    devices = [("devices", str(made["devices"]))] if made["devices"] else []
    bound = _folded(made["report_data"], 64)
    yield from rows([("type", made["type"]), *devices, ("report_data", bound)])
    yield hint(f"sealtune attest verify {made['path']} --report-data ...")
