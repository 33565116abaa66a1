"""What a bound key may find: the one place where its mandatory filter meets a question.

Law: no hit of a bound key lacks one of its fields, or has another value in it, whatever the question asks for. The
condition is carried out by the index, before the best hits are taken, so a key finds as many hits of its own
documents as there are.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from serving.handle import IndexHandle
from serving.keys import ApiKey
from serving.search import Answer, Question, search
from stream.ports import Condition


def search_as(key: ApiKey | None, handle: IndexHandle, question: Question, now_ms: int) -> Answer:
    """The answer within what the key may see: all of it, where there is no key or it is not bound."""
    if key is None or not key.bound:
        return search(handle, question, now_ms)
    answers = [search(handle, narrowed, now_ms) for narrowed in _narrowed(question, key)]
    found = {hit.id: hit for answer in answers for hit in answer.hits}
    best = sorted(found.values(), key=lambda hit: -hit.score)[: question.limit]
    return Answer(handle.collection, handle.contract.fingerprint, tuple(best))


def _narrowed(question: Question, key: ApiKey) -> Iterator[Question]:
    """One question for each combination of values: a condition is an equality, and any of the values will do."""
    for values in product(*key.only.values()):
        conditions = tuple(Condition(field, value) for field, value in zip(key.only, values, strict=True))
        yield replace(question, conditions=(*question.conditions, *conditions))
