"""Snapshots from a model hub: a revision that cannot move, fetched once, read offline ever after.

A commit is taken as it is. Any other name must be a tag: it is looked up, and a branch is refused with the commit
that it points to today. With the client's offline switch (``HF_HUB_OFFLINE``), or when the hub cannot be reached, a
snapshot that was fetched before is used; without one, the error says what to do.

Only what a safetensors model needs is fetched: pickles and other formats stay where they are.
"""

import re
from pathlib import Path

from huggingface_hub import HfApi, errors, is_offline_mode, snapshot_download

from stream.errors import EmbedstreamError, Fatal, Misuse

_WANTED = ["*.safetensors", "*.json", "*.txt", "*.model"]
_UNWANTED = ["onnx/*", "openvino/*", "coreml/*", "*.tflite"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REFERENCE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[\w./+-]+)")


def snapshot(reference: str, endpoint: str | None = None) -> Path:
    """The folder of ``<org>/<name>@<revision>``. Raises Misuse for a branch or no revision, Fatal where the files
    cannot be had.
    """
    parsed = _REFERENCE.fullmatch(reference)
    if parsed is None:
        raise Misuse(
            f"[encoding] model = 'hub:{reference}' pins no revision; write hub:<org>/<name>@<revision> with a commit "
            "or a tag."
        )
    repository, revision = parsed["repository"], parsed["revision"]
    try:
        if not _COMMIT.fullmatch(revision) and not is_offline_mode():
            _refuse_branch(repository, revision, endpoint)
        return _download(repository, revision, endpoint, offline=is_offline_mode())
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise Fatal(
            f"The model hub knows no {repository} at {revision}, or this account may not read it; correct [encoding] "
            "model, or log in with a token."
        ) from error
    except EmbedstreamError:
        raise
    except Exception:  # noqa: BLE001 - not reached, or not well: which transport the client uses is its own affair
        return _download_before(repository, revision, endpoint)


def _refuse_branch(repository: str, revision: str, endpoint: str | None) -> None:
    refs = HfApi(endpoint=endpoint).list_repo_refs(repository)
    if any(tag.name == revision for tag in refs.tags):
        return
    for branch in refs.branches:
        if branch.name == revision:
            raise Misuse(
                f"{revision} is a branch of {repository} and moves; pin its present commit: "
                f"hub:{repository}@{branch.target_commit}."
            )


def _download_before(repository: str, revision: str, endpoint: str | None) -> Path:
    """A snapshot fetched before."""
    try:
        return _download(repository, revision, endpoint, offline=True)
    except errors.LocalEntryNotFoundError as error:
        raise Fatal(
            f"The model hub cannot be reached and {repository} at {revision} was not fetched before; connect this "
            "machine once, or copy the model here and use path:<folder>."
        ) from error


def _download(repository: str, revision: str, endpoint: str | None, *, offline: bool) -> Path:
    return Path(
        snapshot_download(
            repository,
            revision=revision,
            endpoint=endpoint,
            allow_patterns=_WANTED,
            ignore_patterns=_UNWANTED,
            local_files_only=offline,
        )
    )
