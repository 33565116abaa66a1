"""Anchored passages: boundaries chosen by content, so that an edit changes only the passages around it.

Every boundary between units has a strength: its rank, then the hash of the unit behind it. A boundary is cut if and
only if the text between the nearest boundaries on its left and on its right that are at least as strong exceeds the
maximum. So no piece between cuts exceeds it, a blank line is preferred to the end of a sentence, and what is cut
depends on the text around alone, never on where the document begins. Then the weakest cuts go first: one beside a
piece below the minimum is dropped where the merged piece fits the maximum. The minimum is soft, the maximum is not.

Equal units are told apart by their neighbours. Where those repeat too, the text is periodic: no boundary stands out,
and the pieces are filled from the left, which gives equal texts, whose chunks keep their ids.

Laws: passages are disjoint and in order, white space alone lies between them; each has at most ``max_tokens`` when it
is tokenized alone; a sentence is cut only if it alone exceeds them. Time is linear but for one sort of the cuts.
"""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import accumulate, pairwise

from stream.chunking.boundaries import Rank
from stream.chunking.passage import Passage
from stream.chunking.units import Division, Unit, stretch_end
from stream.contract import ChunkingContract
from stream.ports import Tokenizer

_HASH_BYTES = 8


def anchored(text: str, contract: ChunkingContract, tokenizer: Tokenizer) -> Iterator[Passage]:
    """Passages of the text; tokenized as they are asked for."""
    division = Division(text, tokenizer, contract.max_tokens)
    start = 0
    while start < len(text):
        end = stretch_end(text, start)
        units = division.units(start, end, (Rank.BLOCK, Rank.SENTENCE))
        if units:
            strengths = _strengths(text, units)
            cuts = _cuts(units, strengths, contract)
            if end < len(text) and len(units) > 1:
                cuts = _surely_cut(strengths, cuts)
                end = units[cuts[-1]].start
            yield from _verified(text, units, strengths, cuts, division, contract.max_tokens, tokenizer)
        start = end


def _strengths(text: str, units: list[Unit]) -> list[bytes]:
    """Of the boundary before each unit; the smaller, the stronger. Compared as bytes: rank, unit, its neighbours."""
    hashes = [
        blake2b(
            " ".join(text[unit.start : unit.end].split()).encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES
        ).digest()
        for unit in units
    ]
    nothing = bytes(_HASH_BYTES)
    return [
        bytes((unit.rank,)) + here + before + after
        for unit, before, here, after in zip(units, [nothing, *hashes], hashes, [*hashes[1:], nothing], strict=False)
    ]


def _surely_cut(strengths: list[bytes], cuts: list[int]) -> list[int]:
    """The cuts of a stretch up to one that stays whatever follows: the strongest in its last quarter.

    The last unit may be broken by the stretch's end, so it is left for the next one in any case.
    """
    last = len(strengths) - 1
    inner = cuts[1:-1]
    late = [cut for cut in inner if last * 3 // 4 <= cut < last]
    end = min(late, key=strengths.__getitem__) if late else max(inner, default=last)
    return [*(cut for cut in cuts if cut < end), end]


def _cuts(units: list[Unit], strengths: list[bytes], contract: ChunkingContract) -> list[int]:
    """Indices of the units that begin a piece, the first one and the end included."""
    ends = list(accumulate((unit.tokens for unit in units), initial=0))
    cuts = _stretched_cuts(ends, strengths, contract.max_tokens)
    full = [0]
    for left, right in pairwise(cuts):
        if ends[right] - ends[left] > contract.max_tokens:
            full.extend(_filled(ends, strengths, left, right, contract.max_tokens))
        full.append(right)
    return _merged(ends, strengths, full, contract.min_tokens, contract.max_tokens)


def _stretched_cuts(ends: list[int], strengths: list[bytes], limit: int) -> list[int]:
    """The rule. ``ends[i]`` is the number of tokens before unit i.

    One stack of boundaries that grow weaker; one leaves it when the next boundary at least as strong comes.
    """
    size = len(strengths)
    cuts = [0]
    stack: list[tuple[bytes, int, int]] = []  # strength, unit, and its nearest at least as strong on the left
    for unit in range(1, size):
        strength = strengths[unit]
        left = 0
        while stack and stack[-1][0] >= strength:
            weaker, place, begin = stack.pop()
            if ends[unit] - ends[begin] > limit:
                cuts.append(place)
            if weaker == strength:
                left = place
                break
        else:
            if stack:
                left = stack[-1][1]
        stack.append((strength, unit, left))
    cuts.extend(place for _, place, begin in stack if ends[size] - ends[begin] > limit)
    cuts.append(size)
    cuts.sort()
    return cuts


def _filled(ends: list[int], strengths: list[bytes], left: int, right: int, limit: int) -> Iterator[int]:
    """Cuts inside a piece that is too long because its strongest boundaries are equal: as few as fit, from the left.

    Two neighbours among them are never further apart than the limit, or the rule had cut there.
    """
    strongest = min(strengths[left + 1 : right])
    begin, last = left, left
    for unit in range(left + 1, right):
        if strengths[unit] == strongest:
            if ends[unit] - ends[begin] > limit:
                yield last
                begin = last
            last = unit
    if ends[right] - ends[begin] > limit:
        yield last


def _merged(ends: list[int], strengths: list[bytes], cuts: list[int], least: int, limit: int) -> list[int]:
    """Cuts left over once pieces below the minimum have joined a neighbour, the weakest cuts first.

    Pieces only grow, so a cut that stays once would stay for ever: one visit each is enough.
    """
    before = {cut: previous for previous, cut in pairwise(cuts)}
    after = dict(pairwise(cuts))
    inner = sorted(cuts[1:-1], key=strengths.__getitem__, reverse=True)
    for cut in inner:
        left, right = before[cut], after[cut]
        small = min(ends[cut] - ends[left], ends[right] - ends[cut]) < least
        if small and ends[right] - ends[left] <= limit:
            after[left], before[right] = right, left
            del before[cut], after[cut]
    return [cuts[0], *before]


def _verified(
    text: str,
    units: list[Unit],
    strengths: list[bytes],
    cuts: list[int],
    division: Division,
    limit: int,
    tokenizer: Tokenizer,
) -> Iterator[Passage]:
    """The passages between cuts, each counted alone; one too long is cut again at its strongest boundary."""
    pieces = [(units[begin:end], strengths[begin:end]) for begin, end in pairwise(cuts)]
    passages = [_passage(text, piece) for piece, _ in pieces]
    counts = tokenizer.counts([passage.text for passage in passages])
    for (piece, weights), passage, tokens in zip(pieces, passages, counts, strict=True):
        if tokens <= limit:
            yield passage
        else:
            yield from _cut_again(text, piece, weights, division, limit, tokenizer)


def _cut_again(
    text: str, units: list[Unit], strengths: list[bytes], division: Division, limit: int, tokenizer: Tokenizer
) -> Iterator[Passage]:
    """Passages of a piece that has more tokens alone than its words had. It is cut at least once."""
    stack = [(units, strengths)]
    first = True
    while stack:
        piece, weights = stack.pop()
        passage = _passage(text, piece)
        if not first and tokenizer.count(passage.text) <= limit:
            yield passage
            continue
        first = False
        if len(piece) == 1:
            piece = division.finer(piece[0])
            weights = _strengths(text, piece)
        middle = len(piece) / 2
        cut = min(range(1, len(piece)), key=lambda place: (weights[place], abs(place - middle)))
        stack.append((piece[cut:], weights[cut:]))
        stack.append((piece[:cut], weights[:cut]))


def _passage(text: str, units: list[Unit]) -> Passage:
    start, end = units[0].start, units[-1].end
    return Passage((start, end), text[start:end])
