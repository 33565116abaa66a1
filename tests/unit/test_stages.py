from dataclasses import replace

import numpy as np
import pytest
from embedding_world import TroubledEncoder, TroubledIndex, as_revision, live_texts
from stream_world import CUTTER, ENCODER, HeldClock, delete, revision

from consumers.stages import ShrinkingEncoder, apply_batch, encode_batch, plan_batch
from stream.delta import Plan, Stale
from stream.errors import Fatal, Outage, Poison

MAX_AGE_S = 10.0


class Bench:
    """The three stages by hand, one batch after the other."""

    def __init__(self, encoder=None, index=None, shrink=lambda: None):
        self.index = index or TroubledIndex()
        self.encoder = encoder or TroubledEncoder()
        self.shrinking = ShrinkingEncoder(self.encoder, shrink)
        self.clock = HeldClock()

    def plan(self, *events, store_text=True):
        batch = [as_revision(event, place) for place, event in enumerate(events)]
        return plan_batch(
            self.index, batch, CUTTER.embedded_title, self.clock, store_text=store_text, collection="docs__x__g1"
        )

    def encode(self, planned):
        return encode_batch(self.shrinking, planned)

    def apply(self, encoded):
        return apply_batch(self.index, encoded, self.clock, MAX_AGE_S)

    def run(self, *events):
        """What was applied, and the documents refused on the way."""
        encoded, refused = self.encode(self.plan(*events))
        applied = self.apply(encoded)
        return applied, {item.revision.event.doc_id: item.poison.kind for item in (*refused, *applied.refused)}

    @property
    def live(self):
        return live_texts(self.index)


def test_a_batch_is_looked_up_in_one_read():
    bench = Bench()
    bench.run(revision("docs/1", 1, "alpha"), revision("docs/2", 2, "beta"), delete("docs/3", 3))
    assert bench.index.calls == ["read", "write"]
    assert bench.live == {"docs/1": ["alpha"], "docs/2": ["beta"]}


def test_equal_texts_of_a_batch_are_encoded_once():
    bench = Bench()
    bench.run(revision("docs/1", 1, "alpha", "beta", "alpha"), revision("docs/2", 2, "alpha"))
    assert sorted(bench.encoder.asked) == ["alpha", "beta"]
    assert bench.live == {"docs/1": ["alpha", "beta", "alpha"], "docs/2": ["alpha"]}


def test_what_is_embedded_is_the_titles_beginning_a_blank_line_and_the_passage():
    bench = Bench()
    bench.run(revision("docs/1", 1, "alpha", title="One two three four five six seven eight nine ten"))
    assert bench.encoder.asked == ["One two three four five six seven eight\n\nalpha"]
    (point,) = bench.index.scroll(with_vectors=True)
    (wanted,) = ENCODER.encode("passage", bench.encoder.asked)
    assert point.vector.values == pytest.approx(wanted.values)
    assert point.payload["title"].endswith("nine ten")


def test_a_redelivered_revision_embeds_nothing():
    bench = Bench()
    event = revision("docs/1", 1, "alpha", "beta")
    bench.run(event)
    bench.encoder.asked.clear()
    bench.run(event)
    assert bench.encoder.sizes == [2]
    assert bench.live == {"docs/1": ["alpha", "beta"]}


def test_a_stale_revision_is_done_without_a_write():
    bench = Bench()
    bench.run(revision("docs/1", 5, "beta"))
    planned = bench.plan(revision("docs/1", 4, "alpha"))
    assert isinstance(planned[0].plan, Stale)
    applied, refused = bench.run(revision("docs/1", 4, "alpha"))
    assert (len(applied.done), applied.writes, refused) == (1, 0, {})
    assert bench.live == {"docs/1": ["beta"]}


def test_a_vector_that_is_not_finite_refuses_its_document_alone():
    bench = Bench(TroubledEncoder(nan="broken"))
    events = [
        revision("docs/1", 1, "alpha"),
        revision("docs/2", 2, "a broken one", "beta"),
        revision("docs/3", 3, "beta"),
    ]
    applied, refused = bench.run(*events)
    assert refused == {"docs/2": "vector"}
    assert [item.planned.revision.event.doc_id for item in applied.done] == ["docs/1", "docs/3"]
    assert bench.live == {"docs/1": ["alpha"], "docs/3": ["beta"]}


def test_a_text_that_the_model_refuses_is_found_by_bisection():
    bench = Bench(TroubledEncoder(poison="odd"))
    events = [
        revision(f"docs/{number}", number + 1, "odd" if number == 5 else f"word {number}") for number in range(8)
    ]
    applied, refused = bench.run(*events)
    assert refused == {"docs/5": "text"}
    assert len(applied.done) == 7
    assert set(bench.live) == {f"docs/{number}" for number in range(8) if number != 5}
    # Every other text was encoded exactly once.
    assert sorted(bench.encoder.asked) == sorted(f"word {number}" for number in range(8) if number != 5)


def test_two_documents_that_share_a_refused_text_are_both_refused():
    _, refused = Bench(TroubledEncoder(poison="odd")).run(
        revision("docs/1", 1, "odd"), revision("docs/2", 2, "odd", "b")
    )
    assert refused == {"docs/1": "text", "docs/2": "text"}


def test_a_write_that_the_index_refuses_is_found_by_bisection():
    bench = Bench(index=TroubledIndex(refused="odd"))
    events = [
        revision(f"docs/{number}", number + 1, "odd" if number == 2 else f"word {number}") for number in range(5)
    ]
    applied, refused = bench.run(*events)
    assert refused == {"docs/2": "refused-by-index"}
    assert len(applied.done) == 4
    assert set(bench.live) == {"docs/0", "docs/1", "docs/3", "docs/4"}


def test_a_full_device_is_asked_for_less_until_it_fits():
    encoder = TroubledEncoder(room=2)
    rooms = []

    def shrink():
        rooms.append(encoder.room)
        encoder.room *= 2

    bench = Bench(encoder, shrink=shrink)
    bench.run(*(revision(f"docs/{number}", 1, f"word {number}") for number in range(5)))
    assert rooms == [2, 4]
    assert len(bench.live) == 5
    # It is remembered: the next batch is not too large again.
    bench.run(*(revision(f"docs/{number}", 2, f"other {number}") for number in range(5)))
    assert rooms == [2, 4]


def test_a_text_that_fits_no_device_is_fatal():
    def shrink():
        raise Fatal("One text alone does not fit.")

    with pytest.raises(Fatal, match="alone"):
        Bench(TroubledEncoder(room=0), shrink=shrink).run(revision("docs/1", 1, "alpha"))


def test_a_plan_that_is_too_old_is_thrown_away_to_be_made_again():
    bench = Bench()
    old, _ = bench.encode(bench.plan(revision("docs/1", 1, "alpha")))
    bench.clock.seconds += MAX_AGE_S / 2
    young, _ = bench.encode(bench.plan(revision("docs/2", 2, "beta")))
    bench.clock.seconds += MAX_AGE_S / 2 + 0.1
    applied = bench.apply([*old, *young])
    assert [one.event.doc_id for one in applied.expired] == ["docs/1"]
    assert [one.planned.revision.event.doc_id for one in applied.done] == ["docs/2"]
    assert bench.live == {"docs/2": ["beta"]}


def test_the_age_is_looked_at_before_every_attempt():
    bench = Bench(index=TroubledIndex(failures={"write": [Outage("away")]}))
    encoded, _ = bench.encode(bench.plan(revision("docs/1", 1, "alpha")))
    with pytest.raises(Outage):
        bench.apply(encoded)
    bench.clock.seconds += MAX_AGE_S + 1
    assert [one.event.doc_id for one in bench.apply(encoded).expired] == ["docs/1"]
    assert bench.live == {}


def test_a_plan_is_as_old_as_the_read_that_it_rests_on():
    bench = Bench()

    class SlowIndex(TroubledIndex):
        def read(self, documents):
            bench.clock.seconds += 7
            return super().read(documents)

    bench.index = SlowIndex()
    (planned,) = bench.plan(revision("docs/1", 1, "alpha"))
    assert planned.at == 0.0


def test_a_stale_revision_never_expires():
    bench = Bench()
    bench.run(revision("docs/1", 5, "beta"))
    encoded, _ = bench.encode(bench.plan(revision("docs/1", 4, "alpha")))
    bench.clock.seconds += MAX_AGE_S * 2
    assert len(bench.apply(encoded).done) == 1


def test_an_outage_loses_nothing_and_the_same_call_is_made_again():
    bench = Bench(index=TroubledIndex(failures={"write": [Outage("away")]}))
    encoded, refused = bench.encode(bench.plan(revision("docs/1", 1, "alpha")))
    with pytest.raises(Outage):
        bench.apply(encoded)
    assert refused == []
    assert len(bench.apply(encoded).done) == 1
    assert bench.live == {"docs/1": ["alpha"]}


def test_text_is_left_out_where_it_is_not_to_be_stored():
    (planned,) = Bench().plan(revision("docs/1", 1, "alpha"), store_text=False)
    assert isinstance(planned.plan, Plan)
    assert "text" not in planned.plan.missing[0].payload


def test_the_collections_own_name_asks_for_a_recomputation():
    bench = Bench()
    event = revision("docs/1", 1, "alpha")
    bench.run(event)
    bench.run(replace(event, recompute="another__x__g1"))
    assert bench.encoder.asked == ["alpha"]
    bench.run(replace(event, recompute="docs__x__g1"))
    assert bench.encoder.asked == ["alpha", "alpha"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused_before_any_index_sees_it(value):
    class Broken(TroubledEncoder):
        def encode(self, kind, texts):
            return [
                replace(vector, values=np.full_like(vector.values, value)) for vector in super().encode(kind, texts)
            ]

    bench = Bench(Broken())
    encoded, refused = bench.encode(bench.plan(revision("docs/1", 1, "alpha")))
    assert encoded == []
    assert [item.poison.kind for item in refused] == ["vector"]


def test_what_is_neither_poison_nor_outage_passes_through():
    with pytest.raises(ZeroDivisionError):
        Bench(TroubledEncoder(failures=[ZeroDivisionError()])).run(revision("docs/1", 1, "alpha"))
    with pytest.raises(Fatal):
        Bench(index=TroubledIndex(failures={"read": [Fatal("no")]})).run(revision("docs/1", 1, "alpha"))
    with pytest.raises(Poison, match="before"):
        Bench(index=TroubledIndex(failures={"read": [Poison("x", "before")]})).run(revision("docs/1", 1, "a"))
