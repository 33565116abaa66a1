"""What a codec raises when bytes are not the message they should be."""


class Malformed(ValueError):
    """One sentence on what is wrong. ``kind`` is a short stable word: it becomes the dead letter's error class."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
