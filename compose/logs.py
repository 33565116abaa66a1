"""What a process logs, and that no line of it holds a secret.

One handler on standard error, for our own loggers and for every library's; ``EMBEDSTREAM_LOG`` sets the level. Every
line passes through the formatter that blots out the secrets of this deployment's settings, tracebacks included, so
that a library in a talkative mood (``debug = "all"`` in [kafka], an HTTP client that logs its addresses) tells none.
"""

import logging
import sys
from collections.abc import Mapping

from adapters.confidential import BlottingFormatter, Confidential
from stream.errors import Misuse

_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_NOISY = ("httpx", "httpx2", "uvicorn.error", "uvicorn.access", "sentence_transformers")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def log_to_stderr(environ: Mapping[str, str], confidential: Confidential) -> None:
    """Of this process, from now on. Raises Misuse for a level that there is not."""
    level = environ.get("EMBEDSTREAM_LOG", "INFO").upper()
    if level not in _LEVELS:
        raise Misuse(f"EMBEDSTREAM_LOG is {level!r}; it is one of {', '.join(_LEVELS)}.")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(BlottingFormatter(confidential, _FORM))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
