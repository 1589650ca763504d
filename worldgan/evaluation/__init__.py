"""Measure a world model: frame metrics, open-loop rollouts, and reports."""
