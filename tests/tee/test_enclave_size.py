"""What runs inside the enclave stays small enough to be read in an afternoon."""

from __future__ import annotations

from sealtune.tee.measure import enclave_modules

# Lines that are neither empty nor a comment, docstrings included. Raising it needs a reason in the
# commit that does so.
LINES_MAX = 12_000
NEVER_INSIDE = ("cli", "broker", "testing", "release", "report", "dashboard")


def test_the_enclaves_code_is_small() -> None:
    modules = enclave_modules()
    lines = sum(module.lines for module in modules)
    print(f"{len(modules)} modules, {lines} lines")
    assert lines <= LINES_MAX


def test_nothing_of_the_outside_is_inside() -> None:
    parts = {module.name.split(".")[1] for module in enclave_modules() if "." in module.name}
    assert parts.isdisjoint(NEVER_INSIDE)


def test_the_launcher_is_outside() -> None:
    names = {module.name for module in enclave_modules()}
    assert "sealtune.tee.launcher" not in names
    assert "sealtune.worker.job" in names
