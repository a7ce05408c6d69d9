"""What a signer reads before signing."""

from __future__ import annotations

from typing import Any

from sealtune.contract.contract import contract_digest, contract_from_document
from sealtune.contract.fields import json_document
from sealtune.contract.show import INSECURE_LINE, contract_lines
from sealtune.testing.agreement import MEASUREMENT, Agreement


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def test_everything_that_is_signed_is_shown(agreement: Agreement) -> None:
    document = agreement.document()
    document["enclaves"][0] |= {
        "chip_ids": ["ab" * 64],
        "csp_ids": ["somecloud"],
        "required_policy": ["single-socket"],
        "required_platform": ["tsme"],
        "vmpl": [0, 3],
    }
    document["telemetry"]["allowed"] = ["progress"]
    contract = contract_from_document(document, what="x")
    text = "\n".join(contract_lines(contract)).replace(",", "")
    assert contract_digest(contract) in text
    assert MEASUREMENT in text
    shown_otherwise = {"sealtune-contract/1", True, False, None, 30}
    for leaf in leaves(json_document(contract)):
        if leaf in shown_otherwise or str(leaf).startswith(("ed25519:", "mlkem768x25519:")):
            continue  # keys appear as fingerprints
        assert str(leaf).replace(",", "") in text, leaf


def test_keys_appear_as_fingerprints(agreement: Agreement) -> None:
    words = " ".join("\n".join(contract_lines(agreement.contract())).split())
    for identity in agreement.identities.values():
        assert identity.public.fingerprint in words


def test_insecure_is_the_first_word(agreement: Agreement) -> None:
    lines = contract_lines(agreement.contract())
    assert lines[0] == INSECURE_LINE
    assert lines[0].startswith("INSECURE: ")
    assert any(line.strip().startswith("INSECURE: simulated evidence") for line in lines)
    document = agreement.document()
    document["enclaves"][0] |= {"insecure_accept_simulated": False, "simulated_root": None}
    text = "\n".join(contract_lines(contract_from_document(document, what="x")))
    assert "INSECURE" not in text
    assert "simulated evidence" not in text


def test_labels_are_told_apart_and_cannot_write_to_the_terminal(agreement: Agreement) -> None:
    document = agreement.document()
    document["recipe"]["labels"] = ["a, b", "c\x1b[2J"]
    lines = contract_lines(contract_from_document(document, what="x"))
    assert all(line.isprintable() for line in lines)
    assert any('"a, b", "' in line for line in lines)
