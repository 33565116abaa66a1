"""Which values are secrets, and that a text is freed of them in every form."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.confidential import (
    MASK,
    BlottingFormatter,
    Confidential,
    is_secret,
    masked,
    secrets_in,
    without_user_info,
)


@pytest.mark.parametrize(
    "key",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.jaas.config",
        "sasl.kerberos.kinit.cmd",
        "basic.auth.user.info",
        "bearer.auth.token",
        "api_key",
    ],
)
def test_these_keys_hold_secrets(key):
    assert is_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        "sasl.username",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.key.location",
        "sasl.oauthbearer.token.endpoint.url",
        "basic.auth.credentials.source",
        "max_tokens",
        "batch_tokens",
    ],
)
def test_and_these_tell_nothing(key):
    assert not is_secret(key)


def test_secrets_are_found_at_any_depth_and_in_addresses():
    values = {
        "kafka": {"sasl.password": "one", "list": ({"token": "two"},)},
        "url": "https://ada:three@host/path",
        "names": ["x", "http://b:four@c"],
        "nothing": {"api_key": None},
    }
    assert set(secrets_in(values)) == {"one", "two", "three", "four"}
    assert masked({"a": values["url"], "sasl.password": "one", "token": None}) == {
        "a": f"https://ada:{MASK}@host/path",
        "sasl.password": MASK,
        "token": None,
    }


@given(
    secret=st.text(min_size=4, max_size=40).filter(lambda text: text.strip() and MASK not in text),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_no_text_keeps_a_secret_that_is_known(secret, before, after):
    blotted = Confidential.of([secret]).blotted(f"{before}{secret}{after}")
    assert secret not in blotted or secret in MASK * 3


def test_a_secret_is_known_in_the_forms_of_an_address_a_header_and_a_key():
    known = Confidential.of(["ada:pass word/1", "-----BEGIN KEY-----\nMIIEvAbase64\n-----END KEY-----\n"])
    assert "pass" not in known.blotted("GET /?p=pass%20word%2F1 and pass+word%2F1 and pass word/1")
    assert "YWRh" not in known.blotted("authorization: Basic YWRhOnBhc3Mgd29yZC8x")
    assert "MIIEv" not in known.blotted("the line MIIEvAbase64 of the key")
    assert "MIIEv" not in repr(known)


def test_short_values_are_not_looked_for_and_addresses_are_always_cleaned():
    assert Confidential.of(["a", "", MASK]).blotted("a banana") == "a banana"
    assert Confidential().blotted("at http://me:hunter2@host") == f"at http://me:{MASK}@host"
    assert without_user_info("user:password without a scheme") == "user:password without a scheme"


def test_a_log_line_is_blotted_with_its_traceback():
    formatter = BlottingFormatter(Confidential.of(["hunter2"]), "%(message)s")
    try:
        raise ValueError("the password hunter2 is wrong")  # noqa: TRY301 - its traceback is what is looked at
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "said %s", ("hunter2",), None)
        import sys

        record.exc_info = sys.exc_info()
    line = formatter.format(record)
    assert "hunter2" not in line
    assert "Traceback" in line
