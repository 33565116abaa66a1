"""A revision that is published again: by redrive, by audit's repair, and by erasing.

It goes to the chunk topic at the version it always had, for the owner of the document's partition, who alone writes
to the index and finds it stale or applies it. Its key is ``[doc_id, chunking, version]``: compaction keeps the last
record of a key, and under the document's own key an old revision that is published late would be the one that is
kept, instead of a newer one. It never goes to a CDC topic: there it would get a new offset, and be the newest.

Law: publishing one revision any number of times leaves the index as publishing it once does, because writes at an
equal version agree; and in the topic only the last of them stays.
"""

from dataclasses import replace

from schemas.chunk_codec import encode_key
from schemas.chunk_event import ATTEMPT_HEADER, ChunkEvent
from schemas.identity import Fingerprint
from stream.ports import Outgoing
from stream.revision import ChunkTopic


def republished(
    topic: ChunkTopic, event: ChunkEvent, chunking: Fingerprint, traceparent: str | None = None
) -> Outgoing:
    """The record of ``event`` (set its ``recompute`` or ``attempt`` before) under a key of its own.

    Raises Poison where the event cannot be said or is too large for the topic.
    """
    made = topic.outgoing(event, chunking, traceparent)
    headers = made.headers
    if event.attempt is not None:
        headers = (*headers, (ATTEMPT_HEADER, str(event.attempt).encode()))
    return replace(made, key=encode_key(event.doc_id, chunking, event.version), headers=headers)
