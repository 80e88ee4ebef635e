"""Whose rate is spent: the caller's address, behind however many proxies there are."""

import pytest

from vchat.caller import caller_address


def scope(peer: str, *forwarded: str) -> dict:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"client": (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, (), "192.0.2.9"),
        (0, ("203.0.113.7",), "192.0.2.9"),
        (1, ("203.0.113.7",), "203.0.113.7"),
        (1, ("198.51.100.1, 203.0.113.7",), "203.0.113.7"),
        (1, ("198.51.100.1", "203.0.113.7"), "203.0.113.7"),
        (2, ("198.51.100.1, 203.0.113.7, 10.0.0.1",), "203.0.113.7"),
        (2, ("203.0.113.7",), "192.0.2.9"),
        (1, (), "192.0.2.9"),
        (1, ("2001:db8:1:2:3:4:5:6",), "2001:db8:1:2::/64"),
        (1, ("2001:db8:1:2::9",), "2001:db8:1:2::/64"),
        (1, ("::ffff:203.0.113.7",), "203.0.113.7"),
        (1, ("robert'); DROP TABLE",), "unknown"),
        (1, ("203.0.113.7,",), "unknown"),
    ],
)
def test_only_what_our_own_proxies_appended_is_believed(proxies, forwarded, address):
    assert caller_address(scope("192.0.2.9", *forwarded), proxies) == address


def test_a_caller_without_an_address_still_has_a_bucket():
    assert caller_address({"headers": []}, 0) == "unknown"
