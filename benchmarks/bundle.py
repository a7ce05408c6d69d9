"""Rates of sealing and opening memory-resident data, beside raw AES-256-GCM and age.

    python benchmarks/bundle.py [--mib 256] [--rounds 7] [--core N] [--json]

One process on one core; every measurement once per round, in turn, so that a busy machine slows all
alike; ratios are taken within a round. Nothing touches a disk: bundles go to a buffer in memory and
are opened from a memfd (a file in memory, read with pread as any other). Buffers are allocated and
touched before the clock starts, except what `read_all` allocates itself.

Raw AES-256-GCM is measured twice: over the same data in calls of 1 MiB (what the targets refer to),
and over and over on one 1 MiB buffer that never leaves the cache (faster than any program that has
to fetch its data from memory; for information). The same for sealing and opening.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import BundleReader, open_bundle_file, verify_body
from sealtune.bundle.writer import BundleWriter
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey

MIB = 1 << 20
ENTRY_MIB = 16  # one tensor: 4096 x 2048 in bfloat16
TARGETS = (
    ("seal", "aes-gcm encrypt", 0.25),
    ("open: read_into", "aes-gcm decrypt", 0.25),
    ("open: read_all_into", "aes-gcm decrypt", 0.25),
    ("seal", "age encrypt", 2.0),
    ("open: read_into", "age decrypt", 2.0),
    ("open: read_all_into", "age decrypt", 2.0),
    ("open: read_all", "aes-gcm decrypt", 0.0),
    ("open: read_all", "age decrypt", 0.0),
    ("seal, in cache", "aes-gcm encrypt, in cache", 0.0),
    ("open: read_into, in cache", "aes-gcm decrypt, in cache", 0.0),
    ("seal", "aes-gcm encrypt, in cache", 0.0),
    ("open: read_into", "aes-gcm decrypt, in cache", 0.0),
)
Work = Callable[[], None]


class Window:
    """A file for the writer that keeps one piece in memory: for the measurement in the cache."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(b"\1" * MIB))

    def write(self, data: bytes | memoryview) -> int:
        """Copy `data` over what was written before."""
        self.room[: len(data)] = data
        return len(data)


class Sealed:
    """Our two code paths over data in memory: `BundleWriter` and `BundleReader`."""

    def __init__(self, data: memoryview, *, entry_bytes: int) -> None:
        self.data = data
        self.entry_bytes = entry_bytes
        self.owner = Identity.generate("owner")
        self.output = io.BytesIO()
        self.room = memoryview(bytearray(b"\1" * min(entry_bytes, len(data))))
        self.seal()
        self.path = self._memory_file()
        self.reader = self._reader()

    def seal(self) -> None:
        """Seal all data as a whole bundle into the buffer that the last round left."""
        self.output.seek(0)
        writer = BundleWriter(
            self.output,
            kind=BundleKind.MODEL,
            owner=self.owner.signing,
            key=ContentKey.generate(),
        )
        for start in range(0, len(self.data), self.entry_bytes):
            piece = self.data[start : start + self.entry_bytes]
            writer.add_entry(
                f"tensor.{start}", piece, media=Media.TENSOR, dtype="U8", shape=[len(piece)]
            )
        writer.finish(facts={}, recipients=[self.owner.public.recipient])

    def read_into(self) -> None:
        """Open every entry into memory that is there already."""
        for entry in self.reader.entries:
            self.reader.read_into(entry, self.room[: entry.length])

    def read_all_into(self) -> None:
        """Open every entry in one pass that checks the body's digest, too."""
        for _ in self.reader.read_all_into(lambda entry: self.room[: entry.length]):
            pass

    def read_all(self) -> None:
        """The same into fresh memory for each entry, which the system has to provide."""
        for _ in self.reader.read_all():
            pass

    def seal_over_and_over(self, count: int) -> None:
        """Seal the data `count` times as one entry, to a window that stays in the cache."""
        writer = BundleWriter(
            Window(),
            kind=BundleKind.MODEL,
            owner=self.owner.signing,
            key=ContentKey.generate(),
        )
        writer.add_entry("tensor", (self.data for _ in range(count)), media=Media.FILE)
        writer.finish(facts={}, recipients=[self.owner.public.recipient])

    def verify_body(self) -> None:
        """Check the body's digest without a key."""
        verify_body(self.path)

    def _memory_file(self) -> Path:
        self.descriptor = os.memfd_create("bundle")
        length = self.output.tell()
        os.write(self.descriptor, self.output.getbuffer()[:length])
        return Path(f"/proc/self/fd/{self.descriptor}")

    def _reader(self) -> BundleReader:
        bundle = open_bundle_file(self.path)
        return bundle.unlock(bundle.unwrap(self.owner.recipient))


class RawGcm:
    """AES-256-GCM in calls of 1 MiB, a fresh nonce each, into buffers that are there already."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.cipher = AESGCM(AESGCM.generate_key(256))
        self.count = len(data) // MIB
        self.sealed = [memoryview(bytearray(b"\1" * (MIB + 16))) for _ in range(self.count)]
        self.room = memoryview(bytearray(b"\1" * MIB))
        self.encrypt()

    def encrypt(self) -> None:
        """Encrypt all data."""
        for index, target in enumerate(self.sealed):
            piece = self.data[index * MIB : (index + 1) * MIB]
            self.cipher.encrypt_into(index.to_bytes(12, "big"), piece, None, target)

    def decrypt(self) -> None:
        """Decrypt all data."""
        for index, source in enumerate(self.sealed):
            self.cipher.decrypt_into(index.to_bytes(12, "big"), source, None, self.room)


class Age:
    """age through pyrage, to one X25519 recipient."""

    def __init__(self, data: memoryview) -> None:
        self.data = bytes(data)
        self.identity = pyrage.x25519.Identity.generate()
        self.encrypt()

    def encrypt(self) -> None:
        """Encrypt all data."""
        self.sealed = pyrage.encrypt(self.data, [self.identity.to_public()])

    def decrypt(self) -> None:
        """Decrypt all data."""
        pyrage.decrypt(self.sealed, [self.identity])


def works(mib: int) -> dict[str, tuple[Work, int]]:
    """Return name -> what to measure and the bytes of plaintext that it handles."""
    pattern = os.urandom(MIB)
    data = memoryview(bytearray(pattern * mib))
    small = data[:MIB]
    size = len(data)
    sealed, cached = Sealed(data, entry_bytes=ENTRY_MIB * MIB), Sealed(small, entry_bytes=MIB)
    raw, raw_cached, age = RawGcm(data), RawGcm(small), Age(data)

    def repeated(work: Work) -> Work:
        def run() -> None:
            for _ in range(mib):
                work()

        return run

    return {
        "aes-gcm encrypt": (raw.encrypt, size),
        "aes-gcm decrypt": (raw.decrypt, size),
        "seal": (sealed.seal, size),
        "open: read_into": (sealed.read_into, size),
        "open: read_all_into": (sealed.read_all_into, size),
        "open: read_all": (sealed.read_all, size),
        "verify_body (no key)": (sealed.verify_body, size),
        "age encrypt": (age.encrypt, size),
        "age decrypt": (age.decrypt, size),
        "aes-gcm encrypt, in cache": (repeated(raw_cached.encrypt), size),
        "aes-gcm decrypt, in cache": (repeated(raw_cached.decrypt), size),
        "seal, in cache": (lambda: cached.seal_over_and_over(mib), size),
        "open: read_into, in cache": (repeated(cached.read_into), size),
    }


def measure(mib: int, rounds: int) -> dict[str, list[float]]:
    """Return the rates in bytes per second of each measurement, one per round."""
    todo = works(mib)
    rates: dict[str, list[float]] = {name: [] for name in todo}
    for number in range(rounds + 1):
        for name, (work, size) in todo.items():
            begin = time.perf_counter()
            work()
            seconds = time.perf_counter() - begin
            if number:  # the first round warms up
                rates[name].append(size / seconds)
    return rates


def summary(values: list[float]) -> dict[str, float]:
    """Return median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def report(rates: dict[str, list[float]], *, mib: int, rounds: int) -> dict[str, object]:
    """Return all that is printed."""
    ratios = []
    for name, base, target in TARGETS:
        values = [ours / theirs for ours, theirs in zip(rates[name], rates[base], strict=True)]
        row = {"of": name, "to": base, **summary(values)}
        if target:
            row |= {"target": target, "met": statistics.median(values) >= target}
        ratios.append(row)
    return {
        "mib": mib,
        "entry_mib": ENTRY_MIB,
        "rounds": rounds,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "gigabytes_per_second": {
            name: summary([value / 1e9 for value in values]) for name, values in rates.items()
        },
        "ratios": ratios,
    }


def show(result: dict) -> None:
    """Print the tables."""
    print(
        f"{result['mib']} MiB in memory, entries of {ENTRY_MIB} MiB, one core, {result['machine']}"
    )
    print(f"{result['rounds']} rounds in turn; median (least to greatest)\n")
    for name, rate in result["gigabytes_per_second"].items():
        print(f"{name:28}{rate['median']:7.2f} GB/s  ({rate['min']:.2f} to {rate['max']:.2f})")
    print()
    for row in result["ratios"]:
        line = f"{row['of']:26} / {row['to']:26}{row['median']:6.2f}"
        line += f"  ({row['min']:.2f} to {row['max']:.2f})"
        if "target" in row:
            line += f"  target {row['target']:.2f}: {'met' if row['met'] else 'MISSED'}"
        print(line)


def main() -> None:
    """Measure and print; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    rates = measure(arguments.mib, arguments.rounds)
    result = report(rates, mib=arguments.mib, rounds=arguments.rounds)
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    if not all(row.get("met", True) for row in result["ratios"]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
