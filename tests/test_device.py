"""Where to compute, and that nothing forgets where its inputs are. What needs a GPU is skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import dot_spec, dot_window
from tiny import dot_store, tiny
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import worldgan
from worldgan.cli import main
from worldgan.device import chosen
from worldgan.errors import WorldganError
from worldgan.models import FAMILIES
from worldgan.models.learning import RolloutLearner
from worldgan.models.recover import RecoveringLearner
from worldgan.models.world import NextFrameModel
from worldgan.seeding import torch_rng
from worldgan.simulator import SimulatedVectorEnv
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

each = pytest.mark.parametrize("family", FAMILIES)
CPU, CUDA, META = torch.device("cpu"), torch.device("cuda"), torch.device("meta")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch reaches by CUDA")
Gpus = Callable[[int], None]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    """Lets torch find so many."""

    def found(count: int) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: count)

    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)


def learner(family: str, *settings: str) -> Any:
    return FAMILIES[family].learner(dot_spec(), tiny(family, *settings).model_config(), 0)


def test_auto_takes_a_gpu_where_there_is_one(gpus: Gpus) -> None:
    gpus(0)
    assert chosen("auto") == chosen("cpu") == CPU
    gpus(1)
    assert chosen("auto") == chosen("cuda") == torch.device("cuda", 0)
    assert chosen("cpu") == CPU


def test_processes_share_out_the_gpus(gpus: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(2)
    monkeypatch.setattr("worldgan.parallel.rank", lambda: 3)
    assert chosen("cuda") == torch.device("cuda", 1)


def test_a_gpu_that_is_not_there_is_said_before_anything_is_made(gpus: Gpus, paddle_run: Run, tmp_path: Path) -> None:
    gpus(0)
    data, out = dot_store(tmp_path / "data"), tmp_path / "run"
    asked: list[Callable[[], object]] = [
        lambda: worldgan.load(paddle_run.path, device="cuda"),
        lambda: SimulatedVectorEnv(paddle_run.path, device="cuda"),
        lambda: train(data, tiny("mse", "training.steps=1", "training.device=cuda"), out),
    ]
    for ask in asked:
        with pytest.raises(WorldganError, match="expected a GPU for device cuda, torch finds none: choose cpu"):
            ask()
    assert not out.exists()
    with pytest.raises(WorldganError, match="unknown device 'cud': did you mean 'cuda'"):
        worldgan.load(paddle_run.path, device="cud")


def test_exported_files_are_not_for_a_gpu() -> None:
    with pytest.raises(WorldganError, match="expected the folder of a run for device cuda"):
        worldgan.load("model.onnx", device="cuda")


LINES = (
    "imagine RUN --steps 1 --out out",
    "evaluate --runs RUN --data DATA --out out",
    "plan --model RUN --env worldgan/Paddle-v0 --out out",
    "dream RUN --steps 1 --out out",
    "collect --env worldgan/Paddle-v0 --steps 1 --policy RUN --out out",
    "play RUN --port 0",
)


@pytest.mark.parametrize("line", LINES)
def test_verbs_take_the_device(
    line: str, gpus: Gpus, paddle_data: Path, paddle_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    gpus(0)
    monkeypatch.chdir(tmp_path)
    here = {"RUN": str(paddle_run.path), "DATA": str(paddle_data)}
    assert main([*(here.get(word, word) for word in line.split()), "--device", "cuda"]) == 2
    assert "torch finds none" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_run_may_go_on_elsewhere(gpus: Gpus, tmp_path: Path) -> None:
    gpus(0)
    data, out = dot_store(tmp_path / "data"), tmp_path / "run"
    train(data, tiny("mse", "training.steps=1"), out)
    run = train(data, tiny("mse", "training.steps=2", "training.device=auto"), out, resume=True)
    assert run.info().progress["step"] == 2
    assert run.info().training["device"] == "auto"


def tensors(plain: Any) -> Iterator[Tensor]:
    """All in nested dicts, lists and dataclasses."""
    if isinstance(plain, Tensor):
        yield plain
    elif isinstance(plain, dict | list | tuple):
        for value in plain.values() if isinstance(plain, dict) else plain:
            yield from tensors(value)
    elif hasattr(plain, "__dataclass_fields__"):
        yield from tensors([getattr(plain, field.name) for field in fields(plain)])


def places(plain: Any) -> set[str]:
    return {tensor.device.type for tensor in tensors(plain)}


@each
def test_learners_and_windows_move_whole(family: str) -> None:
    made, window = RecoveringLearner(learner(family), dot_spec(), 0), dot_window(4, 2, horizon=1)
    made.to(META)
    state = made.state_dict()
    assert state.pop("generator").device == CPU  # chance stays
    assert places(state) == {"meta"}
    known = replace(window, action_known=window.valid, reward_known=window.valid, visible=window.frames > 0)
    assert places(known.to(META)) == {"meta"}


class Answers(TorchDispatchMode):
    """Says what a tensor without contents holds, wherever that is asked for: 1 for floats, else 0, all true."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.item.default}:
            return 1.0 if args[0].dtype.is_floating_point else 0
        if func is torch.ops.aten.nonzero.default:
            return torch.zeros(len(args[0]), args[0].ndim, dtype=torch.int64, device=args[0].device)
        return func(*args, **(kwargs or {}))


def pretend(made: RolloutLearner) -> None:
    """Have the learner elsewhere, inside of a FakeTensorMode. ``Module.to`` would make new parameters there."""
    moved = dict[int, Tensor]()
    for module in (*made.networks.modules(), *made.average.module.modules()):
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    there = torch.empty_like(tensor, device=META).requires_grad_(tensor.requires_grad)
                    moved[id(tensor)] = held[name] = there  # type: ignore[assignment]
    for optimiser in made.optimisers.values():
        optimiser.parameters[:] = [moved[id(parameter)] for parameter in optimiser.parameters]  # type: ignore[misc]
        optimiser.adam.param_groups[0] |= {"params": optimiser.parameters, "fused": False, "foreach": False}


GAN = (
    "model.explore=1", "model.adversary.warmup=0", "model.adversary.matching=1", "model.adversary.wrong_action=1",
    "model.adversary.classifier=1", "model.adversary.recogniser=1",
)  # fmt: skip
CASES = [
    *((family, GAN if family == "gan" else ()) for family in FAMILIES),
    ("gan", (*GAN, "model.backbone.kind=stacked", "model.adversary.regularity=interpolated")),
    ("gan", (*GAN, "model.backbone.kind=dcgan", "model.adversary.kind=dcgan", "model.adversary.regularity=spectral")),
]


@pytest.mark.parametrize(("family", "settings"), CASES)
def test_nothing_forgets_where_its_inputs_are(
    family: str, settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update and a step with tensors that have a shape, a type and a device, and nothing else: there torch's
    FakeTensorMode refuses operations between devices, as CUDA does. The meta device stands for the GPU, since a torch
    without CUDA differentiates nothing on "cuda"; it has no autocast.
    """
    monkeypatch.setattr("torch.autocast", lambda kind, **_: nullcontext())
    monkeypatch.setattr("torch.is_autocast_enabled", lambda kind: False)
    made, window, k = learner(family, "model.precision=fp32", *settings), dot_window(4, 2, horizon=1), 2
    window = replace(window, visible=window.frames[:, :, :1] >= 0)
    pretended = FakeTensorMode(allow_non_fake_inputs=True)
    with pretended, Answers(), torch.autograd.set_multithreading_enabled(False):  # threads would not know of the modes
        pretend(made)
        made.update(window.to(META))
        model = NextFrameModel(dot_spec(), k, made.average.module, realism=True, surprise=True)
        action, rng = window.actions[:, k - 1], torch_rng(0)
        state = model.start(window.frames[:, :k], window.actions[:, : k - 1])
        state = model.index(model.join([state, state]), torch.arange(4))
        prediction, after = model.step(state, action, rng)
        found = model.outcomes(state, action, 2, rng)
        after = model.push(after, action, found.frames[:, 0])
        assert places([made.weights(), after]) == {"meta"}
        assert places([prediction, found, model.frame(after)]) == {"cpu"}


@needs_gpu
@each
def test_a_gpu_learns_and_steps_as_the_cpu_does(family: str) -> None:
    window, metrics, weights, frames = dot_window(8, 2, horizon=2), [], [], []
    for device in (CPU, CUDA):
        made = learner(family, "model.precision=fp32")
        made.to(device)
        metrics.append(made.update(window.to(device)))
        weights.append({name: weight.cpu() for name, weight in made.weights().items()})
        model = made.world_model()
        state = model.start(window.frames[:, :2], window.actions[:, :1])
        frames.append(model.step(state, window.actions[:, 1], torch_rng(0))[0].frame)
    assert metrics[0] == pytest.approx(metrics[1], rel=0.02, abs=1e-3)
    torch.testing.assert_close(weights[0], weights[1], rtol=0.02, atol=1e-3)
    assert float((frames[0] - frames[1]).abs().mean()) < 0.01


@needs_gpu
def test_a_run_on_a_gpu_simulates_and_goes_on_anywhere(tmp_path: Path) -> None:
    data, out = dot_store(tmp_path / "data"), tmp_path / "run"
    train(data, tiny("gan", "training.steps=2", "training.device=cuda"), out)
    for device in ("cpu", "cuda"):
        envs = SimulatedVectorEnv(out, 4, device=device)  # type: ignore[arg-type]
        envs.reset(seed=0)
        envs.step(envs.action_space.sample())
    for steps, device in ((3, "cpu"), (4, "cuda")):
        settings = (f"training.steps={steps}", f"training.device={device}")
        assert train(data, tiny("gan", *settings), out, resume=True).info().progress["step"] == steps
