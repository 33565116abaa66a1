import json
from dataclasses import replace

import numpy as np
import pytest

from adapters.memory.encoder import HashEncoder
from stream import probes
from stream.errors import Fatal
from stream.points import DenseVector


def test_the_encoder_that_took_the_probes_passes_them():
    encoder = HashEncoder(48)
    taken = probes.take(encoder)
    assert len(taken) == len(probes.GOLDEN_TEXTS)
    assert probes.check(taken, HashEncoder(48), "docs__x__g1") == pytest.approx(1.0, abs=1e-9)


def test_an_encoder_with_other_weights_fails_them():
    taken = probes.take(HashEncoder(48))
    with pytest.raises(Fatal, match=r"collection docs__x__g1 but makes other vectors.*cosine of"):
        probes.check(taken, HashEncoder(48, salt="other"), "docs__x__g1")


def test_an_encoder_of_another_width_fails_them():
    with pytest.raises(Fatal, match="cosine of -1"):
        probes.check(probes.take(HashEncoder(48)), HashEncoder(47), "docs__x__g1")


def test_probes_survive_json():
    taken = probes.take(HashEncoder(8))
    assert probes.from_json(json.loads(json.dumps(probes.to_json(taken)))) == taken


def test_the_stored_texts_are_compared_and_not_todays():
    stored = probes.take(HashEncoder(8), [("query", "an old golden text"), ("passage", "an old golden text")])
    assert probes.check(stored, HashEncoder(8), "docs") > probes.LEAST_COSINE


def test_the_worst_probe_decides():
    stored = probes.take(HashEncoder(4), [("passage", "one"), ("passage", "two")])
    right = [DenseVector(np.asarray(probe.vector, dtype=np.float32)) for probe in stored]
    assert probes.compare(stored, right) == pytest.approx(1.0, abs=1e-6)
    assert probes.compare(stored, [right[0], DenseVector(-right[1].values)]) == pytest.approx(-1.0, abs=1e-6)


@pytest.mark.parametrize("values", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 0.0], [1.0]])
def test_a_vector_that_is_none_is_worst(values):
    stored = (probes.Probe("passage", "one", (1.0, 0.0)),)
    assert probes.compare(stored, [DenseVector(np.asarray(values, dtype=np.float32))]) == -1.0


def test_without_probes_there_is_nothing_to_contradict():
    assert probes.check((), HashEncoder(8), "docs") == 1.0


def test_both_kinds_several_scripts_and_one_long_text_are_golden():
    kinds = {kind for kind, _ in probes.GOLDEN_TEXTS}
    texts = [text for _, text in probes.GOLDEN_TEXTS]
    assert kinds == {"passage", "query"}
    assert any(len(text.split()) > 600 for text in texts)
    assert any("\u0600" <= letter <= "\u06ff" for text in texts for letter in text)
    assert len(set(probes.GOLDEN_TEXTS)) == len(probes.GOLDEN_TEXTS)


@pytest.mark.parametrize(
    "damaged", [[{"kind": "passage"}], [{"kind": "neither", "text": "a", "vector": [1]}], ["x"], [{"kind": 1}]]
)
def test_damaged_probes_are_fatal(damaged):
    with pytest.raises(Fatal, match="probes in the collection's metadata"):
        probes.from_json(damaged)


def test_a_probe_is_a_value():
    probe = probes.Probe("query", "a", (1.0,))
    assert probe == replace(probe, vector=(1.0,))
    assert len({probe, replace(probe)}) == 1
