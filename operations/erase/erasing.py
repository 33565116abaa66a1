"""Erases documents: makes sure that they are gone from the source, marks their points, nulls their keys.

The order is what makes it safe to be killed anywhere and run again. First the chunker has to have read what the CDC
topic held, or the last state is not known. Then every collection holds the delete: its embedder has read it, or,
where nobody reads for it, the delete is applied here, at its own version and under the same conditions as an
embedder's writes, so that the two agree in every state. A note of the delete goes where the dead letters lie. Only
then are the keys nulled, since who reads later may not find the delete any more.

What others wrote meanwhile is looked for behind the nulls, until a look finds nothing: a newer revision is published
again, an older one is nulled too. A run that was killed before that is finished by the next, which looks for newer
revisions behind which a null lies before all else. Marks stay: a point that is missing could not refuse a late write.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from operations.erase.goneness import Gone, Goneness, Letters, Refused
from operations.erase.marking import marking, stored_in
from operations.erase.report import Erased, Report
from operations.erase.settling import Settling
from operations.erase.surroundings import Surroundings
from schemas import erasure_note
from schemas.erasure_note import ErasureNote
from schemas.identity import DocId, source_of
from stream.erasure import Trail, trails
from stream.ports import Outgoing, Partition
from stream.remains import Remains, remains_in


class Erasing:
    """One run over several documents."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings

    def run(self, documents: Sequence[DocId]) -> Report:
        """Raises Outage and Fatal; what was done by then is done, and the same call may be made again."""
        around = self._around
        behind = dict(self._unread_sources(documents))
        # A commit may be seen before the records that came with it: the log's ends are behind both.
        settling = Settling(around)
        known = settling.reached()
        found = trails(documents, around.records(sorted(settling.ends), {}), around.lineages)
        brought = settling.bring_back(found)
        goneness = Goneness(around, found)
        told: list[Erased] = []
        due: list[Trail] = []
        for document in documents:
            letters = goneness.letters[document]
            unread = behind.get(source_of(document)) or (None if known else self._open_transaction())
            if unread is not None:
                back = brought.get(document, 0)
                told.append(Erased(document, refused=unread, came_back=back, letters=letters.count))
                continue
            try:
                gone = goneness.of(found[document])
                told.append(self._marked(found[document], letters, gone))
                due.append(found[document])
            except Refused as refused:
                back = brought.get(document, 0)
                told.append(Erased(document, refused=str(refused), came_back=back, letters=letters.count))
        told = settling.settled(told, due)
        return Report(tuple(told), tuple(self._remains(told)), dry_run=around.producer is None)

    # --- whether ---

    def _unread_sources(self, documents: Sequence[DocId]) -> Iterator[tuple[str, str]]:
        """Source → why the last state of its documents is not known."""
        around = self._around
        for source in dict.fromkeys(map(source_of, documents)):
            topic = around.sources[source].topic
            if source not in around.lineages:
                yield source, f"The topic {topic} or {around.chunks.name} does not exist, so nothing is known of it."
                continue
            ends = around.topics.log_ends(topic)
            if not around.patience(partial(self._chunked, topic, ends)):
                why = (
                    f"The chunker has not read all of {topic} yet, so whether the document lives is not known; start "
                    "it, or wait until it has caught up, and run this again."
                )
                yield source, why

    def _open_transaction(self) -> str:
        return (
            f"A transaction in {self._around.chunks.name} is still open, so the last state of the document is not "
            "known; run this again in a minute."
        )

    def _chunked(self, topic: str, ends: Mapping[Partition, int]) -> bool:
        around = self._around
        committed = around.topics.committed(around.chunker_group, list(ends))
        lows = around.topics.low_watermarks(topic) if len(committed) < len(ends) else {}
        return all(
            end <= (committed[place].offset if place in committed else lows.get(place, 0))
            for place, end in ends.items()
        )

    # --- what ---

    def _marked(self, trail: Trail, letters: Letters, gone: Gone) -> Erased:
        """Every collection holds the delete then, and the note of it is written; the keys are still as they were."""
        around, document = self._around, trail.document
        unknown = not trail.keys and not letters.count and gone.version is None
        if unknown and not any(stored_in(each, document) for each in around.collections):
            raise Refused(
                f"Nothing is known of {document}: no key, no point, no dead letter; is it written as "
                "`embedstream dump` shows it?"
            )
        due = {each.name: (each, *marking(around, each, trail, gone)) for each in around.collections}
        if around.producer is not None:
            for each, writes, _ in due.values():
                if writes:
                    each.index.write(writes)
                    each.index.flush()
            if notes := self._notes(trail, gone):
                around.producer.send(notes)
        return Erased(
            document,
            known_by=gone.known_by,
            marked={name: live for name, (_, _, live) in due.items() if live},
            letters=letters.count,
        )

    def _notes(self, trail: Trail, gone: Gone) -> list[Outgoing]:
        """One in each partition of the dead letters: behind the letters there, so that it outlives them."""
        topic = self._around.letter_topic
        info = self._around.topics.describe([topic]).get(topic)
        if info is None or gone.version is None:
            return []
        key, headers = erasure_note.encode(ErasureNote(trail.document, trail.lineage, gone.version))
        return [Outgoing(Partition(topic, number), key, None, headers) for number in range(info.partitions)]

    # --- what is left ---

    def _remains(self, told: Sequence[Erased]) -> Iterator[Remains]:
        """Of the documents that were erased, in every topic that held them."""
        around = self._around
        done = [erased for erased in told if erased.refused is None]
        if not done:
            return
        now_ms = around.now_ms()
        topics = [around.sources[name].topic for name in dict.fromkeys(source_of(each.document) for each in done)]
        letters = sum(each.letters for each in done)
        info = around.topics.describe([around.chunks.name, *topics, around.letter_topic], settings=True)
        asked = [(around.chunks.name, "chunk events"), *((topic, "rows and their changes") for topic in topics)]
        if letters:
            asked.append((around.letter_topic, f"{letters} dead letter{'' if letters == 1 else 's'}"))
        for topic, what in asked:
            if topic in info:
                yield remains_in(topic, what, info[topic].config, now_ms, keyed=topic != around.letter_topic)
