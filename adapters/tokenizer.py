"""The encoder's tokenizer, read from its ``tokenizer.json`` by the ``tokenizers`` library alone.

It loads in a fraction of a second and brings no torch into the process, so chunkers stay small. A ``tokenizer.json``
may carry a truncation and a padding setting (MiniLM's cuts and fills to 128 tokens); both are switched off, and both
are left out of the digest: they say how somebody last used the file, not how it cuts text into tokens.

Laws: same ids as the encoder's own tokenizer for every text, before truncation; spans in code points; a text with a
lone surrogate, which no tokenizer can read, is Poison.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import orjson
from tokenizers import Tokenizer

from stream.errors import Fatal, Poison

FILE_NAME = "tokenizer.json"
_SETTINGS_OF_USE = ("truncation", "padding")

_CODE_POINTS_AT_ONCE = 1 << 18
"""The library keeps some hundred bytes for each code point of a batch until the batch is done."""

_WORD_LENGTH = 24
_WORDS_REMEMBERED = 1 << 17
"""Chunking counts a document word by word, and words come back in document after document: those of up to 24 code
points are remembered, some 15 MB when full. Then the memory starts anew.
"""


class FileTokenizer:
    """The ``Tokenizer`` port over one file. Safe to share between threads."""

    def __init__(self, tokenizer: Tokenizer, digest: str) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.digest = digest
        self._words: dict[str, int] = {}

    def ids(self, text: str) -> Sequence[int]:
        """Token ids, special tokens included: what the encoder's own tokenizer must give."""
        _refuse_surrogates(text)
        return list(self._tokenizer.encode(text).ids)

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """[start, end) in code points of each token of the text, without special tokens."""
        _refuse_surrogates(text)
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def count(self, text: str) -> int:
        """Tokens of the text alone, special tokens not counted."""
        return self.counts((text,))[0]

    def counts(self, texts: Sequence[str]) -> Sequence[int]:
        """``count`` of each text, on all cores."""
        words = self._words  # another thread may add to it or put a new one in its place; neither takes words away
        unknown = [text for text in texts if text not in words]
        counted = dict(zip(unknown, self._counted(unknown), strict=True)) if unknown else {}
        counts = [words[text] if text in words else counted[text] for text in texts]
        if len(words) > _WORDS_REMEMBERED:
            words = self._words = {}
        words.update((text, count) for text, count in counted.items() if len(text) <= _WORD_LENGTH)
        return counts

    def special_tokens(self) -> int:
        """How many special tokens one text gets."""
        return int(self._tokenizer.num_special_tokens_to_add(is_pair=False))

    def _counted(self, texts: Sequence[str]) -> list[int]:
        counts: list[int] = []
        batch: list[str] = []
        waiting = 0
        for text in texts:
            _refuse_surrogates(text)
            if waiting + len(text) > _CODE_POINTS_AT_ONCE:
                counts.extend(self._lengths(batch))
                batch, waiting = [], 0
            batch.append(text)
            waiting += len(text)
        counts.extend(self._lengths(batch))
        return counts

    def _lengths(self, batch: list[str]) -> list[int]:
        # The fast variant leaves offsets out, a third of the time.
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)]


def load(folder: Path) -> FileTokenizer:
    """Reads ``folder/tokenizer.json``. Raises Fatal where it is missing or no tokenizer."""
    content = _content(folder)
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises plain Exception
        raise Fatal(
            f"{folder / FILE_NAME} is not a tokenizer that the tokenizers library reads ({error}); "
            "fetch the model again or choose another."
        ) from error
    return FileTokenizer(tokenizer, _digest(content, folder))


def digest(folder: Path) -> str:
    """The digest of ``folder/tokenizer.json`` without loading it: 32 hexadecimal digits. Raises Fatal as ``load``."""
    return _digest(_content(folder), folder)


def _content(folder: Path) -> bytes:
    path = folder / FILE_NAME
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Fatal(
            f"There is no {FILE_NAME} in {folder}; choose a model that ships a fast tokenizer, or save one there."
        ) from error
    except OSError as error:
        raise Fatal(
            f"{path} cannot be read ({error.strerror}); mend its permissions or choose another model."
        ) from error


def _digest(content: bytes, folder: Path) -> str:
    """blake2b-128 of the file as JSON with sorted keys, less the settings of use."""
    try:
        document = orjson.loads(content)
        settings = {name: value for name, value in document.items() if name not in _SETTINGS_OF_USE}
    except (orjson.JSONDecodeError, AttributeError) as error:
        raise Fatal(f"{folder / FILE_NAME} is not a JSON object; fetch the model again or choose another.") from error
    return blake2b(orjson.dumps(settings, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _refuse_surrogates(text: str) -> None:
    """A lone surrogate cannot be written as UTF-8, by which every text reaches the library."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Poison(
                "surrogate", f"The text holds a lone surrogate at character {error.start}; mend it in the source."
            ) from error
