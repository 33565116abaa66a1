"""How fast an encoder is, measured where it runs."""

import time
from collections.abc import Callable, Sequence

from stream.points import DenseVector


def measured_rate(
    encode: Callable[[Sequence[str]], Sequence[DenseVector]], texts: Sequence[str], seconds: float, batch: int = 256
) -> float:
    """Chunks a second of this machine's encoder on these texts, over about so many seconds; 0 without any text."""
    if not texts:
        return 0.0
    encode(texts[: min(len(texts), 32)])  # the first call pays for what later ones do not
    began, made = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        for start in range(0, len(texts), batch):
            made += len(encode(texts[start : start + batch]))
            if time.monotonic() - began >= seconds:
                break
    return made / (time.monotonic() - began)
