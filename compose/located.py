"""Paths of the configuration: relative to the folder of the file that names them.

A command given from elsewhere then opens the same index and reads the same model and certificates, instead of making
a second, empty index beside it. Without a file they are relative to the current directory.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from compose.section import Text


def located(path: str, info: ValidationInfo) -> str:
    """Absolute. ``info`` carries the file's folder."""
    folder = (info.context or {}).get("folder", Path())
    return os.path.normpath(Path(folder).absolute() / Path(path).expanduser())


Located = Annotated[Text, AfterValidator(located)]
