"""The public `model_signing` tool judges our signature files (spec/receipt §6)."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from sealtune.crypto.model_signing_key import ModelSigningKey
from sealtune.receipt.modelsig import SIGNATURE_FILE, SIGNER_FILE, sign_model_folder

FILES = {
    "adapter_model.safetensors": bytes(range(256)) * 300,
    "adapter_config.json": b"{}",
    "README.md": "Größe\n".encode(),
    "tokenizer.json": b"",
    "a/b.json": b"1",
    "a-b.json": b"2",
    "a.json": b"3",
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def verify(folder: Path, *, key: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "model_signing", "verify", "key"]
    command += ["--signature", str(folder / SIGNATURE_FILE)]
    command += ["--public_key", str(key or folder / SIGNER_FILE), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("model_signing", reason="the public model_signing tool is not installed")
    key = ModelSigningKey.generate()
    return write(tmp_path / "adapter", sign_model_folder(FILES, name="adapter", key=key))


def test_public_tool_accepts_the_folder(folder: Path) -> None:
    done = verify(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout


def test_public_tool_accepts_the_folder_under_another_name(folder: Path) -> None:
    assert verify(folder.rename(folder.with_name("renamed"))).returncode == 0


def test_public_tool_refuses_a_changed_file(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    done = verify(folder)
    assert done.returncode != 0
    assert "adapter_model.safetensors" in done.stdout + done.stderr


def test_public_tool_refuses_files_added_or_taken_away(folder: Path) -> None:
    (folder / "pickle.bin").write_bytes(b"")
    assert verify(folder).returncode != 0
    (folder / "pickle.bin").unlink()
    (folder / "a.json").unlink()
    assert verify(folder).returncode != 0


def test_public_tool_refuses_another_key(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pub"
    other.write_bytes(ModelSigningKey.generate().public_pem)
    assert verify(folder, key=other).returncode != 0


@pytest.mark.parametrize("files", [{}, {"model.sig": b""}, {"signer.pub": b"", "a": b""}])
def test_folder_that_cannot_be_signed(files: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="folder to sign"):
        sign_model_folder(files, name="adapter", key=ModelSigningKey.generate())


def test_key_hides_itself() -> None:
    key = ModelSigningKey.generate()
    assert repr(key) == "ModelSigningKey(...)"
    with pytest.raises(TypeError):
        pickle.dumps(key)
