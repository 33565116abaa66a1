"""A command of embedstream's in this process: its exit status and what it printed, without a start of Python."""

import contextlib
import io
import sys
from pathlib import Path

from compose.cli import main


def commanded(config: Path, *arguments: str) -> tuple[int, str]:
    """As the console script does it, standard output and error in one."""
    printed = io.StringIO()
    before, sys.argv = sys.argv, ["embedstream", *arguments, "--config", str(config)]
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            main()
    except SystemExit as ended:
        return int(ended.code or 0), printed.getvalue()
    finally:
        sys.argv = before
    raise AssertionError("the command did not exit")
