"""Agents that plan or learn in imagination, and the ceiling that perfect knowledge would reach."""

from worldgan.agents.actor_critic import Actor, ActorCritic
from worldgan.agents.cem import CrossEntropy
from worldgan.agents.ensemble import Ensemble
from worldgan.agents.factory import (
    PLANNERS,
    SEARCHES,
    PlannerConfig,
    check_planner,
    planner,
    planner_named,
    planners_for,
)
from worldgan.agents.folder import AgentFolder, AgentInfo
from worldgan.agents.foresight import Foreseen, Foresees
from worldgan.agents.futures import futures, real_return
from worldgan.agents.icem import FrugalCrossEntropy
from worldgan.agents.imagination import DreamConfig, Dreamer
from worldgan.agents.imagine import Value, imagined_returns
from worldgan.agents.mcts import Policy, TreeSearch
from worldgan.agents.memory import Memory
from worldgan.agents.mppi import PathIntegral
from worldgan.agents.oracle import Oracle
from worldgan.agents.pessimism import SIGNALS, Pessimist, Usual, check_signal, usual
from worldgan.agents.planner import Planner, check_match
from worldgan.agents.plans import Score, Search, random_plans
from worldgan.agents.recall import Recall, Recalled
from worldgan.agents.shooting import RandomShooting
from worldgan.agents.truth import OracleTree, Truth

__all__ = [
    "PLANNERS",
    "SEARCHES",
    "SIGNALS",
    "Actor",
    "ActorCritic",
    "AgentFolder",
    "AgentInfo",
    "CrossEntropy",
    "DreamConfig",
    "Dreamer",
    "Ensemble",
    "Foreseen",
    "Foresees",
    "FrugalCrossEntropy",
    "Memory",
    "Oracle",
    "OracleTree",
    "PathIntegral",
    "Pessimist",
    "Planner",
    "PlannerConfig",
    "Policy",
    "RandomShooting",
    "Recall",
    "Recalled",
    "Score",
    "Search",
    "TreeSearch",
    "Truth",
    "Usual",
    "Value",
    "check_match",
    "check_planner",
    "check_signal",
    "futures",
    "imagined_returns",
    "planner",
    "planner_named",
    "planners_for",
    "random_plans",
    "real_return",
    "usual",
]
