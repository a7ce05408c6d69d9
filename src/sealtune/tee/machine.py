"""What the Attesters of real machines share: bounded reads, one kind of error, one last check.

Files here belong to the kernel, whose sizes are not known before they are read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from sealtune.attestation.binding import REPORT_DATA_BYTES
from sealtune.errors import Code, ConfigError, TransportError

ATTEMPTS = 5
_PAUSE_S = 0.2  # before the second attempt; then twice as long each time
_PIECE_BYTES = 64 * 1024


def pauses() -> Iterator[float]:
    """Return how long to wait before each attempt; nothing before the first."""
    return (_PAUSE_S * 2 ** (attempt - 1) if attempt else 0.0 for attempt in range(ATTEMPTS))


def tee_unavailable(message: str, *, remedy: str) -> ConfigError:
    """Return the error of a machine that does not offer what was asked for."""
    return ConfigError(Code.TEE_UNAVAILABLE, message, remedy=remedy)


def attester_failed(message: str, *, remedy: str = "") -> TransportError:
    """Return the error of a TEE that is there and does not answer as it should."""
    return TransportError(Code.ATTESTER_FAILED, message, remedy=remedy)


def attester_raced(what: str) -> TransportError:
    """Return the error of an answer that somebody else's request changed each time."""
    return TransportError(
        Code.ATTESTER_RACED,
        f"{what}: another process changed the request, {ATTEMPTS} times",
        remedy="stop the other process that asks this machine for evidence, and try again",
    )


def read_whole(path: Path, *, limit: int) -> bytes:
    """Return what `path` holds, at most `limit` bytes, read to its end.

    Raises:
        OSError: the kernel's own words.
        SealtuneError: it holds more.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = b""
        while piece := os.read(descriptor, _PIECE_BYTES):
            data += piece
            if len(data) > limit:
                raise attester_failed(f"{path}: more than {limit} bytes")
    finally:
        os.close(descriptor)
    return data


def read_optional(path: Path, *, limit: int) -> bytes:
    """Return what `path` holds; nothing where it is absent or not for this process to read.

    Raises:
        SealtuneError: it holds more than `limit` bytes, or reading it fails.
    """
    try:
        return read_whole(path, limit=limit)
    except (FileNotFoundError, PermissionError):
        return b""
    except OSError as error:
        raise attester_failed(f"{path}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """Return the errno's name and text, without the path that the caller names anyway."""
    number = error.errno or 0
    return f"{errno.errorcode.get(number, number)} ({os.strerror(number)})"


def check_report_data(report_data: bytes) -> None:
    """Refuse what no report could carry.

    Raises:
        ValueError: not 64 bytes.
    """
    if len(report_data) != REPORT_DATA_BYTES:
        raise ValueError(f"report_data has {REPORT_DATA_BYTES} bytes")


def require_bound(evidence: bytes, value: bytes, *, what: str) -> None:
    """Refuse evidence in which `value` does not stand.

    A verifier would refuse it too, and could not say that the fault is this machine's.

    Raises:
        SealtuneError: another request's evidence, or none at all.
    """
    if value not in evidence:
        raise attester_failed(f"{what}: the answer does not carry the requested report_data")
