"""A real build: small, without a shell, the same twice, and what its parts depend on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from image.built import built_image, plan
from sealtune.core.limits import MIB
from sealtune.errors import Code, SealtuneError
from sealtune.image.build import VM_PHASES, BuildPlan, Phase, build_image
from sealtune.image.manifest import Image, read_image
from sealtune.image.tools import Tree
from sealtune.image.verify import compare_images, verify_image

pytestmark = pytest.mark.slow

_BYTES_MAX = 300_000_000
_LINE = re.compile(r"^(?P<mode>[-a-z]{10}) (?P<owner>\S+) +\d+ \S+ \S+ (?P<path>\S+)")


@pytest.fixture(scope="module")
def planned() -> BuildPlan:
    """One plan for all builds here: nobody's edit meanwhile makes a difference."""
    return plan()


@pytest.fixture(scope="module")
def image(planned: BuildPlan) -> Image:
    return built_image(planned)


@pytest.fixture(scope="module")
def listing(image: Image) -> dict[str, tuple[str, str]]:
    """The root's files: path to mode and owner."""
    program = shutil.which("unsquashfs")
    if program is None:
        pytest.skip("unsquashfs is missing (tests/image/install-tools.sh)")
    command = [program, "-lln", "-no-progress", str(image.path(image.manifest.root))]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [match for line in text.splitlines() if (match := _LINE.match(line))]
    return {m["path"].removeprefix("squashfs-root/"): (m["mode"], m["owner"]) for m in found}


def test_it_is_small(image: Image) -> None:
    assert sum(file.bytes for file in image.manifest.files) < _BYTES_MAX
    assert image.manifest.initrd.bytes < 8 * MIB


def test_it_names_no_console_and_locks_the_kernel(image: Image) -> None:
    words = image.manifest.cmdline.split()
    assert "lockdown=confidentiality" in words
    assert not [word for word in words if word.startswith(("console", "init", "debug"))]


def test_its_root_holds_no_shell_and_no_package_manager(
    listing: dict[str, tuple[str, str]],
) -> None:
    names = {Path(path).name for path in listing}
    assert "python3.11" in names  # the listing is one
    unwanted = {"sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "pip", "login", "su"}
    assert not unwanted & names
    programs = {path for path in listing if re.match(r"(usr/)?s?bin/", path)}
    assert {Path(path).name for path in programs} == {"python3", "python3.11"}


def test_all_of_its_root_is_roots_and_no_file_gives_rights(
    listing: dict[str, tuple[str, str]],
) -> None:
    for path, (mode, owner) in listing.items():
        assert owner == "0/0", path
        assert mode[0] in "-dl", path
        assert mode[0] == "l" or ("s" not in mode and "t" not in mode), path
        assert mode[0] == "l" or mode[5] == mode[8] == "-", path


def test_its_root_holds_the_enclave_and_no_other_module_of_ours(
    planned: BuildPlan,
    listing: dict[str, tuple[str, str]],
) -> None:
    prefix = "usr/lib/python3/dist-packages/"
    ours = {path.removeprefix(prefix) for path in listing if path.startswith(f"{prefix}sealtune/")}
    sources = {path for path in ours if path.endswith(".py")}
    assert sources == {file.path for file in planned.sources.files}


def test_another_build_is_the_same_byte_for_byte(
    planned: BuildPlan, image: Image, tmp_path: Path
) -> None:
    phases: list[Phase] = []
    rebuilt = build_image(tmp_path / "again", planned, report=phases.append)
    assert tuple(phases) == VM_PHASES
    compare_images(image, rebuilt)
    for file in image.manifest.files:
        assert image.path(file).read_bytes() == rebuilt.path(file).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_changed_image_is_not_verified(image: Image, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    shutil.copytree(image.folder, spoilt)
    with (spoilt / "vmlinuz").open("r+b") as file:
        file.write(b"X")
    with pytest.raises(SealtuneError, match="vmlinuz") as caught:
        verify_image(spoilt, plan(), report=lambda _phase: None)
    assert caught.value.code is Code.IMAGE_MISMATCH


def test_a_build_without_mmdebstrap_names_it(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert image  # so the cache is warm, and nothing else is missing first
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SealtuneError) as caught:
        build_image(tmp_path / "image", plan(), report=lambda _phase: None)
    assert caught.value.code is Code.TOOL_MISSING
    assert "mmdebstrap" in caught.value.remedy
    assert not list(tmp_path.iterdir())


_RUN = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers import BertConfig, LlamaConfig
sizes = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
tokens = torch.zeros((1, 4), dtype=torch.long)
model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=9, **sizes))
model(tokens, labels=tokens).loss.backward()
torch.optim.AdamW(model.parameters()).step()
AutoModelForSequenceClassification.from_config(BertConfig(vocab_size=9, **sizes))(tokens)
print("trained")
"""


def test_all_that_the_enclave_imports_is_in_its_root(
    planned: BuildPlan, image: Image, tmp_path: Path
) -> None:
    program = shutil.which("unsquashfs")
    if program is None:
        pytest.skip("unsquashfs is missing (tests/image/install-tools.sh)")
    tree = tmp_path / "root"
    source = str(image.path(image.manifest.root))
    subprocess.run([program, "-no-progress", "-quiet", "-d", str(tree), source], check=True)
    paths = [Path(file.path).with_suffix("") for file in planned.sources.files]
    names = [".".join(path.parts) for path in paths if path.name != "__main__"]
    said = Tree(folder=tree).run("usr/bin/python3.11", "-I", "-B", "-c", _RUN, *names)
    assert said.endswith("trained\n")


def test_its_code_is_counted(image: Image) -> None:
    code = read_image(image.folder).manifest.enclave_code
    assert 0 < code.modules < code.lines
