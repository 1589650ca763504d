"""Data sets to and from Minari, without loss: whole episodes of raw frames, rewards, ends and the env they are of.

Minari (https://minari.farama.org, 0.5.4) compresses images with JPEG unless told otherwise, which changes pixels by up
to 101 of 255, and reads whole episodes only. So it is for handing data over, not for training from.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from worldgan.actions import action_spec
from worldgan.config import from_mapping, to_mapping
from worldgan.data.store import EpisodeStore, writing
from worldgan.errors import WorldganError, extra, unknown
from worldgan.pixels import Frames, check_size, fit
from worldgan.progress import Report
from worldgan.types import EnvSpec, Episode

KEY, FORMAT = "worldgan", 1
SMALLEST = 8  # pixels; below it uint8 grids are codes, such as MiniGrid's 7x7x3, and no pictures


@dataclass(frozen=True)
class Origin:
    """What a store needs to know beside the episodes; kept in the metadata of a Minari data set under ``KEY``.

    indices: of the episodes in the store, in the order of Minari's.
    """

    spec: EnvSpec
    seed: int
    policy: str
    indices: tuple[int, ...]
    format: int = FORMAT


def export_minari(store: EpisodeStore, dataset_id: str, *, report: Report | None = None) -> Path:
    """Write all episodes of ``store`` as the Minari data set ``dataset_id``; returns its folder.

    It lies where Minari looks for it: in ``MINARI_DATASETS_PATH``, or ~/.minari/datasets. Frames are not compressed:
    (L + 1) H W C bytes an episode, one of which is in memory at a time.    report: gets the share done, 0 to 1.
    Raises WorldganError for an id that is malformed or taken, or a full disk; then nothing is left behind.
    """
    path = _folder(dataset_id)
    if path.exists():
        raise WorldganError(f"expected a new Minari id, but {path} exists: choose another, or delete that data set")
    try:
        _write(store, dataset_id, report)
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        raise WorldganError(f"cannot write {path}: {error.strerror or error}") from None
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return path


def import_minari(
    dataset_id: str, out: Path, *, key: str | None = None, size: int | None = None, report: Report | None = None
) -> EpisodeStore:
    """Make ``out`` the data set of all episodes of a Minari data set on this machine; again to go on after a kill.

    What ``export_minari`` wrote becomes what it was. Of others, the uint8 images become frames: observations
    [H, W] or [H, W, C], or an entry of dict observations.
    key: which entry, if several are images.    size: side of the square frames in pixels, as in ``pixels.fit``.
    report: gets the share done, 0 to 1.
    Raises WorldganError if there is no such data set, it is damaged, has no images, or actions that
    ``worldgan.actions`` cannot encode.
    """
    check_size(size)
    dataset = _load(dataset_id)
    kept = dataset.storage.metadata.get(KEY) if key is None and size is None else None
    origin, look = _foreign(dataset, key, size) if kept is None else (_origin(dataset, kept), np.asarray)
    with writing(out, origin.spec, seed=origin.seed, policy=origin.policy) as store:
        for done, index in enumerate(origin.indices):
            if index not in store:
                store.add(index, _episode(dataset, done, look))
            if report is not None:
                report((done + 1) / len(origin.indices))
    return store


def _write(store: EpisodeStore, dataset_id: str, report: Report | None) -> None:
    with extra("minari"):
        import minari
        from minari.data_collector import EpisodeBuffer

    def buffer(index: int) -> Any:
        episode = store.episode(index)
        last = np.arange(len(episode)) == len(episode) - 1
        return EpisodeBuffer(
            observations=episode.frames,
            actions=episode.actions,
            rewards=episode.rewards,
            terminations=last & episode.terminated,
            truncations=last & episode.truncated,
        )

    indices = store.indices()
    origin = Origin(store.spec, store.seed, store.policy, tuple(indices))
    with warnings.catch_warnings():  # about authors, links and scores that are not known here
        warnings.simplefilter("ignore", UserWarning)
        dataset = minari.create_dataset_from_buffers(
            dataset_id,
            [buffer(indices[0])],
            observation_space=spaces.Box(0, 255, store.spec.frame, np.uint8),
            action_space=store.spec.actions.space(),
            algorithm_name=store.policy,
            description=f"Frames of {store.spec.id}, collected with worldgan.",
            jpeg_encoding=False,
        )
    dataset.storage.update_metadata({KEY: to_mapping(origin)})
    for done, index in enumerate(indices[1:], 2):
        dataset.update_dataset_from_buffer([buffer(index)])
        if report is not None:
            report(done / len(indices))


def _folder(dataset_id: str) -> Path:
    """Where Minari keeps, or would keep, that data set."""
    with extra("minari"):
        from minari.dataset.minari_dataset import parse_dataset_id
        from minari.storage import get_dataset_path
    try:
        parse_dataset_id(dataset_id)
    except (ValueError, TypeError):  # TypeError: an id without a version
        raise WorldganError(f"expected a Minari id like breakout/random-v0, got {dataset_id!r}") from None
    return Path(get_dataset_path(dataset_id))


def _load(dataset_id: str) -> Any:
    folder = _folder(dataset_id) / "data"
    with extra("minari"):
        import minari
        from minari.dataset.minari_storage import MinariStorage
    if not folder.is_dir():
        raise WorldganError(
            f"expected the Minari data set {dataset_id} in {folder}, found none: download it with minari"
        )
    with _readable(dataset_id):
        # Without them Minari would make the env, that is, import whatever module the data set names.
        if not {"observation_space", "action_space"} <= MinariStorage.read_raw_metadata(folder).keys():
            raise WorldganError(f"expected the Minari data set {dataset_id} to state its spaces, and it does not")
        return minari.load_dataset(dataset_id)


@contextmanager
def _readable(dataset_id: str) -> Iterator[None]:
    """Turn what damaged or odd files make Minari raise into one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, IndexError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WorldganError(f"cannot read the Minari data set {dataset_id}: {reason}") from None


def _origin(dataset: Any, kept: Any) -> Origin:
    """What ``export_minari`` kept. Raises WorldganError if it is of another version, or was not finished."""
    found = kept.get("format") if isinstance(kept, dict) else kept
    if found != FORMAT:
        raise WorldganError(f"expected format {FORMAT} in the metadata of {dataset.id}, got {found!r}")
    origin = from_mapping(Origin, kept)
    if len(origin.indices) != dataset.total_episodes:
        counts = f"{len(origin.indices)} episodes in {dataset.id}, got {dataset.total_episodes}"
        raise WorldganError(f"expected {counts}: its export was cut short, export it again")
    return origin


def _foreign(dataset: Any, key: str | None, size: int | None) -> tuple[Origin, Callable[[Any], Frames]]:
    """What is known of a data set that another program wrote, and how to get frames [L + 1, H, W, C] from it."""
    key = _image_key(dataset.observation_space, key)
    space = dataset.observation_space if key is None else dataset.observation_space[key]

    def look(observations: Any) -> Frames:
        images = np.asarray(observations if key is None else observations[key], np.uint8)
        images = images[..., None] if len(space.shape) == 2 else images
        return np.stack([fit(image, size) for image in images])

    height, width, channels = look(_nothing(space, key)).shape[1:]
    spec = EnvSpec(
        id=dataset.env_spec.id if dataset.env_spec else dataset.id,
        frame=(height, width, channels),
        actions=action_spec(dataset.action_space),
    )
    policy = f"as in the Minari data set {dataset.id}" + (f", {key}" if key else "")
    return Origin(spec, 0, policy, tuple(range(dataset.total_episodes))), look


def _nothing(space: Any, key: str | None) -> Any:
    """Observations of one black frame."""
    black = np.zeros((1, *space.shape), np.uint8)
    return black if key is None else {key: black}


def _image_key(space: spaces.Space[Any], key: str | None) -> str | None:
    """Which entry of the observations holds the images; None: they are images. Raises WorldganError if unclear."""
    entries: Mapping[str, Any] = space.spaces if isinstance(space, spaces.Dict) else {}
    images = [name for name, entry in entries.items() if _is_image(entry)]
    if key is not None and key not in images:
        raise unknown("image observation", key, images)
    if key is not None or _is_image(space):
        return key
    if len(images) == 1:
        return images[0]
    if images:
        raise WorldganError(f"expected --key to choose one of the image observations {', '.join(images)}")
    shown = ", ".join(entries) if entries else " ".join(str(space).split())
    raise WorldganError(f"expected uint8 image observations [H, W, C] of {SMALLEST} pixels or more, got {shown}")


def _is_image(space: spaces.Space[Any]) -> bool:
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in {2, 3}:
        return False
    return min(space.shape[:2]) >= SMALLEST


def _episode(dataset: Any, number: int, look: Callable[[Any], Frames]) -> Episode:
    with _readable(dataset.id):
        found = dataset[number]
        return Episode(
            frames=look(found.observations),
            actions=np.asarray(found.actions),
            rewards=np.asarray(found.rewards, np.float32),
            terminated=bool(found.terminations[-1]),
            truncated=bool(found.truncations[-1]),
        )
