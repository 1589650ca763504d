"""Envs as pixels: adapters for others' envs, and built-in ones whose true next-frame odds are known."""

from worldgan.envs.doctor import Diagnosis, describe, diagnose
from worldgan.envs.enumerable import Enumerable, Outcome, enumerable
from worldgan.envs.factory import env_spec, make, register, spec
from worldgan.envs.meanings import action_names

__all__ = [
    "Diagnosis",
    "Enumerable",
    "Outcome",
    "action_names",
    "describe",
    "diagnose",
    "enumerable",
    "env_spec",
    "make",
    "register",
    "spec",
]

register()
