import pytest

from compose.settings import load
from stream.errors import Misuse

FILE = """
[kafka]
"bootstrap.servers" = "127.0.0.1:9092"
[[source]]
name = "docs"
topic = "kb.public.docs"
text = ["body"]
[chunks]
topic = "kb.chunks"
[encoding]
model = "hash:8"
[index]
name = "docs"
url = "edge:data"
"""


@pytest.fixture
def read(tmp_path):
    def read_(registry="", **environ):
        path = tmp_path / "embedstream.toml"
        path.write_text(f"{FILE}\n{registry}", encoding="utf-8")
        return load(path, {f"EMBEDSTREAM_REGISTRY__{name}": value for name, value in environ.items()}).registry

    return read_


def test_without_the_section_there_is_no_registry_and_framed_records_stop(read):
    assert (dict(read().properties), read().on_framed) == ({}, "stop")


def test_framed_records_may_be_dead_letters_where_there_is_no_registry(read):
    assert read('[registry]\non_framed = "dead-letter"').on_framed == "dead-letter"


def test_unknown_schemas_stop_or_are_dead_letters(read):
    assert read('[registry]\nurl = "http://r"').on_unknown_schema == "stop"
    chosen = read('[registry]\nurl = "http://r"\non_unknown_schema = "dead-letter"')
    assert (chosen.on_unknown_schema, dict(chosen.properties)) == ("dead-letter", {"url": "http://r"})


@pytest.mark.parametrize(
    "registry",
    [
        '[registry]\nurl = "http://r:8081"\n"ssl.ca.location" = "/etc/ca.pem"\n"max.retries" = 2',
        '[registry]\nurl = "http://r:8081"\nssl.ca.location = "/etc/ca.pem"\nmax.retries = 2',
    ],
)
def test_any_property_of_the_client_passes_with_dots_or_as_tables(read, registry):
    assert read(registry).properties == {"url": "http://r:8081", "ssl.ca.location": "/etc/ca.pem", "max.retries": 2}


def test_user_and_password_are_the_clients_user_info(read):
    registry = read('[registry]\nurl = "http://r"\nuser = "reader"\npassword = "battery:staple"')
    assert registry.properties["basic.auth.user.info"] == "reader:battery:staple"


def test_secrets_come_from_the_environment_and_from_files(read, tmp_path):
    (tmp_path / "password").write_text("battery-staple\n")
    registry = read(
        URL="http://r", USER="reader", PASSWORD_FILE=str(tmp_path / "password"), SSL_CA_LOCATION="/ca.pem"
    )
    assert registry.properties == {
        "url": "http://r",
        "ssl.ca.location": "/ca.pem",
        "basic.auth.user.info": "reader:battery-staple",
    }
    assert read(URL="http://r", BASIC_AUTH_USER_INFO="a:b").properties["basic.auth.user.info"] == "a:b"


def test_a_section_shows_no_secret(read):
    registry = read(
        URL="http://reader:battery-staple@r",
        BEARER_AUTH_TOKEN="battery-staple",
        SSL_KEY_PASSWORD="battery-staple",
    )
    for shown in (repr(registry), str(registry), str(registry.model_dump()), registry.model_dump_json()):
        assert "staple" not in shown
    told = read(URL="http://r", USER="reader", PASSWORD="battery-staple")
    assert "staple" not in f"{told!r} {told} {told.model_dump()} {told.model_dump_json()}"
    assert any("staple" in secret for secret in told.secrets())


@pytest.mark.parametrize(
    ("registry", "says"),
    [
        ('"max.retries" = 2', "url.*is missing"),
        ('url = ""', "url.*is missing"),
        ('user = "a"', "belong together"),
        ('password = "battery-staple"', "belong together"),
        ('url = "http://r"\nuser = "a:b"\npassword = "battery-staple"', "holds a colon"),
        (
            'url = "http://r"\nuser = "a"\npassword = "battery-staple"\n"basic.auth.user.info" = "a:b"',
            "both set",
        ),
        ('url = "http://a:battery-staple@r"\nuser = "a"\npassword = "battery-staple"', "holds a user"),
        ('url = "http://r"\non_framed = "stop"', "without a registry"),
        ('on_framed = "shrug"', "on_framed"),
        ('on_unknown_schema = "dead-letter"', "with a registry"),
        ('url = "http://r"\non_unknown_schema = "shrug"', "on_unknown_schema"),
        ('url = "registry:8081"', "address of a schema registry"),
        ('url = "http://r"\n"ssl.ca.loction" = "x"', 'did you mean "ssl.ca.location"'),
        ('url = "http://r"\ntimeout = "battery-staple"', "must be a number"),
        ('url = "http://r"\ntimeout = -1', "must be a number"),
        ('url = "http://r"\ntimeout = true', "must be a number"),
        ('url = "http://r"\nproxy = ["a"]', "is a list"),
        ('url = "http://r"\nuser = 7\npassword = "battery-staple"', "expected to be text"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(read, registry, says):
    with pytest.raises(Misuse, match=says) as error:
        read(f"[registry]\n{registry}")
    assert str(error.value).count("\n") == 0
    assert str(error.value).endswith((".", "?"))
    assert "staple" not in str(error.value)


def test_a_slip_in_a_variables_name_is_found(tmp_path):
    path = tmp_path / "embedstream.toml"
    path.write_text(FILE, encoding="utf-8")
    with pytest.raises(Misuse, match="EMBEDSTREAM_REGISTRY__SSL_CA_LOCATION"):
        load(path, {"EMBEDSTREAM_REGISTRY_SSL_CA_LOCATION": "/ca.pem"})
