"""What a configuration's model is loaded as: profiles, alone or beside those of another model."""

import pytest
from models import build_tiny_model

from compose.model import find_model
from compose.sections import EncodingSettings
from stream.errors import Misuse


def found(folder, seed):
    model = find_model(EncodingSettings(model=f"path:{build_tiny_model(folder, seed=seed)}", device="cpu"))
    assert model.encoding.dimensions == model.load().bulk.contract.dimensions
    return model


def test_the_next_model_waits_at_the_gate_of_the_live_one(tmp_path):
    live = found(tmp_path / "live", 1).load()
    following = found(tmp_path / "next", 2).load(beside=live)
    assert following.bulk.contract.fingerprint != live.bulk.contract.fingerprint
    assert following.bulk._gate is following.query._gate is live.query._gate
    assert live.width >= 1


def test_a_replay_has_a_share_of_the_device_until_it_goes_live(tmp_path):
    profiles = found(tmp_path / "live", 1).load()
    with pytest.raises(Misuse, match="above 0 and at most 1"):
        profiles.replay_at(1.5)
    profiles.replay_at(0.5)
    assert len(profiles.bulk.encode("passage", ["one", "two"])) == 2
    profiles.go_live()
    assert len(profiles.bulk.encode("passage", ["one", "two"])) == 2


def test_a_model_without_weights_has_the_same_profiles():
    live = find_model(EncodingSettings(model="hash:16")).load()
    following = find_model(EncodingSettings(model="hash:32")).load(beside=live)
    following.replay_at(0.5)
    following.go_live()
    following.shrink()
    assert following.width == 1
    assert following.query.contract.dimensions == 32
