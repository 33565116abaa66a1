"""What is deployed: one source, one chunk topic, and up to three pairs of contract and collection that live on it.

``FIRST`` is the pair that is searched at first. ``SAME_CHUNKS`` has another encoding and reads the same chunk events;
``OTHER_CHUNKS`` has another chunking besides, and a chunker group of its own that writes into the same topic. Texts
are a few words each: under the first chunking every word is a chunk, under the other one every two. ``RECUT`` stands
in its place in some histories: it has the first encoding, and copies the vectors of chunks that both have.
"""

from functools import cache

from adapters.memory.encoder import HashEncoder
from stream.collection import collection_name
from stream.contract import ChunkingContract, Contract
from stream.errors import Poison
from stream.letterbox import Letterbox
from stream.revision import ChunkTopic, Cutter
from stream.source import Source

PARTITIONS = 2
INDEX = "kb"
SOURCE = Source.written(name="docs", topic="kb.docs", format="document", text=["body"], fields={"colour": "integer"})
CHUNKS = ChunkTopic("kb.chunks", PARTITIONS, 1 << 16)
LETTERS = Letterbox("kb.dead-letters", 1, 1 << 16)
VENOM = "venom"
"""No encoder takes it before its cure."""


class RememberedEncoder(HashEncoder):
    """A text's vector depends on the text and the contract alone, so each is made once for all histories."""

    def __init__(self, salt):
        super().__init__(dimensions=8, salt=salt)
        self._remembered = {}

    def encode(self, kind, texts):
        found = self._remembered
        return [found[text] if text in found else found.setdefault(text, self._made(kind, text)) for text in texts]

    def _made(self, kind, text):
        return super().encode(kind, [text])[0]


class Encoder:
    """That of one history: it refuses venom, and counts the cure."""

    def __init__(self, inner):
        self._inner = inner
        self.contract = inner.contract
        self.cured = False

    def count_tokens(self, kind, texts):
        return self._inner.count_tokens(kind, texts)

    def encode(self, kind, texts):
        if not self.cured and kind == "passage" and any(VENOM in text for text in texts):
            raise Poison("text", f"The model takes no {VENOM}.")
        return self._inner.encode(kind, texts)


class RememberingCutter(Cutter):
    """What a text is cut into follows from the text and the contract."""

    @cache  # noqa: B019 - there is one of each pair, for good
    def _passages(self, text, title):
        return super()._passages(text, title)


class Pair:
    """A contract and its groups. ``chunkers`` names the pair whose chunkers write its events, ``replaces`` the one of
    whose vectors it makes use."""

    def __init__(self, name, tokens, salt, chunkers=None, replaces=None):
        self.name, self.chunkers, self.replaces = name, chunkers or name, replaces
        self.model = RememberedEncoder(salt)
        chunking = ChunkingContract("fixed", 0, tokens, 0, 0, self.model.contract.tokenizer)
        self.contract = Contract(chunking, self.model.contract, (SOURCE.mapping,))
        self.cutter = RememberingCutter(chunking, self.model.tokenizer)
        self.header = self.contract.header_fingerprint(SOURCE.name)
        self.accepted = self.contract.accepted
        self.collection = collection_name(INDEX, self.contract.fingerprint, 1)
        self.chunker_group = f"kb.chunker.{self.chunkers}"
        self.embedder_group = f"kb.embedder.{name}"

    def __repr__(self):
        return self.name


FIRST = Pair("first", 1, "old")
SAME_CHUNKS = Pair("same-chunks", 1, "new", chunkers="first")
OTHER_CHUNKS = Pair("other-chunks", 2, "new")
RECUT = Pair("recut", 2, "old", replaces=FIRST)
PAIRS = (FIRST, SAME_CHUNKS, OTHER_CHUNKS, RECUT)
