#!/usr/bin/env bash
# The main job on Atari: 50,000 steps a game, gan and mse trained for 30 minutes side by side, each on a core of its own.
# Takes about 35 minutes a game and can be interrupted: run it again to go on. usage: benchmarks/atari.sh [GAME...]
set -euo pipefail
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
games=("$@")
[ $# -gt 0 ] || games=(Breakout Pong)
for game in "${games[@]}"; do
    name=$(echo "$game" | tr '[:upper:]' '[:lower:]')
    worldgan collect --env "ALE/$game-v5" --steps 50000 --out "data/$name"
    started=()
    for family in gan mse; do
        OMP_NUM_THREADS=1 worldgan train --data "data/$name" --family "$family" --minutes 30 \
            --out "runs/$name-$family" --resume &
        started+=($!)
    done
    for job in "${started[@]}"; do wait "$job"; done
    worldgan evaluate --runs "runs/$name-gan" "runs/$name-mse" --data "data/$name" --out "docs/results/$name" --policies 0
    worldgan plan --model "runs/$name-gan" --env "ALE/$game-v5" --planner shooting --horizon 24 --candidates 16 \
        --episodes 2 --max-steps 150 --out "docs/results/$name/plan"
done
