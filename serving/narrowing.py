"""What a bound key may find: the one place where its mandatory filter meets a question.

Law: no hit of a bound key lacks one of its fields, or has another value in it, whatever the question asks for, and
waiting for a document that it may not see is like waiting for one that is not there. The condition is carried out by
the index, before the best hits are taken, so a key finds as many hits of its own documents as there are.
"""

from serving.keys import ApiKey
from serving.search import Question
from stream.filter import Equals, Filter


def narrowed(question: Question, key: ApiKey | None) -> Question:
    """The question within what the key may see: all of it, where there is no key or it is not bound."""
    if key is None or not key.bound:
        return question
    fields = (Filter(should=tuple(Equals(name, value) for value in values)) for name, values in key.only.items())
    return question.within(Filter(must=tuple(fields)))
