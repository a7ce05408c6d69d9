"""How a command ends when it cannot do its work: message, code, remedy and exit status.

Only this edge turns exceptions into exit statuses (docs/errors.md lists them).
"""

from __future__ import annotations

import json
import traceback
from typing import Final

import click

from sealtune.cli.output import colour, say
from sealtune.errors import Code, ConfigError, SealtuneError

USAGE_STATUS: Final = 2
INTERRUPTED_STATUS: Final = 130
_EXTRAS: Final = {
    "faker": "deid",
    "matplotlib": "deid",
    "presidio_analyzer": "deid",
    "fastapi": "broker",
    "uvicorn": "broker",
    "pyarrow": "parquet",
    "torch": "train",
    "transformers": "train",
    "tokenizers": "train",
}
FAMILIES: Final = {
    1: "failure",
    USAGE_STATUS: "usage",
    3: "config",
    4: "format",
    5: "verification",
    6: "appraisal",
    7: "release",
    8: "transport",
    9: "storage",
    10: "training",
    INTERRUPTED_STATUS: "interrupted",
}


def fail(error: SealtuneError, *, as_json: bool) -> int:
    """Report `error` and return its exit status."""
    remedy = error.remedy or _default_remedy(error.code)
    return _report(
        error.exit_status, code=error.code, message=error.message, remedy=remedy, as_json=as_json
    )


def fail_usage(error: click.ClickException, *, as_json: bool) -> int:
    """Report a command line that cannot be understood and return the exit status."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not as_json:
        click.echo(error.format_message(), err=True)
        return USAGE_STATUS
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "sealtune"
    remedy = f"see {path} --help"
    message = error.format_message().removesuffix(".")
    return _report(USAGE_STATUS, code="usage", message=message, remedy=remedy, as_json=as_json)


def fail_interrupted(*, as_json: bool) -> int:
    """Report Ctrl-C and return the exit status."""
    remedy = "run the same command again; nothing half-written was kept"
    message = "interrupted"
    status = INTERRUPTED_STATUS
    return _report(status, code="interrupted", message=message, remedy=remedy, as_json=as_json)


def fail_missing(error: ModuleNotFoundError, *, as_json: bool) -> int:
    """Report a package that is not installed and return the exit status."""
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        return fail_internal(error, as_json=as_json)
    remedy = f"pip install 'sealtune[{extra}]'"
    message = f"this command needs {error.name}, which is not installed"
    return fail(ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy), as_json=as_json)


def fail_internal(error: BaseException, *, as_json: bool) -> int:
    """Report a defect of ours with its traceback and return the exit status."""
    traceback.print_exception(error)
    message = f"a defect of sealtune: {type(error).__name__}"
    remedy = "report it with the lines above, after reading that they hold nothing private"
    return _report(1, code=Code.INTERNAL, message=message, remedy=remedy, as_json=as_json)


def _default_remedy(code: Code) -> str:
    from sealtune.cli.guide import GUIDE

    return GUIDE[code].remedy


def _report(status: int, *, code: str, message: str, remedy: str, as_json: bool) -> int:
    if as_json:
        family = FAMILIES.get(status, FAMILIES[1])
        error = {"code": str(code), "family": family, "message": message, "remedy": remedy}
        say(json.dumps({"error": error}, ensure_ascii=False))
        return status
    lines = [f"{click.style('error:', fg='red', bold=True)} {message}"]
    if remedy:
        lines.append(f"  {click.style('remedy', dim=True)}  {remedy}")
    lines.append(f"  {click.style('code', dim=True)}    {code}")
    click.echo("\n".join(lines), err=True, color=colour())
    return status
