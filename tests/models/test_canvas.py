"""What is known exactly is shown exactly, and nothing small is held back."""

from __future__ import annotations

import torch

from worldgan.models.canvas import CLOSE, Canvas, settled

CELL, GRID = 4, (3, 5)


def flat(*colour: float) -> torch.Tensor:
    """Patches [1, C p p, h, w] of one colour."""
    return torch.tensor(colour).repeat_interleave(CELL)[None, :, None, None].expand(1, -1, *GRID).contiguous()


def test_a_pixel_close_to_what_is_known_shows_it() -> None:
    ground, last = flat(0.0, 0.0), flat(0.5, 0.5)
    for drawn, shown in [
        (flat(0.9 * CLOSE, -0.9 * CLOSE), ground),
        (flat(0.5, 0.5 - 0.9 * CLOSE), last),
        (flat(0.0, 0.5), None),  # each channel is that of another
        (flat(0.0, 1.1 * CLOSE), None),
    ]:
        assert torch.equal(settled(drawn, (ground, last), CELL), drawn if shown is None else shown)


def test_what_comes_first_is_shown_where_both_are_close() -> None:
    ground, last = flat(0.0), flat(0.5 * CLOSE)
    assert torch.equal(settled(flat(0.4 * CLOSE), (ground, last), CELL), ground)


def test_pixels_settle_on_their_own() -> None:
    frame = torch.randn(2, 3 * CELL, *GRID)
    known = frame + 0.5 * CLOSE
    known[:, ::CELL] += 1  # one pixel of each patch differs
    shown = settled(frame, (known,), CELL)
    others = [i for i in range(3 * CELL) if i % CELL]
    assert torch.equal(shown[:, ::CELL], frame[:, ::CELL])
    assert torch.equal(shown[:, others], known[:, others])


def test_gradients_flow_from_where_it_came_to() -> None:
    frame = flat(0.5 * CLOSE).requires_grad_()
    (settled(frame, (flat(0.0),), CELL) - 1).square().sum().backward()
    assert torch.allclose(frame.grad, torch.full_like(frame, -2))


def canvas(touch: float = 0.0) -> Canvas:
    """One whose mask is shut and whose touch is the same everywhere."""
    made = Canvas(16, 1, CELL, kernel=1).eval()
    with torch.no_grad():
        colour, bare, mask, touched = made.out.weight.split(made.parts)
        for part, value in ((colour, 0.0), (bare, 0.0), (mask, -99.0), (touched, touch)):
            part.fill_(value)
    return made


def test_a_shut_mask_leaves_the_frame_as_it_was() -> None:
    last = 0.5 + torch.rand(2, CELL, *GRID)
    assert torch.equal(canvas(0.1 * CLOSE / 16)(torch.ones(2, 16, *GRID), last, torch.zeros(1, CELL, *GRID)), last)


def test_a_touch_gets_through_a_shut_mask() -> None:
    made, hidden, ground = canvas(), torch.ones(2, 16, *GRID), torch.zeros(1, CELL, *GRID)
    shown = made(hidden, torch.full((2, CELL, *GRID), 0.5), ground)
    (shown - 1).square().sum().backward()
    colour, _, _, touched = made.out.weight.grad.split(made.parts)
    assert touched.abs().min() > 100 * colour.abs().max()
    assert torch.allclose(canvas(0.5 / 16)(hidden, torch.zeros(2, CELL, *GRID), ground), torch.tensor(0.5))
