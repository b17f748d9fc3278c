import pytest

from chat_actors.server.addresses import client_address


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("192.0.2.1", ["198.51.100.9"], 0, "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.9"], 1, "198.51.100.9"),
        ("192.0.2.1", ["203.0.113.5, 198.51.100.9"], 1, "198.51.100.9"),
        ("192.0.2.1", ["203.0.113.5, 198.51.100.9"], 2, "203.0.113.5"),
        ("192.0.2.1", ["203.0.113.5", "198.51.100.9"], 2, "203.0.113.5"),
        ("192.0.2.1", ["198.51.100.9"], 2, "192.0.2.1"),
        ("192.0.2.1", ["no address"], 1, "192.0.2.1"),
        ("192.0.2.1", [], 1, "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.9:4711"], 1, "198.51.100.9"),
        ("192.0.2.1", ["[2001:db8::1]:4711"], 1, "2001:db8::1"),
        ("192.0.2.1", ["2001:DB8::1"], 1, "2001:db8::1"),
        (None, [], 0, "local"),
    ],
)
def test_client_address_is_counted_from_the_right(peer, forwarded, trusted, expected):
    assert client_address(peer, forwarded, trusted) == expected
