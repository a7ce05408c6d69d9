"""NVIDIA GPUs in confidential-computing mode: device, driver, mode, and the CPU's TEE beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sealtune.tee.doctor.finding import Finding, Found, Group
from sealtune.tee.doctor.machine import Access, Machine
from sealtune.tee.doctor.platform import GuestTee, Platform
from sealtune.tee.doctor.tools import find_version

_PCI: Final = "/sys/bus/pci/devices"
_DRIVER: Final = "/proc/driver/nvidia"
_NVIDIA: Final = 0x10DE
_DISPLAY: Final = 0x03  # PCI class of display controllers
_BRIDGE: Final = 0x0680  # "other bridge": NVSwitch
_GPUS_MAX: Final = 64
_NAMES: Final = (
    "gpu-driver",
    "gpu-permission",
    "gpu-bindings",
    "gpu-cc-mode",
    "gpu-devtools",
    "gpu-ready",
    "gpu-cpu-tee",
)


@dataclass(frozen=True, slots=True)
class _Generation:
    name: str
    first: int
    last: int
    driver: int


# PCI device ids (https://pci-ids.ucw.cz) of the chips that have the mode, and the driver branch
# that first supports it there. GB202 is a desktop chip too; only the server card has the mode.
_GENERATIONS: Final = (
    _Generation("Hopper", 0x2302, 0x23FF, 550),
    _Generation("Blackwell", 0x2900, 0x29FF, 570),
    _Generation("Blackwell", 0x2BB5, 0x2BB5, 580),
    _Generation("Blackwell Ultra", 0x3180, 0x31FF, 580),
)


@dataclass(frozen=True, slots=True)
class _Gpus:
    count: int
    switches: int
    generations: tuple[_Generation, ...]  # of those that have the mode


def probe_gpu(machine: Machine, platform: Platform) -> tuple[Finding, ...]:
    """Return the findings of the group `gpu`."""
    found = Found(Group.GPU)
    gpus = _gpus(machine)
    if gpus.count == 0:
        return found.all_none(("gpu", *_NAMES), "no NVIDIA GPU is attached")
    if not gpus.generations:
        why = "confidential computing needs a Hopper or Blackwell data centre GPU"
        return (found.none("gpu", why), *found.all_none(_NAMES, "no such GPU"))
    return (
        found.ok("gpu", _describe(machine, gpus)),
        _driver(found, machine, gpus),
        found.usable(
            machine,
            "gpu-permission",
            "/dev/nvidiactl",
            absent="load the driver: sudo modprobe nvidia, or `nvidia-smi` once as root",
            fix="sudo usermod -aG video $USER, or run as root",
        ),
        _bindings(found, machine),
        _mode(found, machine, platform),
        _devtools(found, machine),
        _ready(found, machine),
        _cpu_tee(found, platform),
    )


def _gpus(machine: Machine) -> _Gpus:
    count = switches = 0
    generations: list[_Generation] = []
    for name in machine.children(_PCI):
        if _hexadecimal(machine, name, "vendor") != _NVIDIA:
            continue
        kind, device = _hexadecimal(machine, name, "class"), _hexadecimal(machine, name, "device")
        switches += kind >> 8 == _BRIDGE
        if kind >> 16 == _DISPLAY:
            count += 1
            generations += [g for g in _GENERATIONS if g.first <= device <= g.last]
    return _Gpus(count, switches, tuple(generations))


def _hexadecimal(machine: Machine, name: str, field: str) -> int:
    text = machine.read(f"{_PCI}/{name}/{field}", limit=64).value
    try:
        return int(text, 16) if len(text) <= 10 else -1
    except ValueError:
        return -1


def _describe(machine: Machine, gpus: _Gpus) -> str:
    names: dict[str, int] = {}
    for folder in machine.children(f"{_DRIVER}/gpus")[:_GPUS_MAX]:
        for line in machine.read(f"{_DRIVER}/gpus/{folder}/information").text.splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Model":
                model = " ".join(value.split())[:60]
                names[model] = names.get(model, 0) + 1
    if not names:
        names = {f"NVIDIA {gpus.generations[0].name} GPU": gpus.count}
    text = ", ".join(f"{number} x {name}" for name, number in names.items())
    return text + (f", {gpus.switches} x NVSwitch" if gpus.switches else "")


def _driver(found: Found, machine: Machine, gpus: _Gpus) -> Finding:
    reading = machine.read(f"{_DRIVER}/version")
    least = max(generation.driver for generation in gpus.generations)
    fix = f"install NVIDIA's open kernel modules, branch {least} or newer (nvidia-open)"
    if reading.access is not Access.OK:
        nouveau = machine.present("/sys/module/nouveau") is Access.OK
        detail = "nouveau drives the GPU" if nouveau else "NVIDIA's driver is not loaded"
        return found.missing("gpu-driver", detail, fix)
    version = find_version(reading.value)
    if version is None:
        return found.unknown("gpu-driver", "its version file names no version", fix)
    if "Open Kernel Module" not in reading.value:
        detail = f"driver {version.text} is the proprietary one: it has no confidential mode"
        return found.missing("gpu-driver", detail, fix)
    if version.numbers[0] < least:
        return found.missing("gpu-driver", f"driver {version.text} is too old", fix)
    return found.ok("gpu-driver", f"driver {version.text}, open kernel modules")


def _bindings(found: Found, machine: Machine) -> Finding:
    told = machine.has_bindings()
    if told is None:
        return found.unknown("gpu-bindings", "whether Python has NVML's bindings is not recorded")
    if not told:
        detail = "this Python lacks NVML's bindings, through which GPU evidence is collected"
        return found.missing("gpu-bindings", detail, "pip install nvidia-ml-py")
    return found.ok("gpu-bindings", "NVML's bindings are installed")


def _mode(found: Found, machine: Machine, platform: Platform) -> Finding:
    where = "on the host, " if platform.guest else ""
    fix = f"{where}with NVIDIA's gpu-admin-tools: sudo python3 nvidia_gpu_tools.py --devices gpus "
    fix += "--set-cc-mode=on --reset-after-cc-mode-switch; then start the guest anew"
    told = machine.run("nvidia-smi conf-compute -f")
    if told.status is None:
        detail = f"nvidia-smi: {told.why}"
        return found.unknown("gpu-cc-mode", detail, "install the driver's nvidia-smi")
    if "CC status: ON" in told.output:
        return found.ok("gpu-cc-mode", "confidential-computing mode is on")
    if "CC status: OFF" in told.output:
        return found.missing("gpu-cc-mode", "confidential-computing mode is off", fix)
    detail = f"nvidia-smi does not tell (exit status {told.status})"
    return found.unknown("gpu-cc-mode", detail, "see what `nvidia-smi conf-compute -f` says")


def _devtools(found: Found, machine: Machine) -> Finding:
    told = machine.run("nvidia-smi conf-compute -d")
    if told.status == 0 and "DevTools Mode: ON" in told.output:
        fix = "set the mode to `on` instead of `devtools`, as for gpu-cc-mode"
        detail = "DevTools mode: debuggers can look in, and verifiers refuse it"
        return found.missing("gpu-devtools", detail, fix)
    if told.status == 0 and "DevTools Mode: OFF" in told.output:
        return found.ok("gpu-devtools", "DevTools mode is off")
    return found.unknown("gpu-devtools", "nvidia-smi does not tell")


def _ready(found: Found, machine: Machine) -> Finding:
    told = machine.run("nvidia-smi conf-compute -grs")
    _, _, state = told.output.lower().partition("ready state:")
    if told.status == 0 and state.strip().partition("\n")[0].strip() == "ready":
        return found.ok("gpu-ready", "takes work")
    if told.status == 0 and "not" in state:
        detail = "not ready: CUDA gets no work done until it is"
        fix = "once its evidence was verified: sudo nvidia-smi conf-compute -srs 1"
        return found.degraded("gpu-ready", detail, fix)
    return found.unknown("gpu-ready", "nvidia-smi does not tell")


def _cpu_tee(found: Found, platform: Platform) -> Finding:
    if platform.tee not in (GuestTee.NONE, GuestTee.UNKNOWN):
        return found.ok("gpu-cpu-tee", f"the CPU's side is {platform.tee}")
    if platform.tee is GuestTee.UNKNOWN:
        return found.unknown("gpu-cpu-tee", "whether this VM is confidential is not known")
    detail = "not inside a confidential VM: data on its way to the GPU would be in the open"
    fix = "attach the GPU to an SEV-SNP or TDX guest and run there"
    return found.missing("gpu-cpu-tee", detail, fix)
