"""An agent on disk: ``agent.json`` says what it is, ``weights.safetensors`` acts, ``state.pt`` goes on training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worldgan.agents.actor_critic import ActorCritic
from worldgan.agents.imagination import DreamConfig
from worldgan.config import from_mapping, to_mapping
from worldgan.errors import WorldganError
from worldgan.files import atomic_write
from worldgan.sizes import filled
from worldgan.tensorfiles import read_state, read_tensors, write_state, write_tensors
from worldgan.types import EnvSpec
from worldgan.version import VERSION

FORMAT = 3


@dataclass(frozen=True)
class AgentInfo:
    """What ``agent.json`` holds. frames: F, how many of the last it sees.    training: how it is trained.

    model, data: folders of the run that it imagines with, and of the states that it starts from.
    progress: of the last checkpoint: its step, and seconds of training.
    version: of the worldgan that wrote it last.
    """

    spec: EnvSpec
    frames: int
    training: DreamConfig
    model: str
    data: str
    format: int = FORMAT
    progress: dict[str, float] = field(default_factory=dict)
    version: str = VERSION

    def networks(self) -> ActorCritic:
        """New ones, which know nothing."""
        config = self.training
        return ActorCritic(self.spec, self.frames, width=config.width, units=config.units, seed=config.seed)


class AgentFolder:
    """A folder of one trained agent. Every file in it is whole: written aside, then renamed."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def exists(self) -> bool:
        """Whether an agent was begun here."""
        return (self.path / "agent.json").exists()

    def info(self) -> AgentInfo:
        """Read ``agent.json``. Raises WorldganError if there is none or it is not one."""
        path = self.path / "agent.json"
        try:
            found = json.loads(path.read_text())
            if not isinstance(found, dict) or found.get("format") != FORMAT:
                raise WorldganError(f"expected format {FORMAT}")
            return from_mapping(AgentInfo, found)
        except FileNotFoundError:
            raise WorldganError(f"expected an agent at {self.path}, found no agent.json: run dream first") from None
        except (OSError, ValueError, RecursionError, WorldganError) as error:
            raise WorldganError(
                f"{path} is damaged, or of another version of worldgan than {VERSION} ({error}): train another agent"
            ) from None

    def write(self, info: AgentInfo, networks: ActorCritic, state: Mapping[str, Any]) -> None:
        """Write a checkpoint. state: all that exact resume needs."""
        write_state(self.path / "state.pt", state)
        write_tensors(self.path / "weights.safetensors", networks.state_dict())
        atomic_write(self.path / "agent.json", json.dumps(to_mapping(info), indent=2).encode())

    def state(self) -> dict[str, Any]:
        """What ``write`` was given. Raises WorldganError if it is missing or damaged."""
        return read_state(self.path / "state.pt")

    def networks(self) -> ActorCritic:
        """The trained ones. Raises WorldganError if files are missing, damaged or do not fit together."""
        info, weights = self.info(), read_tensors(self.path / "weights.safetensors")
        networks = filled(info.networks, weights, (info.frames, info.training.width, info.training.units))
        if networks is None:
            raise WorldganError(f"{self.path}/weights.safetensors does not fit agent.json: train another agent")
        return networks.requires_grad_(False).eval()
