"""What `sealtune run` makes of its options: which machine, and which combinations mean nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sealtune
from cli.said import Sealtune
from image.folders import COMMAND_LINE, write_image
from sealtune.cli.run_vm import VmOptions, vm_launch

RUN = ("run", "contract.json", "-o", "run")


def options(**given: Any) -> VmOptions:
    names = ("tpm", "firmware", "variables", "vcpu_type", "quotes")
    left_out: dict[str, Any] = dict.fromkeys(names)
    return VmOptions(
        **(left_out | {"memory": 1024, "output_size": 7, "processors": 2, "acpi": True} | given)
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_image(tmp_path / "image")
    return tmp_path / "image"


def test_an_ordinary_vm_keeps_its_tpm_with_the_run(image: Path) -> None:
    made = vm_launch(sealtune.Tee.VM, image, run=Path("run"), options=options())
    assert made.host == sealtune.VmHost(tpm=Path("run/tpm"))
    assert made.image.boot.cmdline == COMMAND_LINE
    assert made.size == sealtune.VmSize(memory_mib=1024, processors=2, output_bytes=7 * 2**20)


def test_firmware_brings_the_variables_beside_it(image: Path) -> None:
    given = options(firmware=Path("f/OVMF_CODE_4M.fd"), tpm=Path("t"))
    made = vm_launch(sealtune.Tee.VM, image, run=Path("run"), options=given)
    variables = Path("f/OVMF_VARS_4M.fd")
    assert made.host == sealtune.VmHost(
        tpm=Path("t"), firmware=Path("f/OVMF_CODE_4M.fd"), variables=variables
    )
    given = options(firmware=Path("mine.fd"), variables=Path("empty.fd"))
    named = vm_launch(sealtune.Tee.VM, image, run=Path("run"), options=given)
    assert named.host == sealtune.VmHost(
        tpm=Path("run/tpm"), firmware=Path("mine.fd"), variables=Path("empty.fd")
    )


def test_a_sev_snp_guest_has_the_named_processor(image: Path) -> None:
    given = options(vcpu_type="EPYC-Milan", firmware=Path("OVMF.amdsev.fd"))
    made = vm_launch(sealtune.Tee.SEV_SNP, image, run=Path("run"), options=given)
    assert made.host == sealtune.SnpHost(firmware=Path("OVMF.amdsev.fd"), processor="EPYC-Milan")


def test_a_guest_without_acpi_has_another_command_line(image: Path) -> None:
    given = options(vcpu_type="EPYC-Milan", acpi=False, processors=1)
    made = vm_launch(sealtune.Tee.SEV_SNP, image, run=Path("run"), options=given)
    assert made.image.boot.cmdline == f"{COMMAND_LINE} acpi=off"


def test_a_tdx_guest_asks_the_hosts_quote_service(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealtune, "QUOTE_SOCKETS", ("/nowhere",))
    made = vm_launch(sealtune.Tee.TDX, image, run=Path("run"), options=options())
    assert made.host == sealtune.TdxHost(
        firmware=None, quotes=sealtune.VsockQuotes(cid=2, port=4050)
    )
    given = options(quotes=sealtune.UnixQuotes(path=Path("/q")))
    made = vm_launch(sealtune.Tee.TDX, image, run=Path("run"), options=given)
    assert made.host == sealtune.TdxHost(firmware=None, quotes=sealtune.UnixQuotes(path=Path("/q")))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(("--tee", "sev-snp"), "--vcpu-type", id="no-processor"),
        pytest.param(("--tee", "vm", "--vcpu-type", "EPYC"), "--tee sev-snp", id="not-snp"),
        pytest.param(("--tee", "tdx", "--tpm", "t"), "--tee vm", id="tpm-of-a-td"),
        pytest.param(
            ("--tee", "sev-snp", "--vcpu-type", "EPYC", "--variables", "v"),
            "--tee vm",
            id="variables-of-snp",
        ),
        pytest.param(("--tee", "vm", "--quotes", "unix:/q"), "--tee tdx", id="quotes-of-a-vm"),
        pytest.param(("--tee", "tdx", "--quotes", "tcp:1:2"), "vsock:CID:PORT", id="odd-service"),
        pytest.param(("--tee", "tdx", "--quotes", "vsock:2:x"), "vsock:CID:PORT", id="odd-port"),
        pytest.param(("--tee", "vm", "--firmware", "mine.fd"), "--variables", id="no-variables"),
        pytest.param(("--tee", "vm", "--tee-files", "tee"), "simulated", id="files-of-a-vm"),
        pytest.param(("--tee", "simulated"), "not for --tee simulated", id="image-simulated"),
        pytest.param(("--tee", "qemu"), "'qemu'", id="unknown"),
        pytest.param(("--tee", "vm", "--memory-limit", "2G"), "--memory", id="limit-of-a-vm"),
        pytest.param(("--tee", "vm", "--memory-limit", "2e9"), "1536M", id="odd-limit"),
        pytest.param(("--tee", "vm", "--no-acpi"), "sev-snp", id="a-tpm-is-found-by-acpi"),
        pytest.param(
            ("--tee", "sev-snp", "--vcpu-type", "EPYC", "--no-acpi", "--processors", "2"),
            "one processor",
            id="processors-are-found-by-acpi",
        ),
    ],
)
def test_options_that_do_not_go_together(
    given: tuple[str, ...], expected: str, image: Path, sealtune_: Sealtune
) -> None:
    said = sealtune_(*RUN, "--image", image, *given)
    assert said.status == 2
    assert expected in said.err


def test_auto_asks_contract_and_host(
    image: Path, sealtune_: Sealtune, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Entry:
        def __init__(self, kind: str, *, simulated: bool) -> None:
            self.kind, self.insecure_accept_simulated = kind, simulated

    class Read:
        contract = type(
            "C", (), {"enclaves": (Entry("a", simulated=True), Entry("b", simulated=False))}
        )

    asked: list[set[str]] = []

    def choose(kinds: set[str], **_: object) -> sealtune.Tee:
        asked.append(kinds)
        return sealtune.Tee.VM

    monkeypatch.setattr(sealtune, "read_contract_file", lambda _path: Read)
    monkeypatch.setattr(sealtune, "choose_tee", choose)
    given = ("run", tmp_path / "lost.json", "-o", tmp_path / "run", "--tee", "auto")
    said = sealtune_(*given, "--image", image, "--json")
    # A simulated enclave is never chosen; what was chosen is said, and then the contract is read.
    assert asked == [{"b"}]
    assert "takes vm" in said.err
    assert said.error["code"] == "file-missing"
