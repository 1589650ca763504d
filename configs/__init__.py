"""Presets, one YAML file per experiment; ``worldgan train --config NAME``."""
