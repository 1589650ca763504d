#!/usr/bin/env bash
# The main job on Atari: 50,000 steps a game, both families trained for 20 minutes each on two cores.
# Takes about 45 minutes a game and can be interrupted: run it again to go on. usage: benchmarks/atari.sh [GAME...]
set -euo pipefail
games=("$@")
[ $# -gt 0 ] || games=(Breakout Pong)
for game in "${games[@]}"; do
    name=$(echo "$game" | tr '[:upper:]' '[:lower:]')
    worldgan collect --env "ALE/$game-v5" --steps 50000 --out "data/$name"
    for family in gan mse; do
        worldgan train --data "data/$name" --family "$family" --minutes 20 --out "runs/$name-$family" --resume
    done
    worldgan evaluate --runs "runs/$name-gan" "runs/$name-mse" --data "data/$name" --out "docs/results/$name" --policies 0
    worldgan plan --model "runs/$name-gan" --env "ALE/$game-v5" --planner shooting --horizon 24 --candidates 16 \
        --episodes 2 --max-steps 150 --out "docs/results/$name/plan"
done
