"""What follows from a deployment's settings, before anything runs."""

import pytest

from compose.deployment import Deployment
from compose.settings import load

FILE = """
[kafka]
"bootstrap.servers" = "127.0.0.1:1"
group_prefix = "kb"
[[source]]
name = "docs"
topic = "kb.public.docs"
text = ["body"]
[[source]]
name = "notes"
topic = "kb.public.notes"
text = ["note"]
[chunks]
topic = "kb.chunks"
[encoding]
model = "hash:8"
[index]
name = "docs"
url = "edge:index"
generation = 3
"""


@pytest.fixture
def deployment(tmp_path):
    file = tmp_path / "embedstream.toml"
    file.write_text(FILE)
    return Deployment(load(file, {}))


def test_changes_are_waited_for_where_the_pair_applies_them(deployment):
    applied, contract = deployment.applied, deployment.contract
    assert applied.sources == {"docs": "kb.public.docs", "notes": "kb.public.notes"}
    assert applied.accepted == contract.accepted
    assert set(applied.accepted) == {"docs", "notes"}
    assert applied.chunk_topic == "kb.chunks"
    assert applied.chunker_group == f"kb.chunker.{contract.chunking_fingerprint}.g3"
    assert applied.embedder_group == f"kb.embedder.{contract.fingerprint}.g3"


def test_the_bus_is_opened_once_and_only_for_whoever_waits(deployment, monkeypatch):
    opened = []
    monkeypatch.setattr(Deployment, "topics", lambda _: opened.append("topics") or opened)
    applied = deployment.applied
    assert opened == []
    assert applied.topics() is applied.topics()
    assert opened == ["topics"]
