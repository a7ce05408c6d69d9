"""Addresses of many countries, and what goes on behind them."""

from __future__ import annotations

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.structured.tails import is_place, iter_tails


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.of(PROFILES["hipaa-safe-harbor"])


FOUND = [
    ("send it to {}", "9 Fern Hollow Lane, Unit 3"),
    ("now in {}", "77 Birch Ridge Parkway Lot 12"),
    ("wohnhaft {}, 04109 Leipzig", "Am Tannenhang 17"),
    ("at {} now", "Flat 8, The Old Bakery, Mill Lane"),
    ("vit au {}", "3 rue victor hugo, 69002 lyon"),
    ("{}", "rue Pasteur\n69007 Lyon"),
    ("lives at {}", "plac Wolności 7/2, 90-123 Łódź"),
    ("delivered to {} please", "Prešernova cesta 4a, 2000 Maribor"),
    ("left at {} by mistake", "Kossuth utca 12."),
    ("the address on file to {}", "Rambla Sol 14, Piso 3, Girona"),
    ("office in {}", "Rua das Flores, 12, Braga"),
    ("{}\n+420 1", "Jabloňová 3, 106 00 Praha"),
    ("the parcel for {}", "12 Tallow 88 Apt. 4\nWest Quorra, Belize 10223"),
    ("billing address of my credit card to {}?", "PO Box 12, Quorra, MT 59001"),
    ("fire at {}, last night", "14 Quorra Reach"),
    ("mail to {}", "PSC 4417, Box 55, APO AE 09012"),
    ("it is {}", "H.No. 12, Quorra Road"),
    ("bill {}", "82 Via Quorra 31, Teverola"),
]


@pytest.mark.parametrize(("frame", "address"), FOUND)
def test_the_whole_address_is_found(pipeline: Pipeline, frame: str, address: str) -> None:
    text = frame.format(address)
    start = text.index(address)
    covered = {i for f in pipeline.find(text) for i in range(f.start, f.end)}
    open_ = [i for i in range(start, start + len(address)) if text[i].isalnum()]
    assert covered.issuperset(open_), [text[i] for i in open_ if i not in covered]


@pytest.mark.parametrize(
    "text",
    [
        "877 sets of traces. ST segments rose; 18 received St. in 30 days",
        "to address this question, we treated 10 patients",
        "during the first 24 hours at 37 C, Week 12, 1979",
        "In Group 2, 1500 samples; at Day 14, 20 more",
    ],
)
def test_numbers_of_medicine_are_no_addresses(pipeline: Pipeline, text: str) -> None:
    assert EntityType.ADDRESS not in {finding.entity for finding in pipeline.find(text)}


def test_a_tail_has_types_of_its_own_and_ends_where_the_sentence_goes_on() -> None:
    text = "at 4 Elm Street, Quorra, TX 79901 and Mary came"
    street = Finding(3, 15, EntityType.ADDRESS, 0.9, "rules", "street")
    found = [(text[f.start : f.end], f.entity) for f in iter_tails(text, [street])]
    assert found == [
        ("Quorra", EntityType.LOCATION),
        ("TX", EntityType.LOCATION),
        ("79901", EntityType.POSTAL_CODE),
    ]


@pytest.mark.parametrize("name", ["Phone", "Best", "Dear Sir", "Follow-up Visit", ""])
def test_headings_are_no_towns(name: str) -> None:
    assert not is_place(name)
