"""Where and how exactly to compute: on the CPU, or on a GPU that torch reaches by CUDA, in float32 or in bfloat16.

Both are chosen here; all else follows its inputs. Chance stays where it was: numbers are drawn on the CPU, in the
same order, and moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from worldgan.errors import WorldganError, unknown

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
"""What can be asked for; "auto" is "cuda" where torch finds it."""
Precision = Literal["auto", "fp32", "bf16"]
"""What can be asked for; "auto" is "bf16" where it is fast."""


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


def uses_bf16(precision: Precision, kind: str = "cpu") -> bool:
    """Whether to compute in bfloat16; "auto" does where the device, cpu or cuda, has instructions for it."""
    import torch

    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return precision == "bf16" or (precision == "auto" and fast)
