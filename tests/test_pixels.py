"""One pixel convention: conversions lose nothing, and resizing keeps what it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from worldgan import pixels

LEVELS = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_all_levels_survive_the_round_trip() -> None:
    floats = pixels.to_float(LEVELS)
    assert (floats.dtype, float(floats.min()), float(floats.max())) == (torch.float32, -1.0, 1.0)
    assert torch.equal(pixels.to_uint8(floats), LEVELS)


def test_conversions_leave_their_input_alone() -> None:
    before, floats = LEVELS.clone(), torch.linspace(-2, 2, 64).view(1, 8, 8)
    kept = floats.clone()
    pixels.to_float(LEVELS)
    pixels.to_uint8(floats)
    pixels.quantise(floats)
    assert torch.equal(LEVELS, before)
    assert torch.equal(floats, kept)


def test_quantise_is_the_round_trip_and_idempotent() -> None:
    frames = torch.linspace(-1.5, 1.5, 10_000).view(1, 100, 100)
    once = pixels.quantise(frames)
    assert torch.equal(once, pixels.to_float(pixels.to_uint8(frames)))
    assert torch.equal(pixels.quantise(once), once)
    assert (once - frames.clamp(-1, 1)).abs().max() <= 0.5 / 127.5 + 1e-6


@pytest.mark.parametrize("channels", [1, 3, 10])
def test_arrays_and_tensors_are_copies_of_each_other(channels: int) -> None:
    frames = noise(2, 5, 7, channels)
    frames.flags.writeable = False  # as decoded from a file; torch warns if it would share such memory
    tensor = pixels.to_tensor(frames)
    assert (tensor.shape, tensor.dtype) == ((2, channels, 5, 7), torch.uint8)
    assert tensor.is_contiguous()
    back = pixels.to_array(tensor)
    assert back.flags.c_contiguous
    assert np.array_equal(back, frames)
    tensor.zero_()
    assert frames.any()
    assert back.any()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 10])
def test_resize(channels: int) -> None:
    frame = noise(12, 8, channels)
    assert pixels.resize(frame, 12, 8) is frame
    large = pixels.resize(frame, 36, 16)
    assert np.array_equal(large, frame.repeat(3, 0).repeat(2, 1))
    assert np.array_equal(pixels.resize(large, 12, 8), frame)
    small = pixels.resize(frame, 6, 4)
    areas = frame.reshape(6, 2, 4, 2, channels).mean((1, 3))
    assert (small.shape, small.dtype) == ((6, 4, channels), np.uint8)
    assert np.abs(small - areas).max() <= 0.5
    assert pixels.resize(frame, 24, 5).shape == (24, 5, channels)  # one way up, the other down


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_resize_keeps_plain_frames_plain(channels: int) -> None:
    for value in (0, 77, 255):
        plain = np.full((9, 11, channels), value, np.uint8)
        assert (pixels.resize(plain, 4, 5) == value).all()
        assert (pixels.resize(plain, 40, 50) == value).all()


def test_a_single_pixel_is_still_seen_after_shrinking() -> None:
    frame = np.zeros((64, 64, 1), np.uint8)
    frame[17, 31] = 255
    assert pixels.resize(frame, 16, 16).max() > 0


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 10])
def test_any_frame_can_be_looked_at(channels: int) -> None:
    frames = noise(3, 5, 5, channels)
    looked = pixels.to_rgb(frames)
    assert (looked.shape, looked.dtype) == ((3, 5, 5, 3), np.uint8)
    assert not pixels.to_rgb(np.zeros_like(frames)).any()
    if channels == 3:
        assert np.array_equal(looked, frames)


def test_channels_are_told_apart_by_colour() -> None:
    layers = np.eye(10, dtype=np.uint8)[:, None, None] * np.uint8(255)  # one channel each
    colours = {tuple(colour) for colour in pixels.to_rgb(layers)[:, 0, 0].tolist()}
    assert len(colours) == 10
