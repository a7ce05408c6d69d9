"""`sealtune policy`: what a verifier accepts, rule by rule, with the reason for each."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import emit


@click.group("policy", cls=Group)
def policy() -> None:
    """Show what evidence is asked for, and which attack each rule answers."""


@policy.command(
    "show", examples=["sealtune policy show strict", "sealtune policy show cloud --toml"]
)
@click.argument("name", metavar="NAME|FILE")
@click.option(
    "--toml", "as_toml", is_flag=True, help="Print entries to copy into a contract instead."
)
def show(name: str, as_toml: bool) -> None:
    """Show a policy in full: `strict`, `cloud`, or a file with [[enclaves]].

    `strict` asks for all that the hardware can give; `cloud` for what rented machines give. Neither
    names a measurement: a contract does.
    """
    found = sealtune.find_policy(name)
    if as_toml:
        text = sealtune.policy_toml(found)
        emit({"policy": name, "toml": text}, lambda _: [text.rstrip("\n")])
        return
    rules = sealtune.policy_rows(found)
    emit({"policy": name, "rules": [row.to_dict() for row in rules]}, _lines)


@policy.command("list", examples=["sealtune policy list"])
def list_() -> None:
    """List the policies that come with sealtune."""
    names = {name: _about(name) for name in sealtune.PRESETS}
    emit({"policies": names}, lambda _: [f"{name:<8}{text}" for name, text in names.items()])


def _about(name: str) -> str:
    kinds = [str(enclave.kind) for enclave in sealtune.find_policy(name).enclaves]
    return f"for {', '.join(kinds)}"


def _lines(found: dict[str, Any]) -> Iterable[str]:
    for enclave, rules in groupby(found["rules"], key=lambda row: row["enclave"]):
        yield click.style(f"{enclave}", bold=True)
        for row in rules:
            yield f"  {row['rule']} = {_shown(row['value'])}"
            yield f"      why:     {row['reason']}"
            yield f"      answers: {row['answers']}"
        yield ""


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} ({_inside(item)})" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "any" if value is None else str(value)


def _inside(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return _shown(value)
