#!/usr/bin/env bash
# Families on every env whose next-frame distribution is known, trained for equal minutes and measured against it.
# Can be interrupted: run it again to go on, also with more minutes. usage: benchmarks/known.sh [MINUTES] [FAMILY...]
set -euo pipefail
minutes=${1:-10}
[ $# -gt 0 ] && shift
families=("$@")
[ $# -gt 0 ] || families=(gan mse)
measure() { # name, env and its options
    local name=$1 env=$2
    shift 2
    worldgan collect --env "worldgan/$env-v0" --steps 30000 --out "data/$name" ${1:+--env-args "$@"}
    worldgan compare --data "data/$name" --families "${families[@]}" --minutes "$minutes" --config known --drift 500 \
        --out "docs/results/known/$name"
}
measure turners-2 Turners
measure turners-1 Turners count=1
measure flash Flash
measure head Head
measure climber Climber
measure glider Glider
