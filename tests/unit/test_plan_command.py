"""``embedstream plan``: the chapter's figures, its exercise, and what is refused."""

import json
import sys

import pytest

from compose import cli
from compose.commands.plan import Corpus, estimated
from operations.plan.sizes import sizes
from stream.errors import Misuse
from stream.replay_cost import Means


@pytest.fixture
def plan(monkeypatch, capsys):
    def said(*arguments):
        monkeypatch.setattr(sys, "argv", ["embedstream", "plan", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr()

    return said


def column(text, number):
    """Row name → figure of that pass."""
    found = {}
    for line in text.splitlines():
        name, *figures = [part.strip() for part in line.split("  ") if part.strip()]
        if len(figures) > number:
            found[name] = figures[number]
    return found


def test_the_chapters_case_is_printed(plan):
    status, said = plan(
        "--documents", 200_000_000, "--chunks-per-document", 6, "--rate", 1_800, "--devices", 64, "--price", 2.5
    )
    assert status == 0
    first = column(said.out, 0)
    assert first["chunks"] == first["embedded"] == "1,200,000,000"
    assert first["single-device days"] == "7.7"
    assert first["wall-clock (hours)"] == "2.9"
    assert first["device hours"] == "185"
    assert first["cost"] == "$463"


def test_its_exercise_and_the_variant_with_half_the_chunks(plan):
    status, said = plan(
        *("--documents", 500_000_000, "--chunks-per-document", 8, "--rate", 1_500, "--price", 3),
        *("--next-chunks-per-document", 4),
    )
    assert status == 0
    first, model, halved = (column(said.out, number) for number in range(3))
    assert (first["chunks"], first["device hours"], first["cost"]) == ("4,000,000,000", "741", "$2,222")
    assert (model["embedded"], model["cost"]) == ("4,000,000,000", "$2,222")
    assert (halved["chunks"], halved["device hours"], halved["cost"]) == ("2,000,000,000", "370", "$1,111")
    assert "measure the rate at their size" in said.out


def test_what_is_alike_is_copied_and_the_text_stays_as_long_as_it_is(plan):
    status, said = plan(
        *("--documents", 1_000, "--chunks-per-document", 6, "--rate", 10, "--json"),
        *("--next-chunks-per-document", 12, "--alike", 0.25),
    )
    told = json.loads(said.out)
    chunking = told["another_chunking"]
    assert status == 0
    assert (chunking["chunks"], chunking["copied"], chunking["embedded"]) == (12_000, 3_000, 9_000)
    assert chunking["cost"] is None
    assert chunking["payload_bytes"] < 2 * told["first"]["payload_bytes"]
    assert chunking["vector_bytes"] == 2 * told["first"]["vector_bytes"] == 12_000 * 384 * 4
    assert chunking["indexed_bytes"] == 12_000 * 384 * 6
    assert chunking["quantized_bytes"] == 12_000 * 384
    assert told["another_model"]["topic_bytes"] == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--rate", 1, "--measure"), "Give --rate"),
        ((), "Give --rate"),
        (("--rate", 0), "rate above 0"),
        (("--rate", 1, "--devices", 0), "at least one device"),
        (("--rate", 1, "--next-chunks-per-document", 0), "above 0 chunks"),
        (("--rate", "nan"), "rate above 0"),
        (("--rate", "inf"), "rate above 0"),
        (("--rate", 1, "--price", "inf"), "price of a device hour"),
        (("--rate", 1, "--price", "nan"), "--price"),
        (("--rate", 1, "--next-chunks-per-document", "nan"), "at most 10¹⁵ chunks"),
        (("--rate", 1, "--next-chunks-per-document", 1e300), "at most 10¹⁵ chunks"),
        (("--rate", 1, "--alike", "nan"), "alike"),
        (("--rate", 1, "--dimensions", 0), "at least one dimension"),
        (("--rate", 1, "--chunk-bytes", -5), "16 MiB"),
        (("--rate", 1, "--chunk-bytes", 10**12), "16 MiB"),
        (("--measure", "--seconds", 0), "--seconds"),
        (("--rate", 1, "--alike", 2), "--alike"),
    ],
)
def test_what_describes_no_corpus_is_refused_with_a_sentence(plan, asked, said):
    status, printed = plan("--documents", 10, "--chunks-per-document", 2, *asked)
    assert status == 2
    assert said in printed.err
    assert len(printed.err.strip().splitlines()) == 1


def test_a_corpus_has_documents():
    with pytest.raises(Misuse, match="at least one document"):
        estimated(Corpus(0, 6, 384, 800), Means(1))


def test_the_encoder_of_this_machine_is_measured(plan, tmp_path):
    config = tmp_path / "embedstream.toml"
    config.write_text(
        """
        [kafka]
        "bootstrap.servers" = "127.0.0.1:1"
        [chunks]
        topic = "kb.chunks"
        [encoding]
        model = "hash:32"
        [index]
        name = "docs"
        url = "edge:index"
        [[source]]
        name = "docs"
        topic = "kb.docs"
        text = ["body"]
        """
    )
    status, said = plan(
        "--documents", 10, "--chunks-per-document", 2, "--measure", "--seconds", 1, "--config", config, "--json"
    )
    told = json.loads(said.out)
    assert status == 0, said.err
    assert told["chunks_per_second"] > 0
    assert told["first"]["vector_bytes"] == 20 * 32 * 4


@pytest.mark.parametrize("chunks", ["nan", "inf", "-1", "0"])
def test_chunks_a_document_are_a_number(plan, chunks):
    status, printed = plan("--documents", 10, f"--chunks-per-document={chunks}", "--rate", 1)
    assert status == 2
    assert "above 0 chunks" in printed.err


def test_a_long_text_is_as_long_as_if_it_had_been_encoded():
    for chunk_bytes in (1_000, 1_025, 5_000_000):
        event = sizes(chunk_bytes).event_chunk
        assert event - chunk_bytes == pytest.approx(sizes(1_000).event_chunk - 1_000, abs=8)


def test_an_event_grows_with_its_chunks_and_a_chunk_with_its_text():
    small, large = sizes(100), sizes(400)
    assert large.payload - small.payload == large.event_chunk - small.event_chunk == 300
    assert small.event == large.event
    assert small.event_of(3) == small.event + 3 * small.event_chunk
