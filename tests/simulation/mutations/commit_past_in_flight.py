"""The position is committed, whatever is still open below it: who crashes then has lost it."""

from stream.progress import Progress

PATCHES = [(Progress, "committable", property(lambda progress: progress._position))]
