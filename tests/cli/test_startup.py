"""The overview must not load what it does not need; nor may importing the package."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import sealtune

HEAVY = {"torch", "transformers", "pydantic", "cryptography", "rich", "fastapi", "uvicorn", "numpy"}
_PROBE = """
import json, sys
sys.stdout = open("/dev/null", "w")
try:
    {statement}
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
_MAIN = "import sys; sys.argv = ['sealtune', {arguments}]; "
_MAIN += "from sealtune.cli.main import main; main()"


def _modules(statement: str) -> set[str]:
    command = [sys.executable, "-c", _PROBE.format(statement=statement)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments", ["'--help'", "'key', '--help'", "'run', '--help'", "'version'", "'seal', 'data'"]
)
def test_overview_help_and_version_load_nothing_heavy(arguments: str) -> None:
    loaded = _modules(_MAIN.format(arguments=arguments))
    assert "click" in loaded
    assert not HEAVY & loaded


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not HEAVY & _modules("import sealtune; dir(sealtune)")


def test_a_command_loads_no_other_command() -> None:
    loaded = _modules(_MAIN.format(arguments="'version'"))
    assert {name for name in loaded if name.startswith("sealtune.cli.")} == {
        "sealtune.cli.failures",
        "sealtune.cli.framework",
        "sealtune.cli.main",
        "sealtune.cli.output",
        "sealtune.cli.version",
    }


def test_the_installed_command_runs() -> None:
    command = [sys.executable, "-m", "sealtune.cli.main", "version", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["sealtune"] == sealtune.__version__
