"""What an owner is told about a new version (spec/contract §8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.contract.contract import contract_from_document
from sealtune.contract.diff import Change, diff_contracts, diff_documents
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.crypto.identity import Identity
from sealtune.testing.agreement import Agreement

Document = dict[str, Any]


def differences(agreement: Agreement, change: Callable[[Document], None]) -> list[Change]:
    document = agreement.document()
    change(document)
    new = contract_from_document(document, what="new")
    return diff_contracts(agreement.contract(), new)


def put(*place: str | int, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        target: Any = document
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value

    return change


def test_no_change_no_words(agreement: Agreement) -> None:
    assert diff_contracts(agreement.contract(), agreement.contract()) == []


GENOA = ("enclaves", 0, "minimum_tcb", "genoa")
SINGLE = [
    (put("max_runs", value=3), "max_runs", True, "the number of runs goes from 2 to 3"),
    (put("max_runs", value=1), "max_runs", False, "the number of runs goes from 2 to 1"),
    (put("max_resumes", value=9), "max_resumes", True, "keys again goes from 3 to 9"),
    (put("max_resumes", value=0), "max_resumes", False, "keys again goes from 3 to 0"),
    (put("outputs", "max_bytes", value=2**29), "outputs.max_bytes", True, "bytes that may leave"),
    (put("outputs", "max_bytes", value=1), "outputs.max_bytes", False, "bytes that may leave"),
    (
        put("validity", "not_after", value="2027-02-01T00:00:00Z"),
        "validity.not_after",
        True,
        "the end of the contract goes from 2027-01-30",
    ),
    (
        put("validity", "not_after", value="2027-01-01T00:00:00Z"),
        "validity.not_after",
        False,
        "the end of the contract",
    ),
    (
        put("validity", "not_before", value="2026-10-01T00:00:00Z"),
        "validity.not_before",
        True,
        "the beginning of the contract",
    ),
    (
        put("validity", "not_before", value="2026-12-01T00:00:00Z"),
        "validity.not_before",
        False,
        "the beginning of the contract",
    ),
    (
        put("telemetry", "allowed", value=["loss"]),
        "telemetry.allowed",
        True,
        "the operator will see loss while it runs",
    ),
    (
        put("receipt", "metrics", value=["accuracy_after"]),
        "receipt.metrics",
        False,
        "the receipt will no longer state accuracy_before",
    ),
    (
        put("receipt", "counts", value=["records", "tokens"]),
        "receipt.counts",
        True,
        "the receipt will state the count tokens",
    ),
    (
        put("enclaves", 0, "measurements", value=["5e" * 48, "aa" * 48]),
        "enclaves.simulated.measurements",
        True,
        "may have the code aaaa",
    ),
    (
        put("enclaves", 0, "measurements", value=["aa" * 48]),
        "enclaves.simulated.measurements",
        True,
        "may no longer have the code 5e5e",
    ),
    (put(*GENOA, "snp", value=22), "enclaves.simulated.minimum_tcb.genoa.snp", True, "23 to 22"),
    (put(*GENOA, "snp", value=24), "enclaves.simulated.minimum_tcb.genoa.snp", False, "23 to 24"),
    (
        put("enclaves", 0, "minimum_tcb", "milan", value={"bl": 0, "tee": 0, "snp": 0, "ucode": 0}),
        "enclaves.simulated.minimum_tcb.milan",
        True,
        "may run on milan too",
    ),
    (put("enclaves", 0, "vmpl", value=[0, 1]), "enclaves.simulated.vmpl", True, "[0, 1]"),
    (
        put("enclaves", 0, "chip_ids", value=["ab" * 64]),
        "enclaves.simulated.chip_ids",
        False,
        "no longer on any",
    ),
    (
        put("enclaves", 0, "csp_ids", value=["cloud"]),
        "enclaves.simulated.csp_ids",
        True,
        "provider cloud",
    ),
    (
        put("enclaves", 0, "required_policy", value=["single-socket"]),
        "enclaves.simulated.required_policy",
        False,
        "single-socket",
    ),
    (put("recipe", "epochs", value=4), "recipe.epochs", True, "epochs changes from 3 to 4"),
    (put("purpose", value="Sell it."), "purpose", True, "to Sell it."),
    (put("name", value="other"), "name", True, "triage-notes becomes other"),
    (
        put("inputs", 0, "digest", value=sha256_digest(b"z")),
        "inputs.notes.digest",
        True,
        "input notes is another bundle",
    ),
    (
        put("enclaves", 0, "simulated_root", value=sha256_digest(b"z")),
        "enclaves.simulated.simulated_root",
        True,
        "INSECURE",
    ),
    (
        put("parties", "datacentre", "roles", value=["auditor"]),
        "parties.datacentre.roles",
        True,
        "the roles of datacentre",
    ),
]


@pytest.mark.parametrize(("change", "path", "permits_more", "words"), SINGLE)
def test_one_change_in_plain_words(
    agreement: Agreement,
    change: Callable[[Document], None],
    path: str,
    permits_more: bool,
    words: str,
) -> None:
    (found,) = differences(agreement, change)
    assert (found.path, found.permits_more) == (path, permits_more)
    assert words in found.words


def test_reverse_of_each_is_told_too(agreement: Agreement) -> None:
    old = agreement.document()
    for change, path, permits_more, _ in SINGLE:
        new = agreement.document()
        change(new)
        (found,) = diff_documents(new, old)
        assert found.path == path
        # A change may permit more both ways, but never less both ways.
        assert found.permits_more or permits_more


def test_new_recipient_comes_with_a_new_party(agreement: Agreement) -> None:
    press = Identity.generate("press").public

    def change(document: Document) -> None:
        document["parties"]["press"] = {
            "roles": ["recipient"],
            "signing_key": press.signing.text,
            "recipient_key": press.recipient.text,
        }
        document["outputs"]["recipients"].append("press")

    told = {item.path: item for item in differences(agreement, change)}
    assert told["outputs.recipients"].words == "press will get the results too"
    assert "a new party, press" in told["parties.press"].words
    assert all(item.permits_more for item in told.values())
    document = agreement.document()
    change(document)
    back = {item.path: item for item in diff_documents(document, agreement.document())}
    assert not back["outputs.recipients"].permits_more
    assert back["parties.press"].permits_more  # a signature less is needed
    assert "need not agree" in back["parties.press"].words


def test_party_that_never_signed_may_go(agreement: Agreement) -> None:
    (found,) = differences(agreement, lambda document: document["parties"].pop("datacentre"))
    assert found.words == "datacentre takes no part any more"
    assert not found.permits_more


def test_insecure_switch_is_loud(agreement: Agreement) -> None:
    def change(document: Document) -> None:
        document["enclaves"][0] |= {"insecure_accept_simulated": False, "simulated_root": None}

    for item in differences(agreement, change):
        assert not item.permits_more
    document = agreement.document()
    change(document)
    for item in diff_documents(document, agreement.document()):
        assert item.permits_more
        assert item.words.startswith("INSECURE: ")


def test_new_enclave_and_one_less(agreement: Agreement) -> None:
    document = agreement.document()
    document["enclaves"].append({**document["enclaves"][0], "name": "second"})
    (found,) = diff_documents(agreement.document(), document)
    assert found.permits_more
    assert "another enclave, second, may run it - INSECURE" in found.words
    (found,) = diff_documents(document, agreement.document())
    assert not found.permits_more


def test_chips(agreement: Agreement) -> None:
    one, other = "ab" * 64, "cd" * 64
    cases = [
        ([one], [], True),
        ([one], [one, other], True),
        ([one, other], [one], False),
        ([], [one], False),
    ]
    for before, after, permits_more in cases:
        old, new = agreement.document(), agreement.document()
        old["enclaves"][0]["chip_ids"], new["enclaves"][0]["chip_ids"] = before, after
        (found,) = diff_documents(old, new)
        assert found.permits_more is permits_more


def test_changes_that_permit_more_come_first(agreement: Agreement) -> None:
    def change(document: Document) -> None:
        document["max_runs"] = 1
        document["validity"]["not_after"] = "2027-03-01T00:00:00Z"

    assert [item.permits_more for item in differences(agreement, change)] == [True, False]


def test_another_order_is_no_secret(agreement: Agreement) -> None:
    def change(document: Document) -> None:
        document["inputs"].reverse()

    (found,) = differences(agreement, change)
    assert found.path == "inputs"
    assert found.permits_more


def test_words_obey_no_escape_sequence_and_hide_no_long_tail(agreement: Agreement) -> None:
    document = agreement.document()
    document["recipe"]["labels"] = ["a\x1b[2J", "b"]
    (found,) = diff_documents(agreement.document(), document)
    assert found.words.isprintable()
    old, new = agreement.document(), agreement.document()
    old["recipe"]["text_field"], new["recipe"]["text_field"] = "x" * 5000, "x" * 5000 + "y"
    (found,) = diff_documents(old, new)
    assert found.words.count("sha256:") == 2


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5) | st.floats(0, 1),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(data=st.data())
def test_no_change_is_silent(agreement: Agreement, data: st.DataObject) -> None:
    old, new = agreement.document(), agreement.document()
    target: Any = new
    while True:
        steps = list(target) if isinstance(target, dict) else list(range(len(target)))
        step = data.draw(st.sampled_from(steps))
        if (
            not isinstance(target[step], dict | list)
            or not target[step]
            or data.draw(st.booleans())
        ):
            break
        target = target[step]
    if data.draw(st.booleans()):
        del target[step]
    else:
        target[step] = data.draw(_VALUES)
    changed = canonical_json(old) != canonical_json(new)
    for first, second in ((old, new), (new, old)):
        assert bool(diff_documents(first, second)) is changed
        for item in diff_documents(first, second):
            assert item.words
            assert item.words.isprintable()


# -- enclaves of every kind ------------------------------------------------------------------------

TDX: Document = {
    "name": "rented",
    "kind": "tdx",
    "measurements": ["aa" * 48],
    "registers": {"rtmr0": ["aa" * 48], "rtmr1": ["bb" * 48], "rtmr2": ["cc" * 48]},
    "tcb_statuses": ["UpToDate"],
    "platform_ids": ["cc" * 16],
    "endorsements_max_age_days": 30,
    "minimum_evaluation": 17,
    "denied_advisories": ["INTEL-SA-00837"],
}

BOOT = {name: TDX["registers"][name] for name in ("rtmr1", "rtmr2")}


@pytest.mark.parametrize(
    ("field", "value", "more", "words"),
    [
        (
            "registers",
            {**TDX["registers"], "rtmr1": ["bb" * 48, "dd" * 48]},
            True,
            "register rtmr1",
        ),
        ("registers", {**TDX["registers"], "rtmr3": ["ee" * 48]}, False, "must have"),
        ("registers", BOOT, True, "may have anything in its register rtmr0"),
        ("tcb_statuses", ["UpToDate", "OutOfDate"], True, "that Intel calls OutOfDate"),
        ("platform_ids", [], True, "may run on any platform"),
        ("platform_ids", ["dd" * 16, "cc" * 16], True, "may run on platforms"),
        ("endorsements_max_age_days", 90, True, "how many days old"),
        ("endorsements_max_age_days", 7, False, "how many days old"),
        ("minimum_evaluation", 16, True, "the lowest TCB evaluation"),
        ("minimum_evaluation", 18, False, "the lowest TCB evaluation"),
        ("denied_advisories", [], True, "is refused where these advisories apply"),
        ("contract_at_launch", False, True, "need not be launched for this contract"),
        ("platform_flags", ["smt"], True, "may have"),
        ("minimum_tee_tcb_svn", [7], True, "needs a TDX module of"),
    ],
)
def test_terms_of_other_hardware_are_told_in_words(
    agreement: Agreement, field: str, value: Any, more: bool, words: str
) -> None:
    def document(**changes: Any) -> Document:
        found = agreement.document()
        found["enclaves"].append({**TDX, **changes})
        return found

    old = contract_from_document(document(), what="old")
    new = contract_from_document(document(**{field: value}), what="new")
    (change,) = diff_contracts(old, new)
    assert change.path.startswith(f"enclaves.rented.{field}")
    assert (change.permits_more, words in change.words) == (more, True), change.words
