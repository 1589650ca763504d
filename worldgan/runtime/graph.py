"""One simulator step as an ONNX graph: history, action and noise in; frame, reward, termination and codes out."""

from __future__ import annotations

import copy
import io
import json
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from worldgan.config import to_mapping
from worldgan.errors import WorldganError, extra
from worldgan.files import replacing
from worldgan.models.chance import BEAM
from worldgan.models.world import CodePredictor, Networks, NoisePredictor
from worldgan.pixels import to_float, to_uint8
from worldgan.runtime.proto import part
from worldgan.runtime.session import INPUTS, KEY, OUTPUTS, Card
from worldgan.types import EnvSpec
from worldgan.version import VERSION

OPSET = 17


class StepGraph(nn.Module):
    """``NextFrameModel.step`` without state."""

    def __init__(self, family: str, spec: EnvSpec, context: int, networks: Networks) -> None:
        """Raises WorldganError for a predictor that is no ``NoisePredictor``."""
        super().__init__()
        self.networks = networks
        if not isinstance(networks.predictor, NoisePredictor):
            raise WorldganError(f"family {family} cannot be exported: its samples are no function of given noise")
        self.predictor: NoisePredictor = networks.predictor
        listed = BEAM if isinstance(self.predictor, CodePredictor) else 0
        self.card = Card(family, spec, context, self.predictor.chances, VERSION, listed)
        self.eval()  # all of it: torch's exporter puts everything back to the mode of the whole

    def forward(self, frames: Tensor, actions: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """See ``Session.step`` and, where codes are listed, ``Session.likeliest``."""
        frame = to_uint8(self.draw(frames, actions, noise))
        step = (frame, *self.judge(frames, actions, frame))
        return (*step, *self.likeliest(frames, actions)) if self.card.listed else step

    def draw(self, frames: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
        """The next frame before it is rounded to the 256 levels, float [B, C, H, W]."""
        return self.predictor.sample_from(to_float(frames), actions, noise)

    def judge(self, frames: Tensor, actions: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Expected reward [B] and probability of termination [B] if uint8 ``frame`` follows."""
        return self.networks.outcome.predict(to_float(frames), actions, to_float(frame))

    def likeliest(self, frames: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """See ``CodePredictor``; only where codes are listed."""
        assert isinstance(self.predictor, CodePredictor)
        return self.predictor.likeliest(to_float(frames), actions, self.card.listed)


def stepping(graph: StepGraph) -> StepGraph:
    """The same for those who only step, to whom the list of codes would cost time."""
    only = copy.copy(graph)
    only.card = replace(graph.card, listed=0)
    return only


def write(graph: StepGraph, path: Path) -> None:
    """Write the ``.onnx`` file, float32, batch axis open, with its card. Raises WorldganError without the extra."""
    with extra("onnx"):
        import onnx
    with replacing(path) as temporary:
        model = onnx.load_from_string(traced(graph))
        if not graph.card.chances:  # a trace forgets inputs that nothing reads
            kind = onnx.TensorProto.FLOAT
            model.graph.input.append(onnx.helper.make_tensor_value_info("noise", kind, ["batch", 0]))
        onnx.helper.set_model_props(model, _signed(graph.card))
        model.producer_name, model.producer_version = "worldgan", VERSION
        onnx.checker.check_model(model)
        onnx.save(model, temporary)


def without_codes(data: bytes, card: Card) -> bytes:
    """The file of ``card`` as that of ``stepping`` would be."""
    with extra("onnx"):
        import onnx
    model = onnx.ModelProto.FromString(part(data, Path("model.onnx"), INPUTS, OUTPUTS))
    onnx.helper.set_model_props(model, _signed(replace(card, listed=0)))
    reduced: bytes = model.SerializeToString()
    return reduced


def _signed(card: Card) -> dict[str, str]:
    return {KEY: json.dumps(to_mapping(card))}


def traced(graph: StepGraph) -> bytes:
    """In ONNX's format, without the card. Raises WorldganError without the extra.

    By torch's TorchScript exporter: in a second, where the newer takes half a minute for no faster a graph.
    """
    with extra("onnx"):
        import onnx  # noqa: F401  # which torch asks for
    shapes = graph.card.shapes()
    # Two rows, since a trace of one would take the batch for an axis to broadcast along.
    example = [torch.zeros(2, *shapes[name][1]) for name in INPUTS]
    example[0], written = example[0].byte(), io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # That it is the older exporter, that torch's group_norm asks for sizes while it is traced, and that some
        # constants stay computed.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            graph,
            tuple(example),
            written,  # type: ignore[arg-type]  # it writes to open files, too
            input_names=list(INPUTS),
            output_names=list(graph.card.outputs),
            dynamic_axes={name: {0: "batch"} for name in (*INPUTS, *graph.card.outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    return written.getvalue()
