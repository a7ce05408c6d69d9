"""What one address holds leaves room for the others, and comes back when it lets go."""

from __future__ import annotations

import pytest

from sealtune.broker.room import NoRoom, Room

MINE, YOURS, THEIRS = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def test_one_address_does_not_use_up_anothers():
    room = Room(total=10, each=4)
    with room.hold(MINE) as mine, room.hold(YOURS) as yours:
        mine(4)
        with pytest.raises(NoRoom) as caught:
            mine(1)
        assert caught.value.own
        yours(4)


def test_nobody_gets_more_than_there_is():
    room = Room(total=6, each=4)
    with room.hold(MINE) as mine, room.hold(YOURS) as yours, room.hold(THEIRS) as theirs:
        mine(4)
        yours(2)
        with pytest.raises(NoRoom) as caught:
            theirs(1)
        assert not caught.value.own


def test_what_several_holds_of_an_address_take_counts_together():
    room = Room(total=10, each=2)
    with room.hold(MINE) as first, room.hold(MINE) as second:
        first(1)
        second(1)
        with pytest.raises(NoRoom):
            first(1)


def test_a_network_of_ipv6_addresses_is_one_asker():
    room = Room(total=10, each=1)
    with room.hold("2001:db8::1") as one, room.hold("2001:db8::2") as neighbour:
        one(1)
        with pytest.raises(NoRoom):
            neighbour(1)
        with room.hold("2001:db8:0:1::1") as stranger:
            stranger(1)


def test_all_is_given_back_whatever_ends_it():
    room = Room(total=4, each=4)
    for _ in range(3):
        with pytest.raises(NoRoom), room.hold(MINE) as take:
            take(1)
            take(3)
            take(1)
    with room.hold(MINE) as take:
        take(4)


def test_what_is_refused_is_not_taken():
    room = Room(total=4, each=4)
    with room.hold(MINE) as take:
        with pytest.raises(NoRoom):
            take(5)
        take(4)


def test_addresses_that_hold_nothing_are_forgotten():
    room = Room(total=4, each=4)
    for number in range(100):
        with room.hold(f"host-{number}") as take:
            take(number % 2)
    assert not room._taken
