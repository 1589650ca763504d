"""From runs on disk to a page that is open for play."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from worldgan import envs
from worldgan.agents import ActorCritic, AgentFolder, check_match
from worldgan.controls import Controls, controls
from worldgan.device import Device
from worldgan.errors import WorldganError, extra
from worldgan.play.real import RealEnv, open_env
from worldgan.play.session import Session, World
from worldgan.runtime.tensors import ExportedRun
from worldgan.saved import saved
from worldgan.training.checkpoint import Run
from worldgan.types import EnvSpec


def worlds(runs: Sequence[Path], device: Device = "cpu") -> dict[str, World]:
    """The models of runs, or exported files, by family, or by folder where families repeat, ready to compute at once.

    device: what they compute on.
    Raises WorldganError for a run that cannot be played, or that is of another env than the first.
    """
    found = [saved(path) for path in runs]
    if len({run.path.resolve() for run in found}) < len(found) or not found:
        raise WorldganError(f"expected different runs, got {', '.join(map(str, runs)) or 'none'}")
    families = [run.info().family for run in found]
    names = families if len({*families}) == len(families) else [str(run.path) for run in found]
    made = {name: _world(name, family, run, device) for name, family, run in zip(names, families, found, strict=True)}
    first, *others = made.values()
    for other in others:
        check_match(first.model.spec, other.model.spec)
    return made


def actors(folders: Sequence[Path], spec: EnvSpec) -> dict[str, ActorCritic]:
    """The agents in folders: one is called actor, of several each by its folder.

    Raises WorldganError for a folder without a whole agent, and for an agent of another env.
    """
    found = {path: _networks(AgentFolder(path), spec) for path in folders}
    return {"actor" if len(found) == 1 else f"actor {path}": networks for path, networks in found.items()}


def real(spec: EnvSpec) -> tuple[Controls, str]:
    """What can be done in the env, and why it is not here, if so."""
    try:
        env = open_env(spec)
    except WorldganError as error:
        return controls(spec.actions, envs.action_names(spec.id)), str(error)
    try:
        return controls(spec.actions, envs.action_names(spec.id, env)), ""
    finally:
        env.close()


def serve(
    runs: Sequence[Path],
    host: str,
    port: int,
    sessions: int,
    seed: int | None,
    device: Device = "cpu",
    agents: Sequence[Path] = (),
) -> None:
    """Serve the page until interrupted.

    seed: of all chance; None draws one.    device: what the models compute on.    agents: folders, see ``actors``.
    Raises WorldganError without the ``play`` extra, for runs and agents that cannot play, and for a port in use.
    """
    with extra("play"):
        import starlette  # noqa: F401  # here for the message
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    from worldgan.play.server import Club, Limits, bind, server

    limits = Limits(sessions=sessions)
    with bind(host, port) as listening, suppress(KeyboardInterrupt):  # the way to stop it
        found = worlds(runs, device)
        spec = next(iter(found.values())).model.spec
        learnt = actors(agents, spec)
        known, note = real(spec)
        base = secrets.randbits(62) if seed is None else seed

        def build(number: int) -> Session:
            return Session(found, known, None if note else RealEnv(open_env(spec)), base + number, learnt)

        address, taken = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(f"playing {', '.join(found)} of {spec.id} at http://{shown}:{taken} (Ctrl-C to stop)", flush=True)
        if note:
            print(f"without the real env beside it: {note}", flush=True)
        server(Club(build, note, limits), host).run(sockets=[listening])


def _world(name: str, family: str, run: Run | ExportedRun, device: Device) -> World:
    starts = {"beginning": run.starts(beginnings=True), "anywhere": run.starts(beginnings=False)}
    model = run.model(realism=True, device=device) if isinstance(run, Run) else run.model(device=device)
    return World(name, family, model, starts)


def _networks(folder: AgentFolder, spec: EnvSpec) -> ActorCritic:
    trained = folder.info().spec
    check_match(trained, spec, what="an agent")
    if trained.id.rpartition(":")[2] != spec.id.rpartition(":")[2]:  # frames of two envs may well fit
        raise WorldganError(f"expected an agent trained on {spec.id}, got {folder.path}, trained on {trained.id}")
    return folder.networks()
