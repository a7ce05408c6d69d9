"""`sealtune completion`: click's own completion scripts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sealtune.cli.framework import Command
from sealtune.cli.output import emit

_VARIABLE = "_SEALTUNE_COMPLETE"


@click.command(
    "completion",
    cls=Command,
    examples=[
        "sealtune completion bash >> ~/.bashrc",
        "sealtune completion zsh >> ~/.zshrc",
        "sealtune completion fish > ~/.config/fish/completions/sealtune.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes sealtune's commands in SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise RuntimeError(f"click knows no completion for {shell}")
    root = click.get_current_context().find_root().command
    # The template alone: source() would start a bash to ask its version.
    made = kind(root, {}, "sealtune", _VARIABLE)
    script = made.source_template % made.source_vars()
    emit({"shell": shell, "script": script}, lambda result: [result["script"]])
