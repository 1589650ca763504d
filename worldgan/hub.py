"""Runs to and from the Hugging Face Hub, at ``HF_ENDPOINT`` if that is set.

A repository holds what simulates and nothing else: ``run.json``, two safetensors files and the model card. What comes
from strangers is read as JSON and safetensors alone, under fixed names and up to fixed sizes, and checked before it
gets its place.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any

from worldgan.card import card
from worldgan.config import to_mapping
from worldgan.errors import WorldganError, extra
from worldgan.files import replacing, sole_writer
from worldgan.training.checkpoint import Run

FILES = {"weights.safetensors": 4 << 30, "starts.safetensors": 1 << 30, "run.json": 1 << 20}
"""What is pulled -> its largest size in bytes. ``run.json`` comes last: it is what makes a folder a run."""

PARTIAL = ".pull-"


def push(run: str | Path, repo: str, *, private: bool = False) -> str:
    """Upload a run to the model repository ``repo`` (user/name), which is made if need be; returns its address.

    Neither the state of the optimiser nor logs go along, and of the path of the data set only its name. README.md in
    the run's folder becomes the model card; without one, a card is written if the repository has none.
    private: of a repository that is made.
    Raises WorldganError for an incomplete run, a missing extra, or what the Hub answers.
    """
    found, api = Run(run), _api()
    info, text = found.info(), card(found, repo)
    public = replace(info, data=Path(info.data).name)
    contents: dict[str, Any] = {name: str(found.path / name) for name in FILES}
    contents["run.json"] = json.dumps(to_mapping(public), indent=2).encode()
    own = found.path / "README.md"
    with extra("hub"):
        from huggingface_hub import CommitOperationAdd
    with _answers(f"push to {repo}", api):
        api.create_repo(repo, private=private, exist_ok=True)
        if own.is_file() or not api.file_exists(repo, "README.md"):
            contents["README.md"] = str(own) if own.is_file() else text.encode()
        operations = [CommitOperationAdd(name, content) for name, content in contents.items()]
        api.create_commit(repo, operations, commit_message=f"worldgan: {info.family} of {info.spec.id}")
    return f"{api.endpoint}/{repo}"


def pull(repo: str, out: str | Path, *, revision: str = "main") -> Path:
    """Download the run in the model repository ``repo`` into the new or empty folder ``out``; returns ``out``.

    revision: a branch, tag or commit.    It can be loaded and evaluated, not trained further.
    Raises WorldganError for what the Hub answers, a file that is too large, or files that are no run.
    """
    out, api = Path(out), _api()
    if out.exists() and (not out.is_dir() or any(not file.name.startswith(".") for file in out.iterdir())):
        raise WorldganError(f"expected a new or an empty folder, but {out} is not: choose another")
    with sole_writer(out), tempfile.TemporaryDirectory(dir=out, prefix=PARTIAL) as folder:
        for leftover in out.glob(f"{PARTIAL}*"):  # of a pull that was killed
            if leftover != Path(folder):
                shutil.rmtree(leftover)
        _download(api, repo, revision, Path(folder))
        _check(Run(folder), repo)
        for name in FILES:
            with replacing(out / name) as temporary:
                shutil.move(Path(folder) / name, temporary)
    return out


def _api() -> Any:
    # Else it asks huggingface.co, wherever the hub is, what to say of this process. Read when the package is imported.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with extra("hub"):
        from huggingface_hub import HfApi
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="worldgan")


def _download(api: Any, repo: str, revision: str, folder: Path) -> None:
    """All of ``FILES``, from one commit, none of which may claim to be too large."""
    from huggingface_hub import hf_hub_url

    with _answers(f"pull {repo}", api):
        for name, limit in FILES.items():
            url = hf_hub_url(repo, name, revision=revision, endpoint=api.endpoint)
            found = api.get_hf_file_metadata(url=url)
            revision = found.commit_hash or revision
            if found.size is None or found.size > limit:
                raise WorldganError(f"expected {name} of {repo} to have at most {limit:,} bytes, got {found.size}")
            api.hf_hub_download(repo, name, revision=revision, local_dir=folder)


def _check(run: Run, repo: str) -> None:
    """Raises WorldganError unless the files are a run that can be loaded."""
    try:
        model = run.model()
        height, width, channels = model.spec.frame
        for beginnings in (True, False):
            frames, actions = run.starts(beginnings=beginnings)
            shapes = (model.context, channels, height, width), (model.context - 1, model.spec.actions.size)
            if (frames.shape[1:], actions.shape[1:]) != shapes or len(frames) != len(actions) or not len(frames):
                raise ValueError("the start states are of another model")
    except (WorldganError, RuntimeError, ValueError, TypeError, ArithmeticError, AssertionError) as error:
        reason = str(error).replace(str(run.path), repo)
        raise WorldganError(f"{repo} holds no run that can be used: {shorten(reason, 300)}") from None


@contextmanager
def _answers(what: str, api: Any) -> Iterator[None]:
    """Turn what the Hub answers, or that it does not, into one line."""
    try:
        yield
    except WorldganError:
        raise
    except Exception as error:  # what a failed connection raises depends on the HTTP library under huggingface_hub
        cause = "" if error.__cause__ is None else f" {error.__cause__!r}"
        reason = shorten((str(error) or type(error).__name__) + cause, 300, placeholder="...")
        hint = "for what is yours, log in with `hf auth login` or set HF_TOKEN"
        raise WorldganError(f"cannot {what} at {api.endpoint} ({reason}): {hint}") from None
