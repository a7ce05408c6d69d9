"""Nothing stays as it was: no name on any list, and no organization that has a name at all."""

from __future__ import annotations

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.entities import EntityType
from sealtune.deid.key import DeidKey
from sealtune.deid.transforms import Transformer
from sealtune.deid.transforms.lists import read_names

pytest.importorskip("faker", reason="needs the extra deid")


@pytest.fixture(scope="module")
def transformer() -> Transformer:
    return Transformer(PROFILES["gdpr-pseudonymous"], DeidKey(bytes(range(32))))


def test_no_name_of_any_list_is_its_own_surrogate(transformer: Transformer) -> None:
    lists = read_names()
    tried = 0
    for known in lists.locales.values():
        for names in (*known.first.values(), *known.last.values()):
            # A list is moved along as a whole: a few of each show whether it is.
            for name in names[:: max(1, len(names) // 8)]:
                made = transformer.value(EntityType.PERSON, name, subject=None)
                assert made != name
                tried += 1
    assert tried > 1_000


@pytest.mark.parametrize("name", ["Doe", "Jane Doe", "DOE, JANE", "Mrs. Doe"])
def test_the_only_name_of_a_list_is_replaced_all_the_same(
    transformer: Transformer, name: str
) -> None:
    made = transformer.value(EntityType.PERSON, name, subject=None)
    assert "doe" not in made.lower()


@pytest.mark.parametrize("name", ["AT&T", "M&S", "Ward B", "H", "3M", "General Hospital", "a, b"])
def test_an_organization_of_letters_is_replaced(transformer: Transformer, name: str) -> None:
    assert transformer.value(EntityType.ORGANIZATION, name, subject=None) != name
