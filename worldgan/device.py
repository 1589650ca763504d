"""Where to compute: on the CPU, or on a GPU that torch reaches by CUDA. It is chosen here; all else follows its inputs.

Chance stays where it was: numbers are drawn on the CPU, in the same order, and moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from worldgan.errors import WorldganError, unknown

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
"""What can be asked for; "auto" is "cuda" where torch finds it."""


def chosen(device: Device) -> torch.device:
    """The one that is meant; processes that train together share out the GPUs of their machine.

    Raises WorldganError for another name, and for "cuda" where torch finds none.
    """
    import torch  # here, since the simulator names devices and needs no torch for exported models

    from worldgan import parallel

    if device not in get_args(Device):
        raise unknown("device", device, get_args(Device))
    found = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not found:
        raise WorldganError("expected a GPU for device cuda, torch finds none: choose cpu, or install torch with CUDA")
    return torch.device("cuda", parallel.rank() % torch.cuda.device_count()) if found else torch.device("cpu")
