"""What a bound key may see is laid over what it asks for."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import DocId, Version
from serving.awaiting import DocumentVersion, WaitFor
from serving.keys import ApiKey, digest_of
from serving.narrowing import narrowed
from serving.search import Question
from stream.filter import Equals, Filter, holds

VALUES = st.sampled_from(["a", "b", 0, 1, True, False])
FIELDS = st.sampled_from(["tenant", "year"])
BINDINGS = st.dictionaries(FIELDS, st.lists(VALUES, min_size=1, max_size=3).map(tuple), min_size=1)
PAYLOADS = st.dictionaries(FIELDS, VALUES | st.lists(VALUES, max_size=2))
CONDITIONS = st.builds(Equals, FIELDS, VALUES)
FILTERS = st.builds(
    Filter, *[st.lists(CONDITIONS | st.builds(Filter, should=st.tuples(CONDITIONS)), max_size=2).map(tuple)] * 3
)


def key(only):
    return ApiKey("client", digest_of("secret"), only)


def has_one_of(payload, name, values):
    stored = payload.get(name, [])
    elements = stored if isinstance(stored, list) else [stored]
    return any(type(element) is type(value) and element == value for element in elements for value in values)


@given(BINDINGS, PAYLOADS, st.none() | FILTERS)
def test_what_is_found_has_one_of_the_keys_values_in_every_field_and_what_was_asked_for(only, payload, asked):
    """Several values of a field are an any-of, several fields an all-of; no question widens them."""
    wanted = narrowed(Question(("x",), wanted=asked), key(only)).wanted
    mine = all(has_one_of(payload, name, values) for name, values in only.items())
    assert holds(wanted, payload) == (mine and (asked is None or holds(asked, payload)))


@given(BINDINGS, PAYLOADS)
def test_what_is_waited_for_is_what_may_be_found(only, payload):
    wait = WaitFor(DocumentVersion(DocId("docs/1"), Version(1)), 1)
    question = narrowed(Question(("x",), wait_for=wait), key(only))
    assert question.wait_for.change == wait.change
    assert holds(question.wait_for.among, payload) == holds(question.wanted, payload)


def test_without_a_key_or_a_bound_one_a_question_stays_as_it_is():
    question = Question(("x",), wait_for=WaitFor(DocumentVersion(DocId("docs/1"), Version(1)), 1))
    assert narrowed(question, None) == question
    assert narrowed(question, key({})) == question
