"""``[query]``: limits, and ``[[query.key]]``: API keys and what binds them."""

import json
import logging

import pytest

from compose.commands.search import _key
from compose.roles import warn_of_open_keys
from compose.settings import load
from serving.keys import ApiKey, digest_of
from serving.limits import Limits
from serving.request import RequestRules
from stream.errors import Misuse

SECRET = "planted-0123456789abcdef"
OTHER = "planted-fedcba9876543210"
MINIMAL = """
[kafka]
"bootstrap.servers" = "127.0.0.1:9092"
[[source]]
name = "docs"
topic = "kb.public.docs"
text = ["body"]
fields = { section = "keyword", year = "integer", draft = "boolean", rank = "float" }
tenant = "account"
[chunks]
topic = "kb.chunks"
[encoding]
model = "hash:64"
[index]
name = "docs"
url = "edge:data/index"
"""


@pytest.fixture
def read(tmp_path):
    """The settings of a file with more lines in it, and variables given without their prefix."""

    def _read(more="", text=MINIMAL, **variables):
        file = tmp_path / "embedstream.toml"
        file.write_text(f"{text}{more}", encoding="utf-8")
        return load(file, {f"EMBEDSTREAM_{name}": value for name, value in variables.items()})

    return _read


@pytest.fixture
def refusal(read):
    """The sentence with which a file is refused; no secret is in it."""

    def _refusal(more="", text=MINIMAL, **variables):
        with pytest.raises(Misuse) as refused:
            read(more, text, **variables)
        sentence = str(refused.value)
        assert "\n" not in sentence
        assert "planted" not in sentence
        return sentence.partition("embedstream.toml: ")[2] or sentence

    return _refusal


def key(name="client", secret=SECRET, more=""):
    return f'[[query.key]]\nname = "{name}"\nsecret = "{secret}"\n{more}\n'


def test_without_keys_the_service_is_open_and_has_the_documented_limits(read):
    query = read().query
    assert query.keys == ()
    assert query.limits == Limits(max_texts=256, max_body_bytes=4 << 20, concurrency=64, deadline_s=10.0)


def test_every_limit_reaches_the_service(read):
    query = read("[query]\nmax_texts = 5\nmax_body_bytes = 9999999\nconcurrency = 3\ndeadline_ms = 1500\n").query
    assert query.limits == Limits(5, 9_999_999, 3, 1.5)


def test_every_rule_of_a_search_reaches_the_service(read):
    query = read("[query]\nmax_queries = 5\nmax_text_chars = 100\nmax_limit = 7\n").query
    assert query.rules({"year": "integer"}) == RequestRules(100, 5, 7, fields={"year": "integer"})
    assert read().query.rules({}) == RequestRules()


def test_a_body_may_be_as_large_as_the_largest_search(read):
    assert read("[query]\nmax_queries = 1000\n").query.limits.max_body_bytes > 1000 * 8192 * 12
    short = "[query]\nmax_queries = 1\nmax_text_chars = 1000\n"
    assert read(f"{short}max_body_bytes = 300000\n").query.limits.max_body_bytes == 300_000


def test_a_key_is_kept_without_its_secret(read):
    more = key(more='concurrency = 4\nonly = { tenant = "acme", year = [2023, 2024], draft = false }')
    (found,) = read(more).query.keys
    assert found == ApiKey(
        "client", digest_of(SECRET), {"tenant": ("acme",), "year": (2023, 2024), "draft": (False,)}, 4
    )
    assert found.bound


def test_secrets_come_from_the_environment_or_a_file_and_are_shown_nowhere(read, tmp_path):
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    for settings in (
        read(key()),
        read(QUERY__KEY__0__NAME="client", QUERY__KEY__0__SECRET=SECRET),
        read(QUERY__KEY__0__NAME="client", QUERY__KEY__0__SECRET_FILE=str(file)),
        read('[[query.key]]\nname = "client"\n', QUERY__KEY__0__SECRET=SECRET),
    ):
        (found,) = settings.query.keys
        assert found == ApiKey("client", digest_of(SECRET))
        assert SECRET in set(settings.secrets())
        shown = [repr(settings), str(settings.query), repr(found), json.dumps(settings.model_dump(mode="json"))]
        assert not [text for text in shown if "planted" in text or found.digest.hex() in text]


def test_what_binds_a_key_may_come_from_the_environment(read):
    settings = read(key(), QUERY__KEY__0__ONLY='{ section = ["a", "b"] }')
    assert settings.query.keys[0].only == {"section": ("a", "b")}
    assert read(key(), QUERY__KEY__0__ONLY__TENANT="acme").query.keys[0].only == {"tenant": ("acme",)}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            key(secret="planted-short"),
            "`query.key.0.secret` is no key; it is 16 or more printable ASCII characters without blanks, as `openssl",
        ),
        (key(secret="planted with a blank in it"), "`query.key.0.secret` is no key; it is 16 or more"),
        (key(secret="planted-with-an-é-in-it"), "`query.key.0.secret` is no key; it is 16 or more"),
        ('[[query.key]]\nname = "client"\n', "`query.key.0.secret` is missing."),
        (key() + key(secret=OTHER), "`query.key.1.name` is 'client', as is that of key 0."),
        (key() + key("another"), "`query.key.1.secret` is that of key 0; each needs its own."),
        (key(more="only = {}"), "`query.key.0.only` is expected to be a table with a field in it"),
        (key(more='only = "acme"'), "`query.key.0.only` is expected to be a table with a field in it"),
        (key(more="only = { tenant = [] }"), "`query.key.0.only.tenant` is expected to be a text, a whole number"),
        (key(more="only = { year = 1.5 }"), "`query.key.0.only.year` is expected to be a text, a whole number"),
        (
            key(more='only = { sektion = "a" }'),
            "`query.key.0.only.sektion` is no field of the sources, nor a tenant that one of them has; known: ",
        ),
        (key(more="only = { section = 1 }"), "`query.key.0.only.section` is of type keyword, so text is expected."),
        (
            key(more='only = { section = ["a", 1] }'),
            "`query.key.0.only.section` is of type keyword, so text is expected.",
        ),
        (
            key(more="only = { year = true }"),
            "`query.key.0.only.year` is of type integer, so a whole number is expected.",
        ),
        (key(more="only = { tenant = 1 }"), "`query.key.0.only.tenant` is of type keyword, so text is expected."),
        (
            key(more="only = { rank = 1 }"),
            "`query.key.0.only.rank` is of type float, which cannot be compared for equality.",
        ),
        (key(more="concurrency = 0"), "`query.key.0.concurrency` is 0 (a whole number), but at least 1 is expected."),
        (key(more="tenant = 'acme'"), "`query.key.0.tenant` is not a known key"),
        (
            "[query]\nmax_body_bytes = 4000000\nmax_text_chars = 10000\n",
            (
                "`query.max_body_bytes` is 4000000, and a search of 32 texts (max_queries) of 10000 characters "
                "(max_text_chars) may have 4102272; raise it, lower one of the others, or leave it out."
            ),
        ),
        ("[query]\ndeadline_ms = 0\n", "`query.deadline_ms` is 0 (a whole number), but at least 1 is expected."),
    ],
)
def test_what_cannot_be_is_refused_with_one_sentence(refusal, more, sentence):
    assert refusal(more).startswith(sentence)


def test_a_key_bound_to_tenants_of_which_no_source_has_any_is_refused(refusal):
    text = MINIMAL.replace('tenant = "account"\n', "")
    sentence = refusal(key(more='only = { tenant = "acme" }'), text)
    assert sentence.startswith("`query.key.0.only.tenant` is no field of the sources, nor a tenant that one of them")


def test_a_list_of_numbers_is_no_list_of_texts(refusal):
    assert "`query.key.0.only.year`" in refusal(key(more='only = { year = ["2023"] }'))


@pytest.mark.parametrize(
    ("listen", "keys", "warnings"),
    [
        ("127.0.0.1:8080", key(), 0),
        ("[::1]:8080", key(), 0),
        ("localhost:8080", key(), 0),
        ("127.5.5.5:8080", key(), 0),
        ("0.0.0.0:8080", "", 0),
        ("0.0.0.0:8080", key(), 1),
        ("[::]:8080", key(), 1),
        ("query.example.org:8080", key(), 1),
    ],
)
def test_keys_that_cross_a_network_are_warned_of_in_one_line(read, caplog, listen, keys, warnings):
    with caplog.at_level(logging.WARNING):
        warn_of_open_keys(read(f'[query]\nlisten = "{listen}"\n{keys}').query)
    assert len(caplog.records) == warnings
    assert all("in the clear" in record.message and listen in record.message for record in caplog.records)


def test_the_search_command_shows_the_first_key_that_sees_everything(read):
    class Deployed:
        def __init__(self, settings):
            self.settings = settings

    bound = key("bound", OTHER, 'only = { tenant = "acme" }')
    assert _key(Deployed(read())) == {}
    assert _key(Deployed(read(bound + key()))) == {"Authorization": f"Bearer {SECRET}"}
    assert _key(Deployed(read(bound))) == {"Authorization": f"Bearer {OTHER}"}
