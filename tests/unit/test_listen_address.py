import pytest

from compose.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("0.0.0.0:80", Address("0.0.0.0", 80)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:9464", Address("::1", 9464)),
    ],
)
def test_an_address_reads_back_as_it_was_written(text, address):
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", [":8080", "8080", 8080])
def test_without_a_host_it_is_loopback(text):
    assert parse_address(text) == Address("127.0.0.1", 8080)


@pytest.mark.parametrize(
    "text", ["host", "", "host:", "host:x", "host:70000", "::1:80", "a b:80", "1:2:3", True, 1.5, None]
)
def test_anything_else_is_refused_with_what_was_found(text):
    with pytest.raises(ValueError, match=r"an address to listen on is host:port"):
        parse_address(text)
