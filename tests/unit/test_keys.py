"""API keys: which one a request holds, and that the comparison tells nothing."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from serving import keys as keys_module
from serving.keys import ApiKey, digest_of, holder, presented
from stream.errors import Misuse

SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


def keys_of(secrets):
    return [ApiKey(f"key {number}", digest_of(secret)) for number, secret in enumerate(secrets)]


@given(st.lists(SECRETS, max_size=5, unique=True), SECRETS)
def test_a_secret_opens_the_key_it_is_of_and_nothing_else(secrets, shown):
    keys = keys_of(secrets)
    expected = keys[secrets.index(shown)] if shown in secrets else None
    assert holder(keys, shown) is expected
    for key, secret in zip(keys, secrets, strict=True):
        assert holder(keys, secret) is key


def test_a_key_that_is_bound_to_no_value_is_no_key():
    with pytest.raises(Misuse, match="API key 'client' is bound to no value of tenant"):
        ApiKey("client", digest_of("secret"), {"tenant": ()})


@pytest.mark.parametrize("shown", ["first", "second", "third", "none", ""])
def test_every_key_is_compared_whichever_is_right(monkeypatch, shown):
    compared = []

    def compare(one, other):
        compared.append(one)
        return hmac.compare_digest(one, other)

    class Comparing:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(keys_module, "hmac", Comparing)
    keys = keys_of(["first", "second", "third"])
    holder(keys, shown)
    assert compared == [key.digest for key in keys]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"authorization": "BEARER abc"}, "abc"),
        ({"Authorization": "Basic abc"}, None),
        ({"Authorization": "abc"}, None),
        ({"api-key": "abc"}, "abc"),
        ({"Authorization": "Basic abc", "Api-Key": "def"}, "def"),
        ({"Authorization": "Bearer abc", "api-key": "def"}, "abc"),
    ],
    ids=str,
)
def test_a_key_is_shown_as_bearer_or_in_its_own_header(headers, expected):
    assert presented(Headers(headers)) == expected


def test_a_key_shows_nothing_of_its_secret():
    key = ApiKey("client", digest_of("a-secret"), {"tenant": ("acme",)})
    assert "a-secret" not in repr(key)
    assert repr(key.digest) not in repr(key)
    assert key.bound
    assert not ApiKey("other", digest_of("b")).bound
