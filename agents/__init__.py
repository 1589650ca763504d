"""Agents that plan: what they imagine, how they search, and the ceiling that perfect knowledge would reach."""

from worldgan.agents.cem import CrossEntropy
from worldgan.agents.factory import PLANNERS, SEARCHES, PlannerConfig
from worldgan.agents.imagine import imagined_returns
from worldgan.agents.memory import Memory
from worldgan.agents.oracle import Oracle
from worldgan.agents.planner import Planner, check_match
from worldgan.agents.plans import Score, Search, random_plans
from worldgan.agents.shooting import RandomShooting

__all__ = [
    "PLANNERS",
    "SEARCHES",
    "CrossEntropy",
    "Memory",
    "Oracle",
    "Planner",
    "PlannerConfig",
    "RandomShooting",
    "Score",
    "Search",
    "check_match",
    "imagined_returns",
    "random_plans",
]
