"""A worker in a confidential VM that one is in already: its TEE is looked for, never simulated."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.errors import Code, ConfigError
from sealtune.tee import launcher
from sealtune.tee.launcher import LaunchSpec, Sandbox, Tee, _check_tee, _command
from sealtune.tee.select import AUTO
from sealtune.worker import __main__ as entry


def spec(folder: Path, **changes: object) -> LaunchSpec:
    values = {
        "contract": folder / "contract.json",
        "inputs": {},
        "brokers": {},
        "output": folder,
        "tee": Tee.HERE,
        "attester": AUTO,
        "sandbox": Sandbox.OFF,
    }
    return LaunchSpec(**values | changes)  # type: ignore[arg-type]


def test_the_worker_is_told_which_attester_and_no_files(tmp_path: Path) -> None:
    command = _command(spec(tmp_path, attester="azure"), "00" * 16, tmp_path, "", None)
    assert command[command.index("--tee") + 1] == "azure"
    assert not [word for word in command if word.startswith("--tee-files")]


def test_a_simulated_worker_is_told_its_files(tmp_path: Path) -> None:
    given = spec(tmp_path, tee=Tee.SIMULATED, tee_files=tmp_path / "tee", attester="")
    command = _command(given, "00" * 16, tmp_path, "", None)
    assert command[command.index("--tee") + 1] == "simulated"
    assert f"--tee-files={tmp_path / 'tee'}" in command


def refused(given: LaunchSpec) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        _check_tee(given)
    return error.value


def test_nothing_simulated_counts_as_the_machine_itself(tmp_path: Path) -> None:
    for name in ("simulated", ""):
        assert refused(spec(tmp_path, attester=name)).code is Code.CONFIG_INVALID


def test_a_machine_without_a_tee_is_told_before_a_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_tee: str) -> object:
        raise ConfigError(Code.TEE_UNAVAILABLE, "this machine offers no TEE")

    monkeypatch.setattr(launcher, "make_attester", none)
    assert refused(spec(tmp_path)).code is Code.TEE_UNAVAILABLE


@pytest.mark.parametrize("sandbox", [Sandbox.AUTO, Sandbox.REQUIRE])
def test_a_sandbox_would_hide_the_tee(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "make_attester", lambda _tee: object())
    assert refused(spec(tmp_path, sandbox=sandbox)).code is Code.CONFIG_INVALID
    _check_tee(spec(tmp_path))


def test_a_simulated_tee_needs_its_files(tmp_path: Path) -> None:
    given = spec(tmp_path, tee=Tee.SIMULATED, attester="")
    assert refused(given).code is Code.CONFIG_INVALID
    with pytest.raises(ConfigError) as error:
        entry._attester("simulated", None)
    assert error.value.code is Code.CONFIG_INVALID


def test_the_workers_entry_takes_what_this_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(entry, "make_attester", lambda tee: asked.append(tee) or "attester")
    assert entry._attester("auto", None) == "attester"  # type: ignore[comparison-overlap]
    assert asked == ["auto"]
