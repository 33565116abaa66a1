"""An encoder without a model: each word points in a direction of its own, and a text is the sum of its words.

It decides vectors from the text, the dimensions and the salt alone, in every process and on every machine alike, so
it keeps the laws of ``stream.ports.Encoder`` exactly and needs no download. Texts that share words are near each
other, which is enough to try a search or to test a pipeline; it knows nothing of meaning.

Two salts give two encoders of the same width whose vectors have nothing to do with each other: the case that a check
of dimensions cannot catch and the contract must.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adapters.memory.tokenizer import WordTokenizer
from stream.contract import EncodingContract
from stream.errors import Misuse
from stream.points import DenseVector
from stream.ports import TextKind

_REVISION = 1
"""Raised with every change of this file that gives some text another vector."""


class HashEncoder:
    """Bag of hashed words, normalized to length 1. Safe to share between threads."""

    def __init__(self, dimensions: int = 32, salt: str = "", max_tokens: int = 512) -> None:
        """``salt`` names the "weights". Raises Misuse for sizes that hold nothing."""
        self.tokenizer = WordTokenizer()
        if dimensions < 1 or max_tokens <= self.tokenizer.special_tokens():
            raise Misuse(
                f"A hash encoder needs at least 1 dimension and more than {self.tokenizer.special_tokens()} tokens, "
                f"not {dimensions} and {max_tokens}."
            )
        self._salt = salt.encode()
        weights = hashlib.blake2b(f"hash\n{_REVISION}\n{dimensions}\n{salt}".encode(), digest_size=16)
        self._contract = EncodingContract(
            model=f"hash-{dimensions}",
            weights=weights.hexdigest(),
            tokenizer=self.tokenizer.digest,
            passage_prompt="",
            query_prompt="",
            max_tokens=max_tokens,
            truncation_side="right",
            pooling="sum",
            normalize=True,
            dimensions=dimensions,
        )

    @property
    def contract(self) -> EncodingContract:
        """Follows from dimensions, salt and maximum alone."""
        return self._contract

    def count_tokens(self, kind: TextKind, texts: Sequence[str]) -> Sequence[int]:
        """Words of each text and the special tokens, before truncation; both kinds count alike."""
        del kind
        return [self.tokenizer.count(text) + self.tokenizer.special_tokens() for text in texts]

    def encode(self, kind: TextKind, texts: Sequence[str]) -> Sequence[DenseVector]:
        """One vector a text, in order, each of length 1; passages and queries are encoded alike."""
        del kind
        return [DenseVector(self._vector(text)) for text in texts]

    def _vector(self, text: str) -> NDArray[np.float32]:
        room = self._contract.max_tokens - self.tokenizer.special_tokens()
        words = self.tokenizer.words(text)[:room] or [""]
        total = np.sum([self._direction(word) for word in words], axis=0)
        if not total.any():  # words that cancel each other out: possible in very few dimensions only
            total = self._direction("\n".join(words))
        unit = total / np.linalg.norm(total)
        return np.asarray(unit, dtype=np.float32)

    def _direction(self, word: str) -> NDArray[np.float64]:
        """Never zero: no byte lies on the middle."""
        raw = hashlib.shake_128(self._salt + b"\n" + word.encode(errors="surrogatepass"))
        digest = raw.digest(self._contract.dimensions)
        return np.frombuffer(digest, dtype=np.uint8).astype(np.float64) - 127.5
