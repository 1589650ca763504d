"""What this machine can do, and how much of it the models get.

GFLOP/s of convolutions and matmuls in the shapes of the default gan at 64x64 RGB; then simulation and training of every
family, and what share of the ceiling they reach: of the fastest of those convolutions, forward for simulation, forward
and backward for training. All in one run: shares can be compared between machines, frames per second cannot. Run alone
on the machine: ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from simulate import BATCHES, SPEC, build, gflop, pixels, speed, step
from torch import Tensor, nn

from worldgan.config import from_mapping
from worldgan.device import uses_bf16
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.models import FAMILIES
from worldgan.models.world import NextFrameModel
from worldgan.types import EnvSpec, Window

BATCH = 32
"""As training has by default."""
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
BUSIEST = {3: 8, 1: 4, 0: 3}
"""How many layers of each kernel are measured, those that compute most; see ``Layer``."""
GROWN = 10_000
"""Updates after which nothing warms up any more."""

Act = Callable[[], object]


class Layer(NamedTuple):
    """A convolution on a square grid, channels_last; with a kernel of 0, a matmul of as many rows as it has cells."""

    kernel: int
    stride: int
    inputs: int
    outputs: int
    side: int

    @classmethod
    def of(cls, module: nn.Conv2d | nn.Linear, seen: Tensor) -> Layer:
        if isinstance(module, nn.Linear):
            return cls(0, 1, module.in_features, module.out_features, 1)
        return cls(module.kernel_size[0], module.stride[0], module.in_channels, module.out_channels, seen.shape[-1])

    def unfolded(self) -> Layer:
        """The matmul that a convolution of stride 1 is."""
        return Layer(0, 1, self.inputs * self.kernel**2, self.outputs, self.side)

    def __str__(self) -> str:
        if not self.kernel:
            return f"matmul, {BATCH * self.side**2} rows, {self.inputs} to {self.outputs}"
        name = f"convolution {self.kernel}x{self.kernel}, {self.side}x{self.side}, {self.inputs} to {self.outputs}"
        return f"{name}, stride {self.stride}" if self.stride > 1 else name

    def tensors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Input and weight, random."""
        if not self.kernel:
            rows = torch.randn(BATCH * self.side**2, self.inputs, dtype=dtype)
            return rows, torch.randn(self.outputs, self.inputs, dtype=dtype)
        x = torch.randn(BATCH, self.inputs, self.side, self.side, dtype=dtype)
        weight = torch.randn(self.outputs, self.inputs, self.kernel, self.kernel, dtype=dtype)
        return x.to(memory_format=torch.channels_last), weight.to(memory_format=torch.channels_last)

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, self.stride, self.kernel // 2) if self.kernel else F.linear(x, weight)


def forward(layer: Layer, dtype: torch.dtype) -> Act:
    return torch.inference_mode()(partial(layer, *layer.tensors(dtype)))


def backward(layer: Layer, dtype: torch.dtype) -> Act:
    """Forward, too."""
    x, weight = (each.requires_grad_() for each in layer.tensors(dtype))
    gradient = torch.randn_like(layer(x, weight))
    return lambda: torch.autograd.grad(layer(x, weight), (x, weight), gradient)


WAYS = {"forward": forward, "forward and backward": backward}


def layers() -> list[Layer]:
    """The busiest of the default gan, and the busiest of all as a matmul."""
    model, met = build("gan"), Counter[Layer]()
    for module in model.networks.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(lambda module, given: met.update([Layer.of(module, given[0])]))
    step(NextFrameModel(SPEC, model.context, model.networks, realism=True))  # the discriminator looks, too
    work = {layer: times * gflop(forward(layer, torch.float32)) for layer, times in met.items()}
    found = sorted(work, key=lambda layer: -work[layer])
    busiest = [layer for kernel, few in BUSIEST.items() for layer in [x for x in found if x.kernel == kernel][:few]]
    return [*busiest, found[0].unfolded()]


def seconds(act: Act, *, budget: float = 0.5) -> float:
    """Median of an act's repetitions, as many as ``budget`` seconds hold and at least three.

    The first, which compiles kernels and claims memory, does not count, unless it takes so long that it hardly matters.
    """
    first = _timed(act)
    if first > 20 * budget:
        return first
    found: list[float] = []
    while sum(found) < budget or len(found) < 3:
        found.append(_timed(act))
    return statistics.median(found)


def _timed(act: Act) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def machine() -> dict[str, dict[str, float]]:
    """GFLOP/s of every layer, printed as they are found."""
    columns = {f"{precision} {way}": (way, dtype) for way in WAYS for precision, dtype in PRECISIONS.items()}
    print(f"| GFLOP/s, batch {BATCH} |", " | ".join(columns), "|")
    print("| --- |", " | ".join("---:" for _ in columns), "|")
    found = {}
    for layer in layers():
        acts = {name: WAYS[way](layer, dtype) for name, (way, dtype) in columns.items()}
        found[str(layer)] = rates = {name: round(gflop(act) / seconds(act), 1) for name, act in acts.items()}
        print(f"| {layer} |", " | ".join(f"{rate:,.0f}" for rate in rates.values()), "|", flush=True)
    return found


def ceiling(found: Mapping[str, Mapping[str, float]], way: str) -> float:
    """GFLOP/s of the fastest convolution in the precision that models use."""
    column = f"{'bf16' if uses_bf16('auto') else 'fp32'} {way}"
    return max(rates[column] for layer, rates in found.items() if layer.startswith("convolution"))


def update(family: str, spec: EnvSpec = SPEC, *, batch: int = BATCH, **backbone: int) -> Act:
    """An update by one predicted step, past all warm-up, of the model that ``build`` builds."""
    config = from_mapping(FAMILIES[family].config, {"backbone": backbone})
    learner: Any = FAMILIES[family].learner(spec, config, 0)
    learner.updates = GROWN
    context = config.backbone.context
    window = Window(
        frames=pixels(spec, batch, context + 1),
        actions=torch.zeros(batch, context, spec.actions.size),
        rewards=torch.zeros(batch, context),
        terminated=torch.zeros(batch, context, dtype=torch.bool),
        valid=torch.ones(batch, context, dtype=torch.bool),
        context=context,
    )
    return partial(learner.update, window)


def modelled(family: str, ceilings: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Simulation and training, printed as they are found."""
    model, found = build(family), {}

    def add(what: str, cost: float, rate: float, top: float) -> None:
        share = cost * rate / top
        found[what] = {"gflop_per_frame": round(cost, 3), "frames_per_second": round(rate, 1), "share": round(share, 3)}
        print(f"| {family}, {what} | {cost:.3f} | {rate:,.0f} | {share:.1%} |", flush=True)

    cost, act = gflop(partial(step, model)), update(family)
    for batch in BATCHES:
        add(f"simulation, batch {batch}", cost, speed(model, batch), ceilings["forward"])
    rate = BATCH / seconds(act, budget=3.0)
    add(f"training, batch {BATCH}", gflop(act) / BATCH, rate, ceilings["forward and backward"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--out", type=Path, default=Path("docs/results/roofline.json"))
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    found = machine()
    ceilings = {way: ceiling(found, way) for way in WAYS}
    print("\nCeilings: " + ", ".join(f"{rate:,.0f} GFLOP/s {way}" for way, rate in ceilings.items()) + "\n")
    print("| model | GFLOP a frame | frames/s | of the ceiling |\n| --- | ---: | ---: | ---: |", flush=True)
    models = {family: modelled(family, ceilings) for family in options.families}
    about = {"threads": options.threads, "precision": "bf16" if uses_bf16("auto") else "fp32"}
    results = about | {"machine": found, "ceilings": ceilings, "models": models}
    atomic_write(options.out, json.dumps(results, indent=2).encode())


if __name__ == "__main__":
    main()
