"""What runs inside the enclave stays small enough to be read."""

from __future__ import annotations

from sealtune.tee.measure import EnclaveModule, enclave_modules

# Lines that are neither empty nor a comment, docstrings included. Raising a bound needs a reason in
# the commit that does so. The training engine holds no key and decides about no exit, so it is
# counted by itself (docs/adr/0008): it may grow, and what decides may not grow behind it.
LINES_MAX = 11_000
TRAINING_LINES_MAX = 8_750
TRAINING = "sealtune.training"
NEVER_INSIDE = ("cli", "broker", "testing", "release", "report", "dashboard")


def test_what_decides_is_small() -> None:
    rest = [module for module in enclave_modules() if not _trains(module)]
    assert _counted(rest, "everything but the training engine") <= LINES_MAX


def test_the_training_engine_is_small() -> None:
    engine = [module for module in enclave_modules() if _trains(module)]
    assert 0 < _counted(engine, "the training engine") <= TRAINING_LINES_MAX


def _trains(module: EnclaveModule) -> bool:
    return module.name == TRAINING or module.name.startswith(f"{TRAINING}.")


def _counted(modules: list[EnclaveModule], what: str) -> int:
    lines = sum(module.lines for module in modules)
    print(f"{what}: {len(modules)} modules, {lines} lines")
    return lines


def test_nothing_of_the_outside_is_inside() -> None:
    parts = {module.name.split(".")[1] for module in enclave_modules() if "." in module.name}
    assert parts.isdisjoint(NEVER_INSIDE)


def test_the_launcher_is_outside() -> None:
    names = {module.name for module in enclave_modules()}
    assert "sealtune.tee.launcher" not in names
    assert "sealtune.worker.job" in names
