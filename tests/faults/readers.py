"""Everything of worldgan that reads a file, with valid files of its kind and ways to make wrong ones that go deep."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from acting_readers import agents, loops, results, suites
from data_fakes import SPEC, make_episode
from graphs import graph, holding, wrong_tensors
from mutations import mutate
from reader import TB10, Reader
from tiny import tiny

from worldgan.config import load, to_mapping
from worldgan.data import codec
from worldgan.data.store import EpisodeStore
from worldgan.evaluation.judge import Judge, load_judge, save_judge
from worldgan.models import FAMILIES
from worldgan.play import messages
from worldgan.runtime.model import Exported
from worldgan.runtime.session import Card, Session, card_of
from worldgan.tensorfiles import write_tensors
from worldgan.training.checkpoint import Run, RunInfo
from worldgan.training.trainer import Experiment


def readers(folder: Path) -> list[Reader]:
    """All of them; they work in ``folder``."""
    folder.mkdir(exist_ok=True)
    return [
        episodes(folder / "data"),
        descriptions(folder / "described"),
        runs(folder / "run"),
        weights(folder / "weights"),
        states(folder / "state"),
        yamls(folder),
        cards(),
        graphs(folder),
        starts(folder / "starts"),
        agents(folder / "agent"),
        loops(folder / "loop"),
        suites(folder),
        results(folder / "bench"),
        pages(),
        judges(folder),
    ]


def episodes(folder: Path) -> Reader:
    """Episode files: header and blocks, half of them with checksums that are right again."""
    store = EpisodeStore.create(folder, SPEC, seed=0, policy="p")
    masks = {"action_known": np.arange(20) % 2 == 0, "visible": np.ones((21, *SPEC.frame[:2]), np.bool_)}
    for index, more in enumerate(({}, masks)):
        store.add(index, replace(make_episode(index, 20), **more))
    seeds = [store.file(index).read_bytes() for index in store.indices()]
    parts = [_parts(seed) for seed in seeds]

    def make(rng: Random) -> bytes:
        if rng.random() < 0.4:
            return mutate(rng.choice(seeds), seeds, rng)
        text, blocks = rng.choice(parts)
        if rng.random() < 0.6:
            return _framed(mutate(text, [text for text, _ in parts], rng), blocks)
        place = rng.randrange(len(blocks))
        changed = [*blocks[:place], mutate(blocks[place], blocks, rng), *blocks[place + 1 :]]
        sizes = {"sizes": list(map(len, changed)), "crc32": list(map(zlib.crc32, changed))}
        return _framed(json.dumps(json.loads(text) | sizes).encode(), changed)

    def read(data: bytes) -> Any:
        file = folder / "wrong.ep"
        file.write_bytes(data)
        return codec.check(file, SPEC)

    text, blocks = parts[0]
    bomb = b"\x28\xb5\x2f\xfd" + bytes([0xE0]) + struct.pack("<Q", TB10) + blocks[0][6:]  # a zstd frame of 10 TB
    bombs = {"length": 8 * 2**37, "sizes": [len(bomb)] * 3, "crc32": [zlib.crc32(bomb)] * 3, "frames_per_block": 1024}
    huge = (
        _framed(json.dumps(json.loads(text) | {"length": TB10}).encode(), blocks),
        _framed(json.dumps(json.loads(text) | bombs).encode(), [bomb] * 3),
        _framed(json.dumps(json.loads(text) | {"sizes": [TB10] * len(blocks)}).encode(), blocks),
        codec.MAGIC + b"\xff" * 8,
    )
    return Reader("episode file", read, make, huge)


def _parts(data: bytes) -> tuple[bytes, list[bytes]]:
    """The header's text, and the blocks."""
    end = 16 + int.from_bytes(data[8:12], "little")
    text, blocks = data[16:end], []
    for size in json.loads(text)["sizes"]:
        blocks.append(data[end : end + size])
        end += size
    return text, blocks


def _framed(text: bytes, blocks: list[bytes]) -> bytes:
    return b"".join([codec.MAGIC, struct.pack("<II", len(text), zlib.crc32(text)), text, *blocks])


def descriptions(folder: Path) -> Reader:
    """dataset.json, without the checksum, so that more than it is looked at."""
    store = EpisodeStore.create(folder, SPEC, seed=0, policy="p")
    store.add(0, make_episode(0, 1))
    file = folder / "dataset.json"
    told = json.loads(file.read_bytes())
    told["crc32"] = None  # as if there were none, and yet to be mutated
    box = {"kind": "box", "sizes": [2], "low": [-1.0, 0.0], "high": [1.0, 2.5]}
    seeds = [
        json.dumps(told | {"spec": told["spec"] | {"actions": each}}).encode()
        for each in (told["spec"]["actions"], box)
    ]

    def read(data: bytes) -> Any:
        file.write_bytes(data)
        return EpisodeStore.open(folder).episode(0)

    huge = tuple(
        json.dumps(told | {"spec": told["spec"] | change}).encode()
        for change in ({"frame": [2**20, 2**20, 10]}, {"actions": {"kind": "discrete", "sizes": [TB10]}})
    )
    return Reader("dataset.json", read, lambda rng: mutate(rng.choice(seeds), seeds, rng), huge)


def runs(folder: Path) -> Reader:
    """run.json, and the model that it and weights promise."""
    run = Run(folder)
    infos = []
    for family in FAMILIES:
        model = to_mapping(tiny(family).model_config())
        infos.append(RunInfo(family, SPEC, model, to_mapping(tiny(family).training), "data", progress={"step": 3.0}))
    config = tiny("mse").model_config()  # of one family, so that what is right of it is read
    run.write_tensors("weights", FAMILIES["mse"].networks(SPEC, config, 0).state_dict())
    seeds = [json.dumps(to_mapping(info)).encode() for info in infos]

    def read(data: bytes) -> Any:
        (folder / "run.json").write_bytes(data)
        run.model()

    small = to_mapping(infos[0])
    sizes: tuple[dict[str, Any], ...] = (
        {"model": small["model"] | {"events": TB10}},
        {"model": small["model"] | {"backbone": {"context": 2, "width": 2**31}}},
        {"model": small["model"] | {"backbone": {"context": TB10, "width": 16}}},
        {"spec": small["spec"] | {"frame": [2**20, 2**20, 10]}},
        {"spec": small["spec"] | {"actions": {"kind": "discrete", "sizes": [TB10]}}},
    )
    huge = tuple(json.dumps(small | size).encode() for size in sizes)
    return Reader("run.json", read, lambda rng: mutate(rng.choice(seeds), seeds, rng), huge)


def weights(folder: Path) -> Reader:
    """Safetensors, with the header's own checksum or without."""
    run = Run(folder)
    run.write_tensors("weights", {"a": torch.arange(6.0), "b.c": torch.zeros(2, 3, dtype=torch.bfloat16)})
    file = folder / "weights.safetensors"
    seed = file.read_bytes()
    end = 8 + int.from_bytes(seed[:8], "little")
    header = json.loads(seed[8:end])
    header.pop("__metadata__")
    plain = json.dumps(header).encode()

    def framed(text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text + seed[end:]

    kinds = [b'"F8_E4M3"', b'"F4"', b'"F6_E2M3"', b'"E8M0"', b'"U64"', b'"C64"', b'"BOOL"', b'"F64"', b'"I8"']

    def make(rng: Random) -> bytes:
        if rng.random() < 0.4:
            return mutate(seed, [seed], rng)
        text = plain.replace(rng.choice((b'"F32"', b'"BF16"')), rng.choice(kinds)) if rng.random() < 0.3 else plain
        return framed(mutate(text, [plain, text], rng) if rng.random() < 0.8 else text)

    def read(data: bytes) -> Any:
        file.write_bytes(data)
        return run.tensors("weights")

    vast = {"a": {"dtype": "F32", "shape": [TB10 // 4], "data_offsets": [0, TB10]}}
    huge = (TB10.to_bytes(8, "little") + seed[8:], framed(json.dumps(vast).encode()))
    return Reader("weights.safetensors", read, make, huge)


def states(folder: Path) -> Reader:
    """state.pt: the archive, and the pickle in it with checksums that are right again."""
    run = Run(folder)
    run.write_state({"learner": {"a": torch.arange(6.0), "b": [1, 2.5, None, "x"]}, "step": 3, "seconds": 1.5})
    file = folder / "state.pt"
    seed = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in inside if name.endswith("data.pkl"))

    def packed(parts: dict[str, bytes]) -> bytes:
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        return whole.getvalue()

    def make(rng: Random) -> bytes:
        if rng.random() < 0.3:
            return mutate(seed, [seed], rng)
        name = rng.choice((pickled, pickled, pickled, rng.choice(list(inside))))
        return packed(inside | {name: mutate(inside[name], list(inside.values()), rng)})

    def read(data: bytes) -> Any:
        file.write_bytes(data)
        return run.state()

    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in inside.items():
            archive.writestr(name, data if name == pickled else bytes(2**28))
    central = seed.rfind(b"PK\x01\x02")
    claims = seed[: central + 24] + b"\xfe\xff\xff\xff" + seed[central + 28 :]  # 4 GB, the most without zip64
    long = packed(inside | {pickled: b"\x80\x02\x8d" + struct.pack("<Q", TB10) + b"x."})  # a text of 10 TB
    many = packed(inside | {pickled: inside[pickled].replace(b"K\x06", b"\x8a\x06" + TB10.to_bytes(6, "little"))})
    return Reader("state.pt", read, make, (zeros.getvalue(), claims, long, many))


def yamls(folder: Path) -> Reader:
    """Presets and configs."""
    file = folder / "config.yaml"
    seeds = [
        b"family: gan\nmodel:\n  events: 4\n  backbone: {context: 2, width: 16}\ntraining:\n  rollout: [1, 2]\n",
        b"training: &a {minutes: 0.5, labels: 0.1, seed: 3}\nfamily: mse\nmodel: {optimiser: {rate: 1e-3}}\n",
    ]

    def read(data: bytes) -> Any:
        file.write_bytes(data)
        return load(Experiment, file).model_config()

    laughs = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 14)
    )
    return Reader("YAML config", read, lambda rng: mutate(rng.choice(seeds), seeds, rng), (laughs, b"[" * 100_000))


def cards() -> Reader:
    """What model.onnx says of itself."""
    seed = json.dumps(to_mapping(Card("gan", SPEC, 2, 4, "0.1.0", listed=2))).encode()

    def read(data: bytes) -> Any:
        return card_of(data.decode(errors="surrogateescape"), Path("model.onnx")).shapes()

    told = json.loads(seed)
    sizes = ({"spec": told["spec"] | {"frame": [2**20, 2**20, 10]}}, {"listed": TB10}, {"chances": 2**26})
    huge = (*(json.dumps(told | size).encode() for size in sizes), b"[" * 100_000)
    return Reader("model.onnx metadata", read, lambda rng: mutate(seed, [seed], rng), huge)


def graphs(folder: Path) -> Reader:
    """model.onnx itself: a small graph, so that most of what is wrong is wrong with its structure."""
    file, card = folder / "model.onnx", Card("gan", SPEC, 2, 4, "0.1.0", listed=2)
    sound, others = graph(card).SerializeToString(), [holding(card, each) for each in wrong_tensors(1).values()]

    def read(data: bytes) -> Any:
        file.write_bytes(data)
        return Session(file, threads=1)

    strange = graph(card, zeros=TB10)
    del strange.metadata_props[:]
    huge = (strange.SerializeToString(), *(holding(card, each) for each in wrong_tensors(TB10).values()))
    return Reader("model.onnx", read, lambda rng: mutate(sound, [sound, *others], rng), huge)


def starts(folder: Path) -> Reader:
    """starts.safetensors, as it is read beside a run and, without torch, beside an exported model."""
    run, exported = Run(folder), Exported(folder / "model.onnx")
    file = folder / "starts.safetensors"
    frames, actions = torch.zeros(3, 2, 3, 4, 5, dtype=torch.uint8), torch.zeros(3, 1, 50)
    anywhere = {"anywhere.frames": frames, "anywhere.actions": actions}
    write_tensors(file, anywhere | {"beginnings.frames": frames + 1, "beginnings.actions": actions + 1})
    seed, others = file.read_bytes(), weights(folder / "others")

    def make(rng: Random) -> bytes:
        text = seed.replace(b'"U8"', rng.choice((b'"BF16"', b'"F8_E4M3"', b'"I8"'))) if rng.random() < 0.2 else seed
        return mutate(text, [seed], rng)

    def read(data: bytes) -> Any:
        file.write_bytes(data)
        exported.starts(beginnings=False)
        return run.starts(beginnings=True)

    return Reader("starts.safetensors", read, make, others.huge)


def pages() -> Reader:
    """What a page in a browser asks for."""
    asked: tuple[dict[str, Any], ...] = (
        *({"action": 1}, {"start": "real"}, {"steps": 3}, {"model": "mse"}, {"count": 8}),
        *({"choice": 0, "outcome": 1}, {"name": "cem"}, {"on": True}, {"format": "gif"}),
    )
    kinds = zip(messages.KINDS, asked, strict=True)
    seeds = [json.dumps({"type": kind, **each}).encode() for kind, each in kinds]

    def read(data: bytes) -> Any:
        return messages.parse(data.decode(errors="surrogateescape"))

    huge = (b'{"type": "rewind", "steps": %d}' % TB10, b'{"type": "futures", "count": %d}' % TB10, b"[" * 100_000)
    return Reader("message of a page", read, lambda rng: mutate(rng.choice(seeds), seeds, rng), huge)


def judges(folder: Path) -> Reader:
    """Weights of the judge; most are wrong in their header, which is a small part of them."""
    file, others = folder / "judge.safetensors", weights(folder / "others")
    save_judge(file, Judge(SPEC))
    seed = file.read_bytes()
    end = 8 + int.from_bytes(seed[:8], "little")

    def make(rng: Random) -> bytes:
        text = mutate(seed[8:end], [seed[8:end]], rng)
        return len(text).to_bytes(8, "little") + text + seed[end:] if rng.random() < 0.6 else mutate(seed, [seed], rng)

    def read(data: bytes) -> Any:
        file.write_bytes(data)
        return load_judge(file, SPEC)

    return Reader("judge.safetensors", read, make, others.huge)
