"""Where a model's files are: from the reference in the configuration to a folder on this machine.

    package:<module>               the folder that an installed package names as MODEL_DIR
    path:<folder>                  a folder of the operator's
    hub:<org>/<name>@<revision>    a snapshot from the model hub, at a commit or a tag

A branch is no revision: it moves, and the index and its queries would part without a word. The folder is checked
before it is returned (see ``adapters.model_modules``): a reference that resolves is safe to load.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

from adapters.model_modules import read_modules
from stream.errors import Misuse


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's folder, and its name for people: it becomes part of the vector's name."""

    folder: Path
    name: str

    @property
    def tokenizer_folder(self) -> Path:
        """Where ``tokenizer.json`` stands: the Transformer's folder, which in older models is not the model's."""
        return read_modules(self.folder)[0].folder


def resolve(reference: str, *, hub_endpoint: str | None = None) -> ModelFiles:
    """The files of ``reference``. Raises Misuse for one that is written wrongly, Fatal for one that cannot be used.

    ``hub_endpoint`` is the address of another hub than the client's own default.
    """
    scheme, colon, rest = reference.partition(":")
    if not colon or scheme not in {"package", "path", "hub"} or not rest:
        raise Misuse(
            f"[encoding] model = {reference!r} is no reference to a model; write package:<module>, path:<folder> or "
            "hub:<org>/<name>@<revision>."
        )
    if scheme == "package":
        files = _of_package(rest)
    elif scheme == "path":
        folder = Path(rest).expanduser().resolve()
        files = ModelFiles(folder, folder.name)
    else:
        from adapters.model_hub import snapshot  # noqa: PLC0415 - the hub's client takes a second to import

        files = ModelFiles(snapshot(rest, hub_endpoint), rest.partition("@")[0].rpartition("/")[2])
    read_modules(files.folder)
    return files


def _of_package(module: str) -> ModelFiles:
    try:
        package = importlib.import_module(module)
    except ImportError as error:
        raise Misuse(
            f"The model package {module} cannot be imported ({error}); install it, or correct its name."
        ) from error
    folder = getattr(package, "MODEL_DIR", None)
    if not isinstance(folder, str | Path):
        raise Misuse(f"The package {module} has no MODEL_DIR and so names no model; use path:<folder> instead.")
    return ModelFiles(Path(folder).resolve(), module)
