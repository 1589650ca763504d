"""A run that was saved can be loaded; one that is damaged says so in a line, and never gives wrong numbers."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import alter, leaves, tiny

import worldgan
from worldgan.errors import WorldganError
from worldgan.models import FAMILIES
from worldgan.seeding import torch_rng
from worldgan.tensorfiles import read_state
from worldgan.training.checkpoint import Run, RunInfo
from worldgan.training.trainer import train
from worldgan.version import VERSION


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    return Run(shutil.copytree(finished.path, tmp_path / "run"))


def refusal(do: Callable[[], Any], match: str) -> None:
    with pytest.raises(WorldganError, match=match) as caught:
        do()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_what_was_written_is_read(run: Run) -> None:
    info, family = run.info(), FAMILIES[run.info().family]
    config = tiny(info.family).model_config()
    assert info == RunInfo(
        info.family, info.spec, info.model, info.training, info.data, progress=info.progress, version=VERSION
    )
    learner = family.learner(info.spec, config, 5)
    learner.load_state_dict(run.state()["learner"])
    assert same(learner.weights(), run.tensors("weights"))
    run.write_tensors("copy", run.tensors("weights"))
    assert same(run.tensors("copy"), run.tensors("weights"))


def test_odd_tensors_survive(tmp_path: Path) -> None:
    tensors = {
        "scalar": torch.tensor(1.5), "empty": torch.zeros(0, 3), "half": torch.randn(3).bfloat16(),
        "bool": torch.tensor([True, False]), "strided": torch.arange(24).view(2, 3, 4).permute(2, 0, 1),
        "channels": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }  # fmt: skip
    run = Run(tmp_path)
    run.write_tensors("odd", tensors)
    assert same(run.tensors("odd"), tensors)


def test_the_model_steps_as_the_learner_does(run: Run) -> None:
    info = run.info()
    learner = FAMILIES[info.family].learner(info.spec, tiny(info.family).model_config(), 0)
    learner.load_state_dict(run.state()["learner"])
    loaded, own = worldgan.load(run.path, precision="fp32"), learner.world_model()
    frames, actions = run.starts(beginnings=False)
    first = torch.zeros(len(frames), info.spec.actions.size)
    [a, _], [b, _] = (model.step(model.start(frames, actions), first, torch_rng(0)) for model in (loaded, own))
    assert torch.equal(a.frame, b.frame)
    assert torch.equal(a.reward, b.reward)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_realism_is_given_by_families_that_judge(run: Run, precision: Any) -> None:
    model = run.model(precision=precision, realism=True)
    frames, actions = run.starts(beginnings=True)
    prediction, _ = model.step(model.start(frames, actions), torch.zeros(len(frames), 5), torch_rng(0))
    assert (prediction.realism is not None) == (run.info().family == "gan")
    assert prediction.frame.dtype == torch.float32


def test_start_states_are_of_the_data(run: Run) -> None:
    for beginnings in (True, False):
        frames, actions = run.starts(beginnings=beginnings)
        assert (frames.shape, frames.dtype) == ((8, 2, 3, 8, 8), torch.uint8)
        assert actions.shape == (8, 1, 5)
        assert (frames.flatten(2).sum(2) == 3 * 255).all()  # one dot each
    assert not run.starts(beginnings=True)[1].any()
    run.write_tensors("starts", {"x": torch.zeros(1)})
    refusal(lambda: run.starts(beginnings=True), r"expected start states in .*starts\.safetensors")


@pytest.mark.parametrize("name", ["weights.safetensors", "starts.safetensors", "state.pt"])
def test_any_damage_is_an_error_or_harmless(run: Run, name: str) -> None:
    file = run.path / name
    read = run.state if name == "state.pt" else lambda: run.tensors(file.stem)
    data, rng = file.read_bytes(), np.random.default_rng(0)
    truth = pickle.dumps(flat_bytes(read()))
    errors, flips = [], []
    for place in [*rng.integers(200, size=15), *rng.integers(len(data), size=25), len(data) - 5]:
        flips.append(data[:place] + bytes([data[place] ^ (1 << int(rng.integers(8)))]) + data[place + 1 :])
    cuts = [data[:length] for length in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1)]
    for wrong in [*cuts, *flips, data + b"x" * 9, b"foreign" * 1000]:
        file.write_bytes(wrong)
        try:
            found = read()
        except WorldganError as error:
            errors.append(str(error))
        else:
            assert pickle.dumps(flat_bytes(found)) == truth
    assert len(errors) > 30
    assert all(f"{file} is damaged" in error and "\n" not in error for error in errors)
    file.unlink()
    refusal(read, f"expected .*{name}.*, found none|expected .*{name} to resume from, found none")


def flat_bytes(value: Any) -> Any:
    """Nested state with tensors as bytes, to be compared whole."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {str(key): flat_bytes(value[key]) for key in sorted(value, key=str)}
    return [flat_bytes(item) for item in value] if isinstance(value, list | tuple) else value


FOREIGN = [
    b"", b"{", b"[]", b"{}", b"3", b"\xff\xfe\x00", b'{"name": "web-page", "version": "1.0"}', b'{"format": 2}',
    b'{"format": 2, "family": []}', b'{"format": 1, "family": "gan"}', b'{"format": 2, "family": "gan"}',
    b'{"format": 2, "family": "gan", "spec": 3, "model": {}, "training": {}, "data": ""}',
]  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN, ids=lambda text: repr(text)[:60])
def test_a_foreign_description_is_one_line(run: Run, data: Path, text: bytes) -> None:
    (run.path / "run.json").write_bytes(text)
    refusal(run.model, r"run\.json")
    refusal(lambda: train(data, tiny("gan", "training.steps=2"), run.path, resume=True), r"run\.json")
    assert (run.path / "run.json").read_bytes() == text


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("spec", "frame"), [8, 8], "spec.frame"),
        (("spec", "actions", "kind"), "discreet", "did you mean 'discrete'"),
        (("model", "codez"), 3, "codez"),
        (("family",), "gna", "a family of gan, mse"),
        (("format",), 99, "got 99"),
    ],
)
def test_an_altered_description_is_one_line(run: Run, path: tuple[str, ...], value: Any, message: str) -> None:
    alter(run.path / "run.json", value, *path)
    refusal(run.model, message)


@pytest.mark.parametrize("version", ["0.0.9", None])
def test_a_run_of_another_version_says_so(run: Run, data: Path, version: str | None) -> None:
    """Wherever its config has a key that is no more."""
    family, kept = run.info().family, (run.path / "run.json").read_bytes()
    assert run.info().version == VERSION
    again = lambda: train(data, tiny(family, "training.steps=3"), run.path, resume=True)  # noqa: E731
    for path in (("model", "critic"), ("model", "backbone", "depth_of_old"), ("training", "pace"), ("mood",)):
        (run.path / "run.json").write_bytes(kept)
        alter(run.path / "run.json", version, "version")
        alter(run.path / "run.json", 3, *path)
        if version is None:
            remove(run.path / "run.json", "version")
        match = f"another version .*{version or 'does not say'}.*{VERSION}.*'{'.'.join(path)}'.*install that version"
        refusal(again, match)
        if path[0] != "training":  # which simulating does not need
            refusal(run.model, match)


def remove(file: Path, key: str) -> None:
    whole = json.loads(file.read_text())
    del whole[key]
    file.write_text(json.dumps(whole))


def test_a_full_disk_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before, state = (run.path / "state.pt").read_bytes(), run.state()

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    refusal(lambda: run.write_state(state), r"cannot write .*state\.pt: No space left")
    assert (run.path / "state.pt").read_bytes() == before


def test_a_model_that_weights_do_not_have_takes_no_memory(run: Run) -> None:
    alter(run.path / "run.json", 2**40, "model", "outcome_width")
    refusal(run.model, r"does not fit run\.json")
    run.write_tensors("weights", {})
    refusal(run.model, r"does not fit run\.json")


SIZES = {
    *("context", "width", "outcome_width", "posterior_width", "events", "kinds", "favourites", "latents", "choices"),
    *("motions", "reach", "steps", "rounds"),
}
"""Integers of models' configs on which networks, or the time that a frame takes, depend."""


def test_a_model_that_was_trained_for_long_is_loaded(run: Run) -> None:
    """Whatever else counts something may be as large as one likes."""
    others = [path for path, value in leaves(tiny(run.info().family).model_config()).items() if type(value) is int]
    others = [path for path in others if path.split(".")[-1] not in SIZES]
    assert others
    for path in others:
        alter(run.path / "run.json", 10**6, "model", *path.split("."))
    run.model()


def test_the_version_is_the_distributions() -> None:
    project = tomllib.loads((Path(worldgan.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert worldgan.__version__ == VERSION == project["version"]


def test_nothing_there_is_one_line(tmp_path: Path) -> None:
    refusal(Run(tmp_path).model, "found no run.json: train one first")
    refusal(lambda: worldgan.load(tmp_path / "none"), "found no run.json: train one first")


def test_files_of_another_run_do_not_fit(run: Run, data: Path, tmp_path: Path) -> None:
    family = run.info().family
    wider = train(data, tiny(family, "model.outcome_width=32", "training.steps=1"), tmp_path / "wider")
    for name in ("weights.safetensors", "state.pt"):
        shutil.copy(wider.path / name, run.path / name)
    refusal(run.model, r"weights\.safetensors does not fit run\.json")
    again = lambda: train(data, tiny(family, "training.steps=2"), run.path, resume=True)  # noqa: E731
    refusal(again, r"state\.pt does not fit run\.json")
    torch.save({"someone": "else's"}, run.path / "state.pt")
    refusal(again, r"state\.pt does not fit run\.json")


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_runs_no_code(run: Run, data: Path, tmp_path: Path, zipped: bool) -> None:
    state = run.state() | {"extra": Bomb(tmp_path / "boom")}
    torch.save(state, run.path / "state.pt", _use_new_zipfile_serialization=zipped)
    refusal(run.state, r"state\.pt is damaged")
    again = lambda: train(data, tiny(run.info().family, "training.steps=3"), run.path, resume=True)  # noqa: E731
    refusal(again, r"state\.pt is damaged")
    assert not (tmp_path / "boom").exists()


def test_a_long_text_in_a_state_is_refused_before_torch_searches_it(tmp_path: Path) -> None:
    torch.save({"a" * 1_000_000: 1}, tmp_path / "state.pt")
    with pytest.raises(WorldganError, match=r"state\.pt is damaged \(a text of 1000000 characters\)"):
        read_state(tmp_path / "state.pt")


def test_weights_without_a_checksum_are_read(run: Run) -> None:
    from safetensors.torch import save_file

    weights = run.tensors("weights")
    save_file(weights, run.path / "weights.safetensors")
    assert same(run.tensors("weights"), weights)
    run.model()
