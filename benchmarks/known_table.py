"""The table of docs/results/known from its metrics.json files, as Markdown: python benchmarks/known_table.py"""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "known"
COLUMNS = {
    "updates": ("cost", "updates", ",.0f"),
    "TV above its floor": ("known", "tv_excess", ".3f"),
    "floor": ("known", "tv_floor", ".3f"),
    "invalid": ("known", "invalid", ".3f"),
    "recall": ("known", "recall", ".3f"),
    "sharpness": ("known", "sharpness_gradient", ".3f"),
    "log-loss above entropy": ("known", "log_loss_excess", ".3f"),
    "calibration error": ("known", "ece", ".3f"),
}


def main() -> None:
    print("| env | family |", " | ".join(COLUMNS), "|")
    print("| --- | --- |", " | ".join("---:" for _ in COLUMNS), "|")
    for path in sorted(RESULTS.glob("*/metrics.json")):
        for family, measures in json.loads(path.read_text())["measures"].items():
            if measures.get("known"):
                cells = (format(measures[part][name], style) for part, name, style in COLUMNS.values())
                print(f"| {path.parent.name} | {family} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
