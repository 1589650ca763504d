"""What is pushed and pulled simulates the same; nothing private goes along, and nothing harmful comes back."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hub_stub import COMMIT, Hub
from tiny import alter, tiny

import worldgan
from worldgan import cli
from worldgan.card import card
from worldgan.config import to_mapping
from worldgan.errors import WorldganError
from worldgan.hub import FILES, pull, push
from worldgan.training.checkpoint import Run

pytest.importorskip("huggingface_hub", reason="the extra is not installed")

# huggingface_hub 2.4 uploads by an argument that its HTTP library has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "someone/paddle-gan"


@pytest.fixture
def run(paddle_run: Run, tmp_path: Path) -> Run:
    return Run(shutil.copytree(paddle_run.path, tmp_path / "run"))


def said(do: Callable[[], Any]) -> str:
    with pytest.raises(WorldganError) as caught:
        do()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


def test_what_was_pushed_is_pulled(hub: Hub, run: Run, tmp_path: Path) -> None:
    assert push(run.path, REPO) == f"{hub.endpoint}/{REPO}"
    assert hub.repos[REPO].keys() == {*FILES, "README.md"}
    assert hub.tokens == {"Bearer hf_mine"}
    out = pull(REPO, tmp_path / "out")
    assert {path.name for path in out.iterdir()} == {*FILES, ".lock"}
    for name in ("weights.safetensors", "starts.safetensors"):
        assert (out / name).read_bytes() == (run.path / name).read_bytes()
    frames, actions = run.starts(beginnings=True)
    steps = [
        model.step(model.start(frames[:2], actions[:2]), torch.zeros(2, model.spec.actions.size), torch.Generator())[0]
        for model in (worldgan.load(run.path), worldgan.load(out))
    ]
    assert torch.equal(steps[0].frame, steps[1].frame)
    assert said(lambda: Run(out).state()).startswith(f"expected {out}/state.pt to resume from")


def test_no_path_of_this_machine_goes_along(hub: Hub, run: Run, tmp_path: Path) -> None:
    assert str(Path(run.info().data).parent) in (run.path / "run.json").read_text()
    push(run.path, REPO)
    for content in hub.repos[REPO].values():
        assert str(tmp_path).encode() not in content
        assert str(Path(run.info().data).parent).encode() not in content
    assert json.loads(hub.repos[REPO]["run.json"])["data"] == "data"


def test_a_card_is_written_once_and_ones_own_wins(hub: Hub, run: Run) -> None:
    push(run.path, REPO)
    hub.repos[REPO]["README.md"] += b"edited there"
    push(run.path, REPO)
    assert hub.repos[REPO]["README.md"].endswith(b"edited there")
    (run.path / "README.md").write_text("---\nlibrary_name: worldgan\n---\nedited here")
    push(run.path, REPO)
    assert hub.repos[REPO]["README.md"].endswith(b"edited here")


def test_privacy_is_asked_for(hub: Hub, run: Run) -> None:
    push(run.path, REPO)
    push(run.path, "someone/secret", private=True)
    assert hub.private == {"someone/secret"}


def test_all_files_are_of_one_commit(hub: Hub, run: Run, tmp_path: Path) -> None:
    push(run.path, REPO)
    pull(REPO, tmp_path / "out")
    asked = [line.split("/")[4] for line in hub.seen if "/resolve/" in line and "README" not in line]
    assert asked[0] == "main"
    assert {*asked[1:]} == {COMMIT}


def test_a_full_folder_is_left_alone(hub: Hub, run: Run, tmp_path: Path) -> None:
    push(run.path, REPO)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    seen = len(hub.seen)
    assert "choose another" in said(lambda: pull(REPO, tmp_path / "mine"))
    assert "choose another" in said(lambda: pull(REPO, run.path))
    assert len(hub.seen) == seen


def test_what_a_killed_pull_left_is_cleared(hub: Hub, run: Run, tmp_path: Path) -> None:
    push(run.path, REPO)
    (tmp_path / "out" / ".pull-abc").mkdir(parents=True)
    assert {path.name for path in pull(REPO, tmp_path / "out").iterdir()} == {*FILES, ".lock"}


def widen(run: Run) -> None:
    """Ask for networks of terabytes."""
    alter(run.path / "run.json", 1 << 24, "model", "backbone", "width")


def bomb(run: Run) -> None:
    (run.path / "run.json").write_text("[" * 100_000)


def negative(run: Run) -> None:
    alter(run.path / "run.json", -1, "model", "backbone", "width")


def other_frames(run: Run) -> None:
    run.write_tensors("starts", {name: tensor[:, :, ..., :8] for name, tensor in run.tensors("starts").items()})


def no_starts(run: Run) -> None:
    run.write_tensors("starts", {name: tensor[:0] for name, tensor in run.tensors("starts").items()})


def pickled(run: Run) -> None:
    torch.save({"a": torch.zeros(1)}, run.path / "weights.safetensors")


@pytest.mark.parametrize("harm", [widen, bomb, negative, other_frames, no_starts, pickled])
def test_files_that_are_no_run_are_refused(harm: Callable[[Run], None], hub: Hub, run: Run, tmp_path: Path) -> None:
    push(run.path, REPO)
    harm(run)
    hub.repos[REPO] = {name: (run.path / name).read_bytes() for name in FILES}
    assert said(lambda: pull(REPO, tmp_path / "out")).startswith(f"{REPO} holds no run that can be used: ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_what_run_json_declares_takes_no_memory(hub: Hub, run: Run, tmp_path: Path) -> None:
    """A list of two million noise levels would be made for networks that take none themselves."""
    push(run.path, REPO)
    model = to_mapping(tiny("diffusion").model_config()) | {"steps": 2**21}
    hub.repos[REPO]["run.json"] = json.dumps(to_mapping(replace(run.info(), family="diffusion", model=model))).encode()
    tracemalloc.start()
    try:
        assert "does not fit run.json" in said(lambda: pull(REPO, tmp_path / "out"))
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_too_large_are_not_downloaded(name: str, hub: Hub, run: Run, tmp_path: Path) -> None:
    push(run.path, REPO)
    hub.claims[name] = FILES[name] + 1
    assert f"expected {name} of {REPO} to have at most" in said(lambda: pull(REPO, tmp_path / "out"))
    assert not any(line.startswith("GET") and line.endswith(name) for line in hub.seen)


def test_what_the_hub_refuses_is_one_line(hub: Hub, run: Run, tmp_path: Path) -> None:
    line = said(lambda: pull("someone/nothing", tmp_path / "a"))
    assert line.startswith(f"cannot pull someone/nothing at {hub.endpoint} (")
    hub.repos[REPO] = {}
    assert "cannot pull" in said(lambda: pull(REPO, tmp_path / "b"))
    assert "cannot push" in said(lambda: push(run.path, "a/b/c"))
    hub.closed = True
    assert "hf auth login" in said(lambda: push(run.path, REPO))


def test_no_hub_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot push to someone/paddle-gan at http://127.0.0.1:9" in said(lambda: push(run.path, REPO))


def test_an_unfinished_run_is_not_pushed(hub: Hub, run: Run) -> None:
    (run.path / "weights.safetensors").unlink()
    assert "there is no checkpoint yet" in said(lambda: push(run.path, REPO))
    assert hub.seen == []


def test_the_command_line(hub: Hub, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["push", str(run.path), REPO]) == 0
    assert cli.main(["pull", REPO, str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"run at {hub.endpoint}/{REPO}\nrun at {tmp_path}/out\n"
    assert cli.main(["pull", "someone/nothing", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_card_says_what_the_run_is(run: Run) -> None:
    text = card(run, REPO)
    _, front, body = text.split("---\n", 2)
    metadata = yaml.safe_load(front)
    assert metadata["library_name"] == "worldgan"
    assert {"reinforcement-learning", "world-model"} <= {*metadata["tags"]}
    parameters = sum(tensor.numel() for tensor in run.tensors("weights").values())
    for word in (
        "worldgan/Paddle-v0",
        "| gan |",
        f"| {parameters:,} |",
        "32x32, 3 channels",
        "3 updates",
        "No evaluation",
    ):
        assert word in body
    assert str(run.path) not in text


def test_the_card_shows_the_evaluation(run: Run) -> None:
    names = ("psnr", "sharpness_gradient", "changed_pixel_error", "changed_pixel_error_best")
    curves = {name: [10.0 + step for step in range(6)] for name in names} | {"psnr": [31.25, *[None] * 5]}
    (run.path / "report").mkdir()
    (run.path / "report" / "metrics.json").write_text(json.dumps({"gan": curves}))
    assert "| gan | 31.25 |  |" in card(run, REPO)
    assert "| gan | 10.00 | 14.00 |" in card(run, REPO)
    (run.path / "report" / "metrics.json").write_text("[]")
    assert "No evaluation came with this run" in card(run, REPO)


def test_the_code_of_the_card_runs(hub: Hub, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    push(run.path, REPO)
    code = hub.repos[REPO]["README.md"].decode().split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["env"].reset(seed=0)[0].shape == (32, 32, 3)
