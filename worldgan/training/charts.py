"""How TensorBoard lays out the curves of a run under Custom Scalars: titles say which values are trouble."""

from __future__ import annotations

from worldgan.training.checkup import COLLAPSED, DEAF, STILL
from worldgan.training.pulse import CONTENT, EXPLODED, RISEN, VANISHED

CHARTS = {
    "Error": {
        "Of a step (copying the last frame: 1)": ["train/reconstruction"],
        "Of rollouts, steps 1, 5, 15 (copying: 1)": ["val/error_to_copy_last/h"],
        "Of rewards and ends": ["train/outcome"],
    },
    "Health (in brackets: trouble)": {
        f"Error to its own best (above {RISEN:g})": ["health/error_to_best"],
        f"Gradient to its usual (below {VANISHED:g}, above {EXPLODED:g})": ["health/gradient_to_usual"],
        "Frames that the discriminator tells apart (half)": ["health/told_apart"],
        f"What is left for it to learn (below {CONTENT:g})": ["health/eagerness"],
        f"Spread of samples to their error (below {COLLAPSED:g})": ["health/spread"],
        f"Motion of rollouts to real (below {STILL:g})": ["health/motion"],
        f"What another action changes (below {DEAF:g})": ["health/obedience"],
    },
}
"""Heading -> title -> what tags begin with."""
