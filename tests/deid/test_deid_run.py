"""A whole run: what comes out, that nothing half-done does, and that it goes on after a crash."""

from __future__ import annotations

import base64
import csv
import json
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from sealtune.bundle.seal import seal_data
from sealtune.core.digest import sha256_file
from sealtune.crypto.identity import create_identity, load_identity
from sealtune.deid import pool, run, work_folder
from sealtune.deid.binding import bind_report_file, read_report_file
from sealtune.deid.config import PROFILES, Configuration, FieldRule, Role, TableTerms
from sealtune.deid.entities import EntityType
from sealtune.deid.key import DeidKey
from sealtune.deid.process_messages import Setup
from sealtune.deid.records import csv_table, decoding, json_lines, plain_text
from sealtune.deid.records.source import open_source
from sealtune.deid.reidentify import reidentify
from sealtune.deid.run import deidentify
from sealtune.deid.summary import DeidSummary
from sealtune.deid.work_folder import open_work_folder, work_folder_of
from sealtune.errors import Code, ConfigError, FormatError, StorageError

KEY = DeidKey(bytes(range(32)))
HIPAA, GDPR = PROFILES["hipaa-safe-harbor"], PROFILES["gdpr-pseudonymous"]
NOTES = [
    {"text": f"Seen by Dr. Anna Petersen. SSN 219-09-{4000 + at}. Mail anna{at}@clinic.example."}
    for at in range(24)
]
# Makes shards of 600 bytes, and ends without notice at the moment MOMENT.
_CRASH = """
import os, signal, sys
from pathlib import Path
from sealtune.deid import complete, engine, run
from sealtune.deid.config import PROFILES
from sealtune.deid.key import DeidKey
from sealtune.deid.records import decoding, json_lines

json_lines.SHARD_BYTES, decoding._CHUNK = 600, 64
moment, seen = sys.argv[3], []

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def progress(done, total):
    seen.append(done)
    if moment == f"shard-{len(seen)}":
        die()

def torn(path, data):
    path.write_bytes(data[: len(data) // 2])
    if seen:
        die()
    real(path, data)

real = engine.write_part
if moment == "part":
    engine.write_part = torn
elif moment in ("assemble", "publish"):
    setattr(complete, moment, die)
elif moment == "named":
    run.WorkFolder.remove = die
run.deidentify(Path(sys.argv[1]), Path(sys.argv[2]), configuration=PROFILES["gdpr-pseudonymous"],
    key=DeidKey(bytes(range(32))), jobs=int(sys.argv[4]), progress=progress)
"""
_FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))
from pathlib import Path
from sealtune.deid.config import PROFILES
from sealtune.deid.key import DeidKey
from sealtune.deid.run import deidentify
from sealtune.errors import StorageError
try:
    deidentify(Path(sys.argv[1]), Path(sys.argv[2]), configuration=PROFILES["gdpr-pseudonymous"],
        key=DeidKey(bytes(range(32))), jobs=int(sys.argv[3]))
except StorageError as error:
    print(error.code)
"""


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 600 bytes, so that a small file has several."""
    monkeypatch.setattr(decoding, "_CHUNK", 64)
    for module in (csv_table, json_lines, plain_text):
        monkeypatch.setattr(module, "SHARD_BYTES", 600)
    monkeypatch.setattr(plain_text, "CONTEXT_BYTES", 100)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Records with names, numbers and addresses."""
    path = tmp_path / "notes.jsonl"
    path.write_text("".join(json.dumps(note) + "\n" for note in NOTES))
    return path


def _run(given: Path, output: str, configuration: Configuration, **more: Any) -> DeidSummary:
    return deidentify(given, given.parent / output, configuration=configuration, key=KEY, **more)


def _left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("small_shards")
def test_processes_give_what_one_gives(notes: Path) -> None:
    one = _run(notes, "one.jsonl", HIPAA)
    two = _run(notes, "two.jsonl", HIPAA, jobs=2)
    assert one.shards == two.shards > 3
    assert one.output_digest == two.output_digest == sha256_file(two.output)
    assert (one.counts, one.records_digest) == (two.counts, two.records_digest)
    assert one.statement == two.statement
    assert one.counts == {"email": 24, "person": 24, "ssn": 24}
    assert one.input_digest == sha256_file(notes)
    assert _left(notes.parent) == {"notes.jsonl", "one.jsonl", "two.jsonl"}
    text = two.output.read_text()
    assert "Petersen" not in text
    assert "219-09" not in text
    assert [list(json.loads(line)) for line in text.splitlines()] == [["text"]] * 24


@pytest.mark.usefixtures("small_shards")
def test_progress_reaches_the_end(notes: Path) -> None:
    calls: list[tuple[int, int]] = []
    _run(notes, "out.jsonl", HIPAA, progress=lambda done, total: calls.append((done, total)))
    size = notes.stat().st_size
    assert calls[-1] == (size, size)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    ("moment", "jobs"),
    [
        ("part", 1),
        *product(["shard-1", "shard-3", "assemble", "publish"], [1, 2]),
    ],
)
def test_a_killed_run_goes_on(notes: Path, moment: str, jobs: int) -> None:
    output = notes.with_name("out.jsonl")
    command = [sys.executable, "-c", _CRASH, str(notes), str(output), moment, str(jobs)]
    assert subprocess.run(command, check=False).returncode == -9
    assert not output.exists()
    folder = work_folder_of(output)
    assert folder.stat().st_mode & 0o777 == 0o700
    again = _run(notes, "out.jsonl", GDPR, jobs=1)
    assert again.resumed >= 1
    if moment in ("assemble", "publish"):
        assert again.resumed == again.shards
    whole = _run(notes, "whole.jsonl", GDPR)
    assert (again.output_digest, again.counts) == (whole.output_digest, whole.counts)
    assert again.statement == whole.statement
    assert not folder.exists()


def test_no_run_goes_on_while_processes_of_a_killed_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_folder, "_WAIT_SECONDS", 0.1)
    again = partial(open_work_folder, tmp_path / "work", binding={"of": "this"}, restart=False)
    with ExitStack() as processes:
        with again() as work:
            setup = Setup({}, bytes(32), work.path)
            processes.enter_context(pool._process(setup, held=work.lock))
        with pytest.raises(StorageError, match="another run"), again():
            pass
    with again():
        pass


@pytest.mark.usefixtures("small_shards")
def test_a_run_that_was_killed_when_all_was_named_is_done(notes: Path) -> None:
    output = notes.with_name("out.jsonl")
    command = [sys.executable, "-c", _CRASH, str(notes), str(output), "named", "1"]
    assert subprocess.run(command, check=False).returncode == -9
    with pytest.raises(StorageError) as caught:
        _run(notes, "out.jsonl", GDPR)
    assert caught.value.code is Code.FILE_EXISTS
    assert _left(notes.parent) == {"notes.jsonl", "out.jsonl", "out.jsonl.vault"}
    whole = _run(notes, "whole.jsonl", GDPR)
    assert whole.output_digest == sha256_file(output)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_leaves_no_output(notes: Path, jobs: int) -> None:
    output = notes.with_name("out.jsonl")
    notes.write_text(notes.read_text() * 3)
    command = [sys.executable, "-c", _FULL, str(notes), str(output), str(jobs)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == Code.DISK_FULL
    assert not output.exists()
    assert _run(notes, "out.jsonl", GDPR).records == 72


@pytest.mark.usefixtures("small_shards")
def test_what_was_made_on_other_terms_is_not_used(notes: Path) -> None:
    output = notes.with_name("out.jsonl")
    command = [sys.executable, "-c", _CRASH, str(notes), str(output), "shard-3", "1"]
    assert subprocess.run(command, check=False).returncode == -9
    made = _run(notes, "out.jsonl", HIPAA)
    assert made.resumed == 0
    assert any("other terms" in note for note in made.notes)


@pytest.mark.usefixtures("small_shards")
def test_an_input_that_was_mended_behind_keeps_what_is_before(notes: Path) -> None:
    output = notes.with_name("out.jsonl")
    lines = notes.read_text().splitlines(keepends=True)
    notes.write_text("".join([*lines[:-1], "{broken\n"]))
    with pytest.raises(FormatError) as caught:
        _run(notes, "out.jsonl", HIPAA)
    assert f"{notes}:{len(lines)}" in caught.value.message
    assert "broken" not in caught.value.message
    assert not output.exists()
    notes.write_text("".join(lines))
    assert _run(notes, "out.jsonl", HIPAA).resumed > 2


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("kind", ["part", "risk", "vault"])
def test_a_damaged_part_is_made_again(notes: Path, kind: str) -> None:
    output = notes.with_name("out.jsonl")
    command = [sys.executable, "-c", _CRASH, str(notes), str(output), "assemble", "1"]
    subprocess.run(command, check=False)
    part = work_folder_of(output) / f"00000001.{kind}"
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    made = _run(notes, "out.jsonl", GDPR)
    assert made.resumed == made.shards - 1
    assert b"!" not in output.read_bytes()


def test_errors_of_a_process_are_those_of_one(notes: Path) -> None:
    notes.write_text(notes.read_text() + "{broken\n")
    with pytest.raises(FormatError) as caught:
        _run(notes, "out.jsonl", HIPAA, jobs=2)
    assert caught.value.code is Code.RECORD_MALFORMED
    assert f"{notes}:25" in caught.value.message


def test_an_output_that_exists_is_refused(notes: Path) -> None:
    notes.with_name("out.jsonl").write_text("mine")
    with pytest.raises(StorageError) as caught:
        _run(notes, "out.jsonl", HIPAA)
    assert caught.value.code is Code.FILE_EXISTS
    assert _left(notes.parent) == {"notes.jsonl", "out.jsonl"}


@pytest.mark.parametrize("content", ["", "\n\n"])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "txt"])
def test_nothing_is_no_input(tmp_path: Path, suffix: str, content: str) -> None:
    given = tmp_path / f"a.{suffix}"
    given.write_text(content)
    with pytest.raises(FormatError) as caught:
        _run(given, f"out.{suffix}", HIPAA)
    assert caught.value.code is Code.RECORDS_EMPTY
    assert _left(tmp_path) == {given.name}


def test_two_runs_for_one_output_do_not_meet(notes: Path) -> None:
    refused = []

    def second(done: int, total: int) -> None:
        if not refused:
            refused.append(None)
            with pytest.raises(StorageError) as caught:
                _run(notes, "out.jsonl", HIPAA)
            refused[0] = caught.value.code

    _run(notes, "out.jsonl", HIPAA, progress=second)
    assert refused == [Code.FILE_EXISTS]


def _children() -> list[Path]:
    # Of every thread: which of them starts a process is the pool's business.
    found = Path("/proc/self/task").glob("*/children")
    return [Path("/proc", child, "cmdline") for each in found for child in each.read_text().split()]


def test_the_key_is_in_no_argument_and_no_environment(tmp_path: Path) -> None:
    setup = Setup(HIPAA.to_dict(), KEY.reveal(), Path())
    spellings = (KEY.reveal(), KEY.reveal().hex().encode(), base64.b64encode(KEY.reveal()))
    with (
        open_work_folder(tmp_path / "work", binding={}, restart=False) as work,
        pool._process(setup, held=work.lock),
    ):
        ours: list[bytes] = []
        # A child is a copy of this process until it has begun with its own program.
        for _ in range(1_000):
            commands = [path.read_bytes() for path in _children()]
            ours = [command for command in commands if b"sealtune.deid.process" in command]
            if ours:
                break
            threading.Event().wait(0.02)
        assert ours
        assert not any(spelling in command for command in ours for spelling in spellings)
    assert KEY.reveal() not in b"".join(map(os.fsencode, os.environ.values()))


def test_roles_decide_and_types_stay(tmp_path: Path) -> None:
    given = tmp_path / "a.jsonl"
    record = {
        "text": "No name here.",
        "who": "P-1",
        "code": "X99",
        "safe": "Dr. Anna Petersen",
        "count": 3,
        "none": None,
        "nested": {"deep": [{"mail": "anna@clinic.example"}, True]},
        "anna@clinic.example": "x",
    }
    given.write_text(json.dumps(record) + "\n" + json.dumps({"text": "b", "late": "c"}) + "\n")
    rules = {
        "who": FieldRule(role=Role.SUBJECT),
        "code": FieldRule(role=Role.DIRECT, entity=EntityType.MEDICAL_RECORD),
        "safe": FieldRule(role=Role.SAFE),
        "typo": FieldRule(role=Role.SAFE),
    }
    made = _run(given, "out.jsonl", HIPAA.model_copy(update={"fields": rules}))
    first = json.loads(made.output.read_text().splitlines()[0])
    assert first["safe"] == record["safe"]
    assert (first["count"], first["none"]) == (3, None)
    assert "P-1" not in first["who"]
    assert first["code"] == "[MEDICAL-RECORD]"
    assert first["nested"]["deep"][1] is True
    assert "clinic.example" not in made.output.read_text().replace("example.", "")
    notes = " ".join(made.notes)
    assert "'typo'" in notes
    assert "late" in notes
    assert "anna@clinic.example" not in notes


def test_a_bare_number_is_known_by_its_field(tmp_path: Path) -> None:
    given = tmp_path / "a.csv"
    given.write_text("mrn,age,weight\n48213377,93,70\n")
    made = _run(given, "out.csv", HIPAA)
    with made.output.open() as file:
        row = next(csv.DictReader(file))
    assert row["mrn"] != "48213377"
    assert row["age"] != "93"
    assert row["weight"] == "70"


@pytest.mark.usefixtures("small_shards")
def test_an_identifier_at_the_end_of_a_window_is_seen_whole(tmp_path: Path) -> None:
    given = tmp_path / "a.txt"
    given.write_text("Mail to anna.petersen@clinic-of-the-north.example today, " * 60)
    made = _run(given, "out.txt", HIPAA)
    assert made.shards > 3
    text = made.output.read_text()
    assert "clinic-of-the-north" not in text
    assert text.count(" today, ") == 60


def test_a_table_is_generalized_and_rows_left_out(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    given = tmp_path / "a.parquet"
    ages = [*range(20, 40), 99]
    parquet.write_table(pyarrow.table({"age": ages, "text": ["note"] * 21}), given)
    rules = {"age": FieldRule(role=Role.QUASI), "text": FieldRule(role=Role.TEXT)}
    terms = {"fields": rules, "table": TableTerms(k=4, max_suppressed=0.1)}
    made = _run(given, "out.parquet", HIPAA.model_copy(update=terms))
    values = parquet.read_table(made.output).column("age").to_pylist()
    assert made.records == len(values)
    assert all(values.count(value) >= 4 for value in values)
    assert made.table is not None
    assert made.table["k"] >= 4


def test_a_table_cannot_be_asked_of_plain_text(tmp_path: Path) -> None:
    given = tmp_path / "a.txt"
    given.write_text("text")
    with pytest.raises(ConfigError):
        _run(given, "out.txt", HIPAA.model_copy(update={"table": TableTerms(k=2)}))


@pytest.mark.usefixtures("small_shards")
def test_report_vault_and_output_belong_together(notes: Path) -> None:
    folder = notes.parent
    create_identity("owner", folder=folder, passphrase=None)
    owner = load_identity(folder / "owner.key", passphrase=None)
    made = _run(notes, "out.jsonl", GDPR, owner=owner, jobs=2)
    assert made.report is not None
    assert made.report_page is not None
    assert "Anna" not in made.report_page.read_text()
    assert made.vault is not None
    report = read_report_file(made.report, owner=owner.signing.public).report
    assert report.output_digest == made.output_digest
    assert report.modes == made.modes
    binding = bind_report_file(made.report, owner=owner.signing.public)
    sealed = seal_data(
        made.output, folder / "a.sealed", owner=owner, recipients=[], task=None,
        deidentification=binding,
    )  # fmt: skip
    assert sealed.deidentification == report.digest
    restored = reidentify(made.output, folder / "back.jsonl", vault=made.vault, key=KEY)
    assert restored.same_output
    assert restored.replaced
    back = [json.loads(line)["text"] for line in (folder / "back.jsonl").read_text().splitlines()]
    # Few addresses are nobody's: two may get one, which then stays.
    given = [note["text"] for note in NOTES]
    assert [text.split(" Mail")[0] for text in back] == [text.split(" Mail")[0] for text in given]


def test_a_vault_that_exists_is_not_replaced(notes: Path) -> None:
    notes.with_name("out.jsonl.vault").write_text("of another output")
    with pytest.raises(StorageError):
        _run(notes, "out.jsonl", GDPR)
    assert notes.with_name("out.jsonl.vault").read_text() == "of another output"
    assert not notes.with_name("out.jsonl").exists()


def test_a_table_that_cannot_be_reached_leaves_nothing_behind(tmp_path: Path) -> None:
    given = tmp_path / "a.csv"
    given.write_text("age,text\n41,x\n")
    configuration = HIPAA.model_copy(
        update={"fields": {"age": FieldRule(role=Role.QUASI)}, "table": TableTerms(k=5)}
    )
    with pytest.raises(ConfigError) as caught:
        _run(given, "out.csv", configuration)
    assert caught.value.code is Code.TABLE_UNREACHABLE
    assert list(tmp_path.iterdir()) == [given]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_input_that_is_refused_at_once_leaves_nothing_behind(jobs: int, tmp_path: Path) -> None:
    given = tmp_path / "a.jsonl"
    given.write_bytes(b'{"text": "ok"}\n{"text": \n')
    with pytest.raises(FormatError):
        _run(given, "out.jsonl", HIPAA, jobs=jobs)
    assert list(tmp_path.iterdir()) == [given]


@pytest.mark.parametrize(("note", "word"), [("", "anonymized"), (",note", "de-identified")])
def test_a_table_is_called_anonymized_only_where_no_column_may_hold_text(
    note: str, word: str, tmp_path: Path
) -> None:
    """A column that nobody named is read as text, and of text nobody can say that."""
    given = tmp_path / "a.csv"
    more = ",Seen by Dr. Anna Petersen" if note else ""
    given.write_text(f"age,text{note}\n" + "".join(f"{40 + n},P-{n}{more}\n" for n in range(12)))
    fields = {"age": FieldRule(role=Role.QUASI), "text": FieldRule(role=Role.DIRECT)}
    made = HIPAA.model_copy(update={"fields": fields, "table": TableTerms(k=3)})
    assert _run(given, "out.csv", made).word == word


@pytest.mark.parametrize(("k", "told"), [(1, True), (2, False)])
def test_quasi_identifiers_that_nothing_is_asked_of_are_told(
    k: int, told: bool, tmp_path: Path
) -> None:
    given = tmp_path / "a.csv"
    given.write_text("sex,zip,died,text\n" + "f,02118,2021-03-04,x\n" * 4)
    quasi = dict.fromkeys(("sex", "zip", "died", "other"), FieldRule(role=Role.QUASI))
    terms = {"fields": quasi, "table": TableTerms(k=k)}
    made = _run(given, "out.csv", HIPAA.model_copy(update=terms))
    text = "fields with the role quasi stay as they are, as [table] asks for nothing: sex"
    assert (text in made.notes) is told


def test_a_run_that_waited_gets_no_folder_that_was_deleted(tmp_path: Path) -> None:
    again = partial(open_work_folder, tmp_path / "work", binding={"of": "this"}, restart=False)
    written = []

    def second() -> None:
        with again() as work:
            work.part(0).write_bytes(b"x")
            written.append(work.part(0).read_bytes())
            work.remove()

    with again() as first:
        waiting = threading.Thread(target=second)
        waiting.start()
        threading.Event().wait(0.3)
        assert not written
        first.remove()
    waiting.join()
    assert written == [b"x"]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_another_run_took_while_it_was_deleted_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = partial(open_work_folder, tmp_path / "work", binding={"of": "this"}, restart=False)
    with ExitStack() as second:
        remove = Path.rmdir

        def late(path: Path) -> None:
            monkeypatch.setattr(Path, "rmdir", remove)
            second.enter_context(again())
            remove(path)

        monkeypatch.setattr(Path, "rmdir", late)
        with again() as first:
            first.remove()
        monkeypatch.setattr(work_folder, "_WAIT_SECONDS", 0.1)
        with pytest.raises(StorageError, match="another run"), again():
            pass


def test_a_run_that_waited_for_the_folder_finds_the_output(
    notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = notes.with_name("out.jsonl")

    def taken(*_: Any, **__: Any) -> None:
        output.write_text("of the run before")

    monkeypatch.setattr(run, "check_run", taken)
    with pytest.raises(StorageError, match="exists already"):
        _run(notes, "out.jsonl", GDPR)
    assert _left(notes.parent) == {"notes.jsonl", "out.jsonl"}


def test_a_missing_folder_of_the_output_is_named(notes: Path) -> None:
    with pytest.raises(StorageError) as caught:
        _run(notes, "nodir/out.jsonl", GDPR)
    assert caught.value.message == f"{notes.parent / 'nodir'}: no such folder"
    assert caught.value.remedy == "make the folder first"


@pytest.mark.parametrize("name", ["", ".vault", ".report.json", ".report.html"])
@pytest.mark.parametrize("link", [True, False])
def test_a_name_that_is_taken_is_refused_before_the_work(
    notes: Path, name: str, link: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_identity("owner", folder=notes.parent, passphrase=None)
    owner = load_identity(notes.parent / "owner.key", passphrase=None)
    taken = notes.with_name(f"out.jsonl{name}")
    if link:
        taken.symlink_to("nowhere")
    else:
        taken.write_text("mine")
    monkeypatch.setattr(run, "open_work_folder", None)  # what would be called next
    with pytest.raises(StorageError, match="exists already") as caught:
        _run(notes, "out.jsonl", GDPR, owner=owner)
    assert str(taken) in caught.value.message


def test_an_input_that_is_no_file_is_refused_unopened(tmp_path: Path) -> None:
    given = tmp_path / "a.jsonl"
    os.mkfifo(given)
    with pytest.raises(StorageError, match="not a file"):
        _run(given, "out.jsonl", GDPR)
    with pytest.raises(StorageError, match="not a file"), open_source(given):
        pass
    assert _left(tmp_path) == {"a.jsonl"}
