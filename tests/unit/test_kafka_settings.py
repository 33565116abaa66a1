import pytest
from pydantic import ValidationError

from adapters.confidential import MASK, is_secret
from compose.kafka_settings import KafkaSettings, property_name

BROKER = {"bootstrap.servers": "b:9092"}


def refusal(**table) -> str:
    with pytest.raises(ValidationError) as refused:
        KafkaSettings.model_validate({**BROKER, **table.pop("properties", {}), **table})
    return refused.value.errors()[0]["msg"]


def test_any_property_of_librdkafka_passes_through_as_text():
    kafka = KafkaSettings.model_validate(
        {**BROKER, "linger.ms": 5, "enable.ssl.certificate.verification": False, "debug": "cgrp", "x.y": 0.5}
    )
    assert kafka.properties == {
        "bootstrap.servers": "b:9092",
        "group.protocol": "consumer",
        "linger.ms": "5",
        "enable.ssl.certificate.verification": "false",
        "debug": "cgrp",
        "x.y": "0.5",
    }


def test_dots_may_be_written_as_tables():
    kafka = KafkaSettings.model_validate({"bootstrap": {"servers": "b:1"}, "ssl": {"key": {"location": "k.pem"}}})
    assert kafka.bootstrap_servers == "b:1"
    assert kafka.properties["ssl.key.location"] == "k.pem"


@pytest.mark.parametrize(
    "name",
    [
        "isolation.level",
        "enable.auto.commit",
        "auto.offset.reset",
        "group.id",
        "transactional.id",
        "transaction.timeout.ms",
    ],
)
def test_what_the_guarantees_rest_on_is_refused_while_the_file_is_read(name):
    assert f'"{name}"' in refusal(properties={name: "x"})


def test_the_classic_protocol_and_its_times_pass():
    kafka = KafkaSettings.model_validate({**BROKER, "group.protocol": "classic", "session.timeout.ms": 6000})
    assert kafka.group_protocol == "classic"
    assert kafka.properties["session.timeout.ms"] == "6000"


def test_an_unknown_protocol_is_refused():
    assert '"group.protocol" is "consumer"' in refusal(properties={"group.protocol": "new"})


@pytest.mark.parametrize("servers", ["", "  "])
def test_brokers_are_needed(servers):
    assert "`bootstrap.servers` is missing" in refusal(properties={"bootstrap.servers": servers})


def test_a_property_is_no_list():
    assert "`client.id` is a list" in refusal(properties={"client.id": ["a"]})


SECRETS = {
    "sasl.password": "hunter2",
    "ssl.key.password": "hunter3",
    "ssl.keystore.password": "hunter4",
    "ssl.key.pem": "hunter5",
    "sasl.oauthbearer.client.secret": "hunter6",
    "sasl.oauthbearer.config": "hunter7",
}


def test_secrets_reach_the_client_and_are_never_shown():
    kafka = KafkaSettings.model_validate({**BROKER, "sasl.username": "me", **SECRETS})
    assert kafka.properties["sasl.password"] == "hunter2"
    for shown in (repr(kafka), str(kafka), str(kafka.model_dump()), kafka.model_dump_json(), f"{kafka}"):
        assert "hunter" not in shown
        assert MASK in shown
        assert "me" in shown


@pytest.mark.parametrize(
    "key", ["api_key", "index.api-key", "hub_token", "password", "client_secret", "sasl.jaas.config"]
)
def test_these_keys_sound_like_secrets(key):
    assert is_secret(key)


@pytest.mark.parametrize("key", ["min_tokens", "batch_tokens", "key", "ssl.ca.location", "group_prefix", "topic"])
def test_and_these_do_not(key):
    assert not is_secret(key)


def test_dots_are_underscores_in_the_environment():
    assert property_name("SASL_PASSWORD") == "sasl.password"
    assert property_name("GROUP_PREFIX") == "group_prefix"
