"""Takes out of a recorded tree what names a person or one machine.

Files whose content is free text are cut down to what probes look for; in everything else, UUIDs,
hardware addresses and long numbers become zeros. Fail closed: a name that is not known is replaced.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from typing import Final

from sealtune.tee.doctor.kernel import OPTIONS, is_shown_parameter, unpack
from sealtune.tee.doctor.platform import AZURE_TAG, CONTAINER_WORDS

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MAC: Final = re.compile(r"(?<![0-9a-fA-F:])[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}(?![0-9a-fA-F:])")
_HEX: Final = re.compile(r"(?<!\w)(?=[0-9]*[a-fA-F])[0-9a-fA-F]{16,}")
_NAMES: Final = frozenset(
    {
        "root",
        "kvm",
        "tss",
        "sgx",
        "sgx_prv",
        "video",
        "render",
        "sev",
        "libvirt",
        "qemu",
        "disk",
        "tty",
        "nobody",
        "nogroup",
    }
)
_CPU_FIELDS: Final = frozenset(
    {"vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags"}
)
_GPU_FIELDS: Final = frozenset({"Model", "Video BIOS", "GPU Firmware", "GPU Excluded"})
_MOUNTS: Final = frozenset({"/dev", "/sys/kernel/config", "/sys/kernel/security"})


def scrub_text(path: str, text: str) -> str:
    """Return the content of the file at `path` without what names somebody."""
    rule = _RULES.get(path)
    if rule is None and path.startswith("/proc/driver/nvidia/gpus/"):
        rule = _gpu
    return _generic(rule(text) if rule else text)


def scrub_bytes(path: str, data: bytes) -> bytes:
    """Return the content of the binary file at `path` without what names somebody."""
    if path == "/proc/config.gz":
        return gzip.compress(_config(unpack(data)), mtime=0)
    if "/config" in path:
        return _config(data)
    return data[:16]  # a flag of the firmware, or the first byte that shows that a log can be read


def scrub_name(name: str) -> str:
    """Return the name of a user or group if it is a system's and no person's."""
    return name if name in _NAMES else "someone"


def _generic(text: str) -> str:
    text = _UUID.sub("00000000-0000-0000-0000-000000000000", text)
    return _HEX.sub("0", _MAC.sub("00:00:00:00:00:00", text))


def _config(data: bytes) -> bytes:
    lines = [b"# the options that probes ask for"]
    for line in data.splitlines():
        name, separator, _ = line.removeprefix(b"CONFIG_").partition(b"=")
        if separator and name.decode("ascii", errors="replace") in OPTIONS:
            lines.append(line)
    # An option that is off is no line; one that is always there shows that the file was readable.
    return b"\n".join([*lines, b"CONFIG_X86_64=y", b""])


def _cpuinfo(text: str) -> str:
    return _kept(text.partition("\n\n")[0], _CPU_FIELDS)


def _gpu(text: str) -> str:
    return _kept(text, _GPU_FIELDS)


def _kept(text: str, names: frozenset[str]) -> str:
    lines = [line for line in text.splitlines() if line.partition(":")[0].strip() in names]
    return "\n".join([*lines, ""])


def _command_line(text: str) -> str:
    return " ".join(filter(is_shown_parameter, text.split())) + "\n"


def _mounts(text: str) -> str:
    lines = [line for line in text.splitlines() if _target(line) in _MOUNTS]
    return "\n".join([*lines, ""])


def _target(line: str) -> str:
    words = line.split()
    return words[1] if len(words) > 1 else ""


def _control_groups(text: str) -> str:
    # The path holds the container's id, a user's or a pod's name.
    return "".join(f"0::/{word}\n" for word in CONTAINER_WORDS if word in text) or "0::/\n"


def _swaps(text: str) -> str:
    header, *lines = text.splitlines() or [""]
    kinds = ["/dev/zram0" if "/zram" in line else "/dev/swap" for line in lines if line.strip()]
    return "\n".join([header, *(f"{kind} partition 0 0 0" for kind in kinds), ""])


def _asset_tag(text: str) -> str:
    return text if text.strip() == AZURE_TAG else "\n"


_RULES: Final[dict[str, Callable[[str], str]]] = {
    "/proc/cpuinfo": _cpuinfo,
    "/proc/cmdline": _command_line,
    "/proc/1/cgroup": _control_groups,
    "/proc/mounts": _mounts,
    "/proc/swaps": _swaps,
    "/sys/class/dmi/id/chassis_asset_tag": _asset_tag,
}
