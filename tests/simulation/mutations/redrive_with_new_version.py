"""A dead letter is published again at a version of today, made as a chunker makes one, of an offset: an old revision
becomes the newest one of its document.
"""

from dataclasses import replace

from schemas.identity import Version
from stream.redrive import Redrive

_ready = Redrive._ready


def ready(redrive, kept, event, chunking, attempt):
    return _ready(redrive, kept, replace(event, version=Version(kept.letter.offset + 1)), chunking, attempt)


PATCHES = [(Redrive, "_ready", ready)]
