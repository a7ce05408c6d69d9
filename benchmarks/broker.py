"""How many keys a broker releases per second, with real verification, over HTTP on loopback.

    python benchmarks/broker.py [--seconds 10] [--workers 64] [--json]

A real broker process (uvicorn, SQLite with synchronous=FULL) and concurrent workers in two other
processes, all on the same cores: every release is a fresh challenge, a fresh SEV-SNP report signed
under the mock hierarchy, its full verification, appraisal, decision, a new run counted and logged
on disk, and the keys opened by the worker. Only the workers' own keys are made beforehand, and the
per-address rate limit is raised, since all workers have one address here.

The ceiling that is printed beside it is the same server with a bare FastAPI endpoint that reads as
many bytes and returns as many: what is left when all the work is taken away. No other project's
broker is compared: none that we know of verifies, counts and logs the same things.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sealtune.core.digest import digest_bytes
from sealtune.core.limits import CONTRACT_RUNS_MAX
from sealtune.errors import SealtuneError
from sealtune.protocol.client import BrokerClient, Patience
from sealtune.protocol.session import BrokerSession, WorkerSecrets
from sealtune.tee.measure import measure_enclave_code
from sealtune.tee.simulated import InsecureSimulatedAttester
from sealtune.testing.mock_amd import make_mock_amd
from sealtune.testing.scene import BrokerProcess, Scene, make_scene, new_run_id

BROKER = "hospital-broker"
GENERATORS = 2
TARGET_PER_SECOND = 100.0
ONCE = Patience(timeout_s=60.0, attempts=1)
ECHO = """
import json, socket, sys
from fastapi import FastAPI, Request, Response
from sealtune.broker import server
app = FastAPI(docs_url=None, redoc_url=None)
@app.post("/v1/challenge")
@app.post("/v1/release")
async def echo(request: Request) -> Response:
    body = await request.body()
    return Response(b"x" * (800 if len(body) < 1000 else 11000))
listener = server._listen("127.0.0.1", 0)
announce = lambda: print(json.dumps({"address": server._address(listener)}), flush=True)
server._Server(server._uvicorn_config(app), announce).run(sockets=[listener])
"""


@dataclass
class Tally:
    """What the workers of one process saw."""

    seconds: list[float]
    errors: Counter[str]


Attempt = Callable[[BrokerClient, WorkerSecrets, int], None]


def main() -> int:
    """Measure, print, and return 0 if the target was met without an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = _measure(Path(name), seconds=options.seconds, workers=options.workers)
    print(json.dumps(result, indent=2) if options.json else _table(result))
    return 0 if result["met"] else 1


def _measure(folder: Path, *, seconds: float, workers: int) -> dict[str, Any]:
    now = datetime.now(UTC)
    mock = make_mock_amd(folder / "mock-amd", now=now)
    scene = make_scene(folder / "scene", mock=mock, now=now)
    contracts = _contracts(scene, count=workers)
    _raise_rate_limit(scene.broker_folder(BROKER) / "broker.toml")
    attester = InsecureSimulatedAttester(folder / "mock-amd")
    with BrokerProcess(scene.broker_folder(BROKER)) as broker:
        client = BrokerClient(broker.address)
        for registration in scene.registrations(BROKER):
            client.ask("/v1/keys", registration)
        for contract in contracts:
            client.ask("/v1/contracts", contract.envelope.to_json())
        attempt = _release(contracts, attester)
        _load(broker.address, attempt, seconds=1.0, workers=workers)  # warm-up
        before = _cpu_seconds(broker.process.pid)
        tally, took = _load(broker.address, attempt, seconds=seconds, workers=workers)
        broker_cpu = _cpu_seconds(broker.process.pid) - before
        status = broker.stop()
    ceiling = _ceiling(attempt_seconds=min(seconds, 5.0), workers=workers)
    return _report(tally, took, ceiling, workers=workers, broker_cpu=broker_cpu, status=status)


def _contracts(scene: Scene, *, count: int) -> list[Scene]:
    """Return contracts enough that no worker ever uses up the runs of its own."""
    enclaves = scene.agreement.document()["enclaves"]
    enclaves[0]["measurements"] = [measure_enclave_code()]
    return [
        scene.agree(name=f"benchmark-{number}", max_runs=CONTRACT_RUNS_MAX, enclaves=enclaves)
        for number in range(count)
    ]


def _raise_rate_limit(path: Path) -> None:
    text = path.read_text()
    text = text.replace("requests_per_second = 100.0", "requests_per_second = 100000.0")
    path.write_text(text.replace("burst = 400.0", "burst = 100000.0"))


def _release(contracts: list[Scene], attester: InsecureSimulatedAttester) -> Attempt:
    expected = contracts[0].inputs["notes"]

    def attempt(client: BrokerClient, worker: WorkerSecrets, number: int) -> None:
        scene = contracts[number]
        host_data = digest_bytes(scene.contract.digest)
        session = BrokerSession(scene.terms(BROKER, run_id=new_run_id(), worker=worker))
        challenge = session.on_challenge(client.post("/v1/challenge", session.start()))
        evidence = attester.attest(challenge.report_data, host_data=host_data)
        released = session.on_release(client.post("/v1/release", session.request(evidence)))
        if (
            released.run != "new"
            or released.keys[expected.digest].reveal() != expected.key.reveal()
        ):
            raise RuntimeError("another key, or not a new run")

    return attempt


def _load(address: str, attempt: Attempt, *, seconds: float, workers: int) -> tuple[Tally, float]:
    """Let `workers` ask again and again for `seconds`; return what they saw."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    start = context.Barrier(GENERATORS + 1)
    processes = [
        context.Process(target=_generate, args=(address, attempt, seconds, numbers, start, queue))
        for numbers in (range(part, workers, GENERATORS) for part in range(GENERATORS))
    ]
    for process in processes:
        process.start()
    start.wait()
    began = time.perf_counter()
    tallies = [queue.get() for _ in processes]
    took = time.perf_counter() - began
    for process in processes:
        process.join()
    errors: Counter[str] = sum((tally.errors for tally in tallies), Counter())
    return Tally([value for tally in tallies for value in tally.seconds], errors), took


def _generate(
    address: str, attempt: Attempt, seconds: float, numbers: range, start: Any, queue: Any
) -> None:
    tally = Tally([], Counter())
    secrets = [(WorkerSecrets.generate(), number) for number in numbers]
    start.wait()
    end = time.perf_counter() + seconds

    def work(worker: WorkerSecrets, number: int) -> None:
        client = BrokerClient(address, patience=ONCE)
        while (began := time.perf_counter()) < end:
            try:
                attempt(client, worker, number)
            except SealtuneError as error:
                tally.errors[str(error.code)] += 1
            except Exception as error:
                tally.errors[type(error).__name__] += 1
            else:
                tally.seconds.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work, args=pair) for pair in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put(tally)


def _ceiling(*, attempt_seconds: float, workers: int) -> float:
    """Return how many such pairs of requests a bare endpoint answers per second."""

    def attempt(client: BrokerClient, _: WorkerSecrets, __: int) -> None:
        client.post("/v1/challenge", b"x" * 150)
        client.post("/v1/release", b"x" * 17_000)

    process = subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE)
    try:
        address = json.loads(process.stdout.readline())["address"]
        tally, took = _load(address, attempt, seconds=attempt_seconds, workers=workers)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    return len(tally.seconds) / took


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _report(
    tally: Tally, took: float, ceiling: float, *, workers: int, broker_cpu: float, status: int
) -> dict[str, Any]:
    ordered = sorted(tally.seconds)
    rate = len(ordered) / took
    return {
        "releases_per_second": round(rate, 1),
        "target_per_second": TARGET_PER_SECOND,
        "releases": len(ordered),
        "errors": dict(tally.errors),
        "workers": workers,
        "latency_ms": {
            "median": round(statistics.median(ordered) * 1000, 1),
            "p95": round(ordered[int(len(ordered) * 0.95)] * 1000, 1),
            "p99": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
            "max": round(ordered[-1] * 1000, 1),
        },
        "broker_cpu_ms_per_release": round(1000 * broker_cpu / len(ordered), 2),
        "bare_endpoint_pairs_per_second": round(ceiling, 1),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "met": rate >= TARGET_PER_SECOND and not tally.errors and status == 0,
    }


def _table(result: dict[str, Any]) -> str:
    latency = result["latency_ms"]
    rows = [
        ("key releases per second", f"{result['releases_per_second']} (target 100)"),
        ("errors", f"{sum(result['errors'].values())} {result['errors'] or ''}".strip()),
        ("concurrent workers", str(result["workers"])),
        ("latency of one release, ms", ", ".join(f"{k} {v}" for k, v in latency.items())),
        ("broker CPU per release, ms", str(result["broker_cpu_ms_per_release"])),
        ("bare FastAPI endpoint, pairs/s", str(result["bare_endpoint_pairs_per_second"])),
        ("cores, load average", f"{result['cores']}, {result['load_average']}"),
        ("target met", "yes" if result["met"] else "NO"),
    ]
    return "\n".join(f"{name:34}{value}" for name, value in rows)


if __name__ == "__main__":
    sys.exit(main())
