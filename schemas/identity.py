"""Names of things: documents, chunks, versions and fingerprints.

Every id is derived from content, so any process at any time gives one thing one name: a redelivered event
names the points it named before, and two writers of one revision write the same ids.

A chunk's id is made of its document, of the digest of the text that is embedded, and of its ordinal among equal
texts of that document: position is not part of it, so a passage that moves keeps its id and its vector.
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NewType

import orjson

DocId = NewType("DocId", str)
"""``<source name>/<primary key>``."""
ChunkId = NewType("ChunkId", str)
"""A UUID in its canonical text form."""
Fingerprint = NewType("Fingerprint", str)
"""26 characters of lower-case base32: 128 bits of blake2b."""
Version = NewType("Version", int)
"""Offset of the CDC event in its partition + 1. Version 0 is a bulk load's, older than any event's."""

NAMESPACE = uuid.UUID("6f0d5a86-2f0e-5c5f-9a3c-3c1f5a6f7b10")
"""Fixed for ever: another value would name every chunk anew."""


def doc_id(source: str, key: Mapping[str, object]) -> DocId:
    """The document's id; ``key`` holds its primary-key columns in order, each a string, number or Boolean.

    One column stands as plain text, several as a JSON array, so ``("a/b",)`` and ``("a", "b")`` differ. One text that
    itself begins like an array is written as an array of one, or it could name what several columns name.
    """
    values = list(key.values())
    plain = values[0] if len(values) == 1 else None
    if isinstance(plain, str) and not plain.startswith("["):
        return DocId(f"{source}/{plain}")
    array = isinstance(plain, str) or len(values) != 1
    return DocId(f"{source}/{orjson.dumps(values if array else plain).decode()}")


def source_of(document: DocId) -> str:
    """The source's name: it holds no slash, so the first one ends it."""
    return document.partition("/")[0]


def chunk_ids(document: DocId, embedded_texts: Iterable[str]) -> list[ChunkId]:
    """One id for each embedded text, in order; equal texts are told apart by their ordinal."""
    seen: Counter[bytes] = Counter()
    ids = []
    for text in embedded_texts:
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        # The digest's width is fixed and a document's id cannot begin like it, so no key, however it is written,
        # gives a chunk the name of another document's chunk or of a document.
        name = f"{digest.hex()}\n{seen[digest]}\n{document}"
        seen[digest] += 1
        ids.append(ChunkId(str(uuid.uuid5(NAMESPACE, name))))
    return ids


def document_point_id(document: DocId) -> ChunkId:
    """The id of the document's own *deleted* point."""
    return ChunkId(str(uuid.uuid5(NAMESPACE, document)))
