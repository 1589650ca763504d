"""Verbs that take a model to people and to other places."""

from __future__ import annotations

from pathlib import Path

import tyro

from worldgan.device import Device
from worldgan.errors import WorldganError


def play(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    agents: tuple[Path, ...] = (),
    host: str = "127.0.0.1",
    port: int = 8700,
    sessions: int = 6,
    seed: int | None = None,
    device: Device = "cpu",
) -> None:
    """Open a page on which you play the learned simulator, with the real env beside it where it is installed.

    Args:
        runs: folders of runs of one env, or exported .onnx files; the page switches between their models.
        agents: folders of agents trained by dream or learn, to watch as planners are.
        host: address to serve on; other than the default lets other machines in.
        port: where, 0 for any that is free.
        sessions: tabs that can play at once.
        seed: of all chance; without one every play is different.
        device: what the models compute on.
    """
    from worldgan.play.run import serve

    serve(runs, host, port, sessions, seed, device, agents)


def export(
    run: tyro.conf.Positional[Path], onnx: bool = False, web: bool = False, out: Path | None = None, seed: int = 0
) -> None:
    """Take a trained model elsewhere, checked against torch: as an ONNX file, as a page that plays in any browser.

    Args:
        run: folder of the run.
        onnx: write OUT/onnx, whose model.onnx worldgan.load, the simulator and onnxruntime read.
        web: write OUT/web, static files for any web server.
        out: folder for both; without it, the run's.
        seed: of the rollout that is checked.
    """
    from worldgan.export import product
    from worldgan.export import web as page
    from worldgan.training.checkpoint import Run

    if not onnx and not web:
        raise WorldganError("expected --onnx, --web or both, got neither")
    made, out = product.produce(Run(run), seed=seed), out or run
    print(f"onnxruntime follows torch over {made.check}")
    print("onnxruntime: " + ", ".join(f"{rate:,.0f} frames/s at batch {batch}" for batch, rate in made.speed.items()))
    if onnx:
        print(f"model at {product.save(made, out / 'onnx')}")
    if web:
        print(f"page at {page.save(made, out / 'web')}: serve that folder, e.g. python -m http.server -d {out / 'web'}")


def push(run: tyro.conf.Positional[Path], repo: tyro.conf.Positional[str], private: bool = False) -> None:
    """Upload a run to the Hugging Face Hub, with a model card and without what only training needs.

    Args:
        run: folder of the run.
        repo: user/name of the repository; made if it is not there.
        private: whether a repository that is made is private.
    """
    from worldgan.hub import push as upload

    print(f"run at {upload(run, repo, private=private)}")


def pull(repo: tyro.conf.Positional[str], out: tyro.conf.Positional[Path], revision: str = "main") -> None:
    """Download a run from the Hugging Face Hub.

    Args:
        repo: user/name of the repository.
        out: new folder of the run.
        revision: branch, tag or commit.
    """
    from worldgan.hub import pull as download

    print(f"run at {download(repo, out, revision=revision)}")
