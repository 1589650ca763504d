"""Laws of Head: every angle has its own look, and the action says which way it turns."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from worldgan.envs import head
from worldgan.envs.head import ANGLES, Head


@pytest.fixture(scope="module")
def looks():
    return [Head().draw(angle) for angle in range(ANGLES)]


def pixels(frame, part):
    """x of the visible pixels of a part's colour."""
    return np.nonzero((frame == part.colour).all(-1))[1]


def test_every_angle_has_its_own_look(looks):
    for one, other in combinations(looks, 2):
        assert (np.abs(one.astype(int) - other).max(-1) >= 128).sum() >= 8


def test_frames_have_hard_edges(looks):
    flat = {head.BACKGROUND, *(part.colour for part in head.PARTS)}
    assert {tuple(pixel) for look in looks for pixel in np.unique(look.reshape(-1, 3), axis=0).tolist()} == flat


def test_the_other_way_round_is_the_mirror_image(looks):
    for angle in range(ANGLES):
        assert (looks[angle][:, ::-1] == looks[-angle % ANGLES]).all()


def test_parts_come_and_go(looks):
    ear, nose, eye = head.EARS[0], head.NOSE, head.EYES[0]
    front, right, back, left = looks[0], looks[4], looks[8], looks[12]
    both = [pixels(look, ear) for look in (front, back)]
    assert all((x < head.MIDDLE - 8).any() and (x > head.MIDDLE + 8).any() for x in both)
    for look in (right, left):  # one ear in the middle, the other hidden behind the skull
        assert np.ptp(pixels(look, ear)) <= 2 * ear.width
    assert pixels(right, nose).max() > head.MIDDLE + head.SKULL.width + 2
    assert pixels(left, nose).min() < head.MIDDLE - head.SKULL.width - 2
    assert pixels(back, nose).size == pixels(back, eye).size == 0
    assert pixels(front, eye).size > pixels(right, eye).size > 0


def test_the_action_reverses_the_odds():
    env = Head()
    for angle in range(ANGLES):
        odds = [{branch.state: branch.probability for branch in env.branches(angle, action)} for action in (0, 1)]
        assert odds[0] == {(angle + turn) % ANGLES: probability for turn, probability in head.TURNS}
        assert odds[1] == {(angle - turn) % ANGLES: probability for turn, probability in head.TURNS}


def test_facing_the_viewer_pays():
    env = Head()
    assert {branch.state: branch.reward for branch in env.branches(15, 0)} == {15: 0.0, 0: 1.0, 1: 0.0, 14: 0.0}
