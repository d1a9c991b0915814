"""The port chooser: documented ports when free, others when not, the same ones again later."""

from __future__ import annotations

import socket

from deploy.local.ports import choose_ports, free_port, is_free


def test_preferred_ports_are_taken_when_free() -> None:
    one = free_port()
    two = free_port([one])
    assert choose_ports({"one": one, "two": two}, {}) == {"one": one, "two": two}


def test_an_occupied_port_is_stepped_around() -> None:
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.create_server((address, 0)) as busy:
            taken = busy.getsockname()[1]
            assert not is_free(taken)
            chosen = choose_ports({"gateway": taken, "other": free_port()}, {})
            assert chosen["gateway"] != taken
            assert is_free(chosen["gateway"])
            assert len(set(chosen.values())) == 2


def test_a_choice_is_remembered_until_someone_takes_it() -> None:
    preferred, remembered = free_port(), free_port()
    assert choose_ports({"gateway": preferred}, {"gateway": remembered}) == {"gateway": remembered}
    with socket.create_server(("127.0.0.1", remembered)):
        assert choose_ports({"gateway": preferred}, {"gateway": remembered}) == {"gateway": preferred}
