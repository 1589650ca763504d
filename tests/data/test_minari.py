"""What goes to Minari and comes back is what it was, and of others' data sets the images are found or refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_fakes import LENGTHS, SPEC, make_episode
from gymnasium import spaces

from worldgan.actions import ActionSpec
from worldgan.data.minari import KEY, export_minari, import_minari
from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.types import EnvSpec, Episode

minari = pytest.importorskip("minari", reason="the extra is not installed")

ID = "tests/fake-v0"
IMAGE = spaces.Box(0, 255, (40, 48, 3), np.uint8)


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Minari keeps its data sets in these tests."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def contents(store: EpisodeStore) -> Any:
    """All there is to know of a store, exactly."""
    episodes = {index: store.episode(index) for index in store.indices()}
    arrays = {
        index: [(a.dtype.str, a.shape, a.tobytes()) for a in (each.frames, each.actions, each.rewards)]
        for index, each in episodes.items()
    }
    ends = {index: (each.terminated, each.truncated) for index, each in episodes.items()}
    return arrays, ends, store.spec, store.seed, store.policy


def random_store(path: Path, spec: EnvSpec, ends: tuple[tuple[bool, bool], ...]) -> EpisodeStore:
    rng = np.random.default_rng(0)
    store = EpisodeStore.create(path, spec, seed=4, policy="p")
    for number, (terminated, truncated) in enumerate(ends):
        length = 1 + 9 * number
        frames = rng.integers(0, 256, (length + 1, *spec.frame), np.uint8)
        actions = spec.actions.decode(spec.actions.sample((length,), rng))
        rewards = rng.normal(size=length).astype(np.float32)
        store.add(3 * number, Episode(frames, actions, rewards, terminated, truncated))
    return store


@pytest.mark.parametrize(
    "spec",
    [
        # 64x64x3 of noise is what JPEG would change, were it used; 0.1 has no exact float32.
        EnvSpec("a/B-v0", (64, 64, 3), ActionSpec("box", (2,), (-1.0, 0.1), (1.0, 2.5)), {"size": 64, "sticky": 0.25}),
        EnvSpec("module:C", (7, 3, 1), ActionSpec("multidiscrete", (3, 2))),
        EnvSpec("ten", (10, 10, 10), ActionSpec("discrete", (6,))),
    ],
    ids=lambda spec: spec.actions.kind,
)
def test_there_and_back_is_the_identity(spec: EnvSpec, tmp_path: Path, shelf: Path) -> None:
    ends = ((True, False), (False, True), (False, False), (True, True))
    store = random_store(tmp_path / "here", spec, ends)
    assert export_minari(store, ID) == shelf / "tests" / "fake-v0"
    assert contents(import_minari(ID, tmp_path / "there")) == contents(store)
    assert contents(EpisodeStore.open(tmp_path / "there")) == contents(store)


def test_minari_reads_what_was_written(store: EpisodeStore) -> None:
    export_minari(store, ID)
    dataset = minari.load_dataset(ID)
    assert (dataset.total_episodes, dataset.total_steps) == (len(LENGTHS), sum(LENGTHS))
    for episode, index in zip(dataset, store.indices(), strict=True):
        assert np.array_equal(episode.observations, store.episode(index).frames)
        assert dataset.action_space.contains(episode.actions[0])
        assert episode.terminations.sum() == store.terminated(index)
        assert not episode.truncations[:-1].any()


def test_an_interrupted_import_goes_on(store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_minari(store, ID)
    add, left = EpisodeStore.add, [5]

    def killed(self: EpisodeStore, index: int, episode: Episode) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        add(self, index, episode)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeStore, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            import_minari(ID, tmp_path / "out")
    assert len(EpisodeStore.open(tmp_path / "out").indices()) == 4
    assert contents(import_minari(ID, tmp_path / "out")) == contents(store)


def test_a_failed_export_leaves_nothing_and_a_taken_id_stays(
    store: EpisodeStore, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.file(5).write_bytes(b"damaged")
    with pytest.raises(WorldganError, match="damaged"):
        export_minari(store, ID)
    assert not (shelf / ID).exists()
    other = EpisodeStore.create(store.path / "other", SPEC, seed=3, policy="random")
    other.add(0, make_episode(0, 4))
    export_minari(other, ID)
    with pytest.raises(WorldganError, match=r"exists: choose another"):
        export_minari(other, ID)
    assert minari.load_dataset(ID).total_steps == 4


def test_an_export_that_was_killed_is_not_imported(store: EpisodeStore, tmp_path: Path, shelf: Path) -> None:
    export_minari(store, ID)
    alter_metadata(shelf, total_episodes=3)
    with pytest.raises(WorldganError, match="was cut short, export it again"):
        import_minari(ID, tmp_path / "out")


@pytest.mark.parametrize("kept", [{"format": 2}, 7, {"format": 1, "spec": {}}])
def test_what_we_kept_may_be_of_another_version(kept: Any, store: EpisodeStore, tmp_path: Path, shelf: Path) -> None:
    export_minari(store, ID)
    alter_metadata(shelf, **{KEY: kept})
    refused(ID, tmp_path)


@pytest.mark.parametrize("name", ["nameless", "../up-v0", "/abs-v0", ""])
def test_ids_are_checked(name: str, store: EpisodeStore, tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match="expected a Minari id like"):
        export_minari(store, name)
    with pytest.raises(WorldganError, match="expected a Minari id like"):
        import_minari(name, tmp_path / "out")


def test_nothing_there(tmp_path: Path) -> None:
    assert "found none: " in refused("nothing-v3", tmp_path)


def alter_metadata(shelf: Path, **values: Any) -> None:
    file = shelf / ID / "data" / "metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def refused(dataset_id: str, tmp_path: Path, **options: Any) -> str:
    """The one line that an import is refused with; nothing is made."""
    with pytest.raises(WorldganError) as caught:
        import_minari(dataset_id, tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    return str(caught.value)


def foreign(observations: spaces.Space[Any], actions: spaces.Space[Any] | None = None) -> list[dict[str, Any]]:
    """A data set of two random episodes as another program writes it, without loss -> its observations."""
    from minari.data_collector import EpisodeBuffer

    actions = actions or spaces.Discrete(3)
    observations.seed(0)
    actions.seed(0)
    buffers = []
    for length in (3, 5):
        seen = [observations.sample() for _ in range(length + 1)]
        stacked = {k: np.stack([s[k] for s in seen]) for k in seen[0]} if isinstance(seen[0], dict) else np.stack(seen)
        last = np.arange(length) == length - 1
        buffers.append(
            EpisodeBuffer(
                observations=stacked,
                actions=np.stack([actions.sample() for _ in range(length)]),
                rewards=np.arange(length) / 2,
                terminations=last & (length == 3),
                truncations=last & (length == 5),
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        minari.create_dataset_from_buffers(
            ID, buffers, observation_space=observations, action_space=actions, jpeg_encoding=False
        )
    return [buffer.observations for buffer in buffers]


def test_images_of_others_are_kept(tmp_path: Path) -> None:
    observations = foreign(IMAGE, spaces.Box(-1, 1, (2,), np.float64))
    store = import_minari(ID, tmp_path / "out")
    assert store.spec == EnvSpec(ID, (40, 48, 3), ActionSpec("box", (2,), (-1.0, -1.0), (1.0, 1.0)))
    assert all(np.array_equal(store.episode(i).frames, observations[i]) for i in (0, 1))
    assert store.rewards(1).tolist() == [0, 0.5, 1, 1.5, 2]
    assert [(store.terminated(i), store.truncated(i)) for i in (0, 1)] == [(True, False), (False, True)]


def test_grey_images_and_sizes(tmp_path: Path) -> None:
    foreign(spaces.Box(0, 255, (100, 80), np.uint8))
    assert import_minari(ID, tmp_path / "rule").spec.frame == (64, 64, 1)
    assert import_minari(ID, tmp_path / "own", size=16).spec.frame == (16, 16, 1)


def test_the_one_image_among_entries_is_found(tmp_path: Path) -> None:
    entries = {"image": IMAGE, "codes": spaces.Box(0, 255, (7, 7, 3), np.uint8), "speed": spaces.Box(0, 1, (2,))}
    observations = foreign(spaces.Dict(entries))
    store = import_minari(ID, tmp_path / "out")
    assert np.array_equal(store.episode(0).frames, observations[0]["image"])


def test_one_of_several_images_is_chosen(tmp_path: Path) -> None:
    observations = foreign(spaces.Dict({"left": IMAGE, "right": IMAGE}))
    assert "expected --key to choose one of the image observations left, right" in refused(ID, tmp_path)
    assert "did you mean 'right'?" in refused(ID, tmp_path, key="rihgt")
    store = import_minari(ID, tmp_path / "out", key="right")
    assert np.array_equal(store.episode(1).frames, observations[1]["right"])


@pytest.mark.parametrize(
    ("observations", "actions", "word"),
    [
        (spaces.Box(-1, 1, (4,)), None, "expected uint8 image observations"),
        (spaces.Box(0, 1, (40, 40, 3)), None, "expected uint8 image observations"),
        (spaces.Box(0, 255, (4, 84, 84), np.uint8), None, "expected uint8 image observations"),
        (spaces.Dict({"speed": spaces.Box(0, 1, (2,))}), None, "got speed"),
        (IMAGE, spaces.Box(-np.inf, np.inf, (2,)), "expected a Discrete"),
        (IMAGE, spaces.Discrete(3, start=1), "expected a Discrete"),
    ],
)
def test_what_cannot_be_frames_or_actions_is_one_line(
    observations: spaces.Space[Any], actions: spaces.Space[Any] | None, word: str, tmp_path: Path
) -> None:
    foreign(observations, actions)
    assert word in refused(ID, tmp_path)


def test_no_env_is_made_to_learn_its_spaces(store: EpisodeStore, tmp_path: Path, shelf: Path) -> None:
    export_minari(store, ID)
    file = shelf / ID / "data" / "metadata.json"
    metadata = json.loads(file.read_text())
    del metadata["action_space"]
    file.write_text(json.dumps(metadata))
    assert "to state its spaces" in refused(ID, tmp_path)


def test_damage_is_one_line(store: EpisodeStore, tmp_path: Path, shelf: Path) -> None:
    export_minari(store, ID)
    file = shelf / ID / "data" / "main_data.hdf5"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(WorldganError, match="cannot read the Minari data set") as caught:
        import_minari(ID, tmp_path / "out")
    assert "\n" not in str(caught.value)
