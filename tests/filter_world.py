"""Random payloads of the fields of ``index_world``, and random filters over them.

Values come from small pools with the awkward ones in, so that bounds meet values exactly, and half of all conditions
hold of something.
"""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st
from index_world import FIELDS

from stream.filter import EXACT, AtLeast, Between, During, Equals, Filter, IsEmpty, NoneOf, OneOf

WORDS = ("", "x", "X", "y", 'a "quoted" \\ one', "\0", "Ω🚀", "true", "1")
INTEGERS = (0, 1, -1, 2, 3, EXACT - 1, EXACT, EXACT + 1, 2**60, 2**60 + 1, 2**63 - 1, -(2**63), 1 - EXACT)
FLOATS = (0.0, -0.0, 1.0, 2.5, -2.5, 1e-300, 1e300, 5e-324, 1.7976931348623157e308, 0.1, 0.30000000000000004)
START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = tuple(map(timedelta, (0, 0, 0, 1), (0, 1, 3600, 0), (0, 0, 1, 999_999)))

words = st.sampled_from(WORDS)
integers = st.sampled_from(INTEGERS) | st.integers(-5, 5)
floats = st.sampled_from(FLOATS) | st.integers(-5, 5).map(float)
moments = st.builds(
    lambda step, hours: (START + step).astimezone(timezone(timedelta(hours=hours))),
    st.sampled_from(STEPS),
    st.sampled_from([0, 2, -11]),
)
FORMS = (
    lambda moment: moment.isoformat(),
    lambda moment: moment.isoformat(" ", "microseconds") if moment.microsecond else moment.isoformat(" "),
    lambda moment: f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}999Z",
    lambda moment: f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
    lambda moment: f"{moment:%Y-%m-%dT%H:%M}",
    lambda moment: f"{moment:%Y-%m-%d}",
)
moment_texts = st.builds(lambda moment, form: form(moment), moments, st.sampled_from(FORMS))

payload_fields = st.fixed_dictionaries(
    {},
    optional={
        "section": words | st.lists(words, max_size=3),
        "a.dotted name": words,
        "pages": integers,
        "price": floats,
        "draft": st.booleans(),
        "updated_at": moment_texts,
        "tenant": words,
    },
)


def bounded(kind, key, values):
    lower = st.just({}) | st.builds(lambda name, bound: {name: bound}, st.sampled_from(["gt", "gte"]), values)
    upper = st.just({}) | st.builds(lambda name, bound: {name: bound}, st.sampled_from(["lt", "lte"]), values)
    some = st.tuples(lower, upper).filter(any)
    return some.map(lambda bounds: kind(key, **bounds[0], **bounds[1]))


def listed(key, values):
    some = st.lists(values, max_size=3).map(tuple)
    return st.builds(OneOf, st.just(key), some) | st.builds(NoneOf, st.just(key), some)


keywords = st.sampled_from(["section", "a.dotted name", "tenant", "doc_id"])
field_conditions = st.one_of(
    keywords.flatmap(lambda key: st.builds(Equals, st.just(key), words) | listed(key, words)),
    st.builds(Equals, st.just("pages"), integers),
    listed("pages", integers),
    bounded(Between, "pages", integers.filter(lambda number: abs(number) < EXACT)),
    bounded(Between, "price", floats),
    st.builds(Equals, st.just("draft"), st.booleans()),
    bounded(During, "updated_at", moments),
    st.builds(IsEmpty, st.sampled_from([*FIELDS, "tenant"])),
)


def filters_of(conditions):
    some = st.lists(conditions, max_size=3).map(tuple)
    counted = st.lists(conditions, min_size=1, max_size=3).flatmap(
        lambda chosen: st.builds(AtLeast, st.integers(1, len(chosen)), st.just(tuple(chosen)))
    )
    return st.builds(Filter, must=some, should=some, must_not=some, min_should=st.none() | counted)


conditions = st.recursive(field_conditions, filters_of, max_leaves=5)
filters = field_conditions.map(lambda one: Filter(must=(one,))) | filters_of(conditions)
