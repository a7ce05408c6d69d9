"""A real build for SGX: the same twice, complete, and nothing in it but the enclave's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from image.built import SGX_ENCLAVE, built_sgx_image, plan
from sealtune.cli.image_plan import sgx_plan
from sealtune.errors import Code, SealtuneError
from sealtune.image.build import SGX_PHASES, Phase
from sealtune.image.sgx.build import build_sgx_image
from sealtune.image.sgx.manifest import SgxImage
from sealtune.image.sgx.template import read_template
from sealtune.image.sgx.verify import compare_sgx_images, verify_sgx_image

pytestmark = pytest.mark.slow

SITE = "usr/lib/python3/dist-packages/"
LOADER = Path("/lib64/ld-linux-x86-64.so.2")
SYSTEM = "/lib/x86_64-linux-gnu"
_RUN = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import torch
from transformers import AutoModelForCausalLM, LlamaConfig
sizes = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
tokens = torch.zeros((1, 4), dtype=torch.long)
model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=9, **sizes))
model(tokens, labels=tokens).loss.backward()
print("trained")
"""


@pytest.fixture(scope="module")
def image() -> SgxImage:
    return built_sgx_image()


@pytest.fixture(scope="module")
def files(image: SgxImage) -> dict[str, str]:
    return dict(read_template(image.path(image.manifest.template).read_bytes()).files)


def test_every_file_of_the_tree_is_named_and_is_plain(
    image: SgxImage, files: dict[str, str]
) -> None:
    present = [path for path in image.root.rglob("*") if not path.is_dir()]
    assert not [path for path in present if path.is_symlink()]
    assert {path.relative_to(image.root).as_posix() for path in present} == files.keys()
    assert 10_000 < len(files) < 20_000


def test_it_holds_no_shell_no_c_library_and_no_other_module_of_ours(
    files: dict[str, str],
) -> None:
    assert {path for path in files if "/bin/" in path and path.count("/") < 3} == {
        "usr/bin/python3.11"
    }
    libraries = {Path(path).name for path in files if path.startswith("usr/lib/x86_64-linux-gnu/")}
    assert {"libstdc++.so.6", "libgcc_s.so.1", "libcrypto.so.3", "libffi.so.8"} <= libraries
    assert not [name for name in libraries if re.match(r"lib(c|m|pthread|dl|rt)\.so", name)]
    ours = {path for path in files if path.startswith(f"{SITE}sealtune/") and path.endswith(".py")}
    sources = {f"{SITE}{file.path}" for file in sgx_plan(plan()).sources.files}
    assert ours == sources
    assert f"{SITE}sealtune/worker/enclave.py" in ours


def test_another_build_is_the_same_byte_for_byte(image: SgxImage, tmp_path: Path) -> None:
    phases: list[Phase] = []
    again = build_sgx_image(
        tmp_path / "again", sgx_plan(plan()), enclave=SGX_ENCLAVE, report=phases.append
    )
    assert tuple(phases) == SGX_PHASES
    compare_sgx_images(image, again)
    assert image.digest == again.digest
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_changed_image_is_not_verified(image: SgxImage, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    shutil.copytree(image.folder, spoilt)
    with (spoilt / "root/usr/bin/python3.11").open("r+b") as file:
        file.write(b"X")
    with pytest.raises(SealtuneError, match=r"python3\.11") as caught:
        verify_sgx_image(spoilt, sgx_plan(plan()), report=lambda _phase: None)
    assert caught.value.code is Code.IMAGE_MISMATCH


@pytest.fixture
def interpreter(image: SgxImage) -> list[str]:
    """The tree's interpreter with this machine's C library in the place of Gramine's."""
    if not LOADER.exists() or not Path(SYSTEM, "libc.so.6").exists():
        pytest.skip(f"no C library for the tree: {SYSTEM} is not Debian's")
    libraries = f"{SYSTEM}:{image.root}/usr/lib/x86_64-linux-gnu"
    return [str(LOADER), "--library-path", libraries, str(image.root / "usr/bin/python3.11")]


def test_all_that_the_enclave_imports_is_in_the_tree(
    image: SgxImage, interpreter: list[str]
) -> None:
    paths = [Path(file.path).with_suffix("") for file in sgx_plan(plan()).sources.files]
    names = [".".join(path.parts) for path in paths if path.name != "__main__"]
    done = subprocess.run(
        [*interpreter, "-I", "-B", "-c", _RUN, *names],
        capture_output=True,
        text=True,
        env={"HOME": "/nonexistent"},
        check=False,
    )
    assert done.stdout.endswith("trained\n"), done.stderr[-2000:]
