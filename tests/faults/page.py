"""docs/reliability.md, made from what the suite counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

AT_WORK = "at work"
"""What kills that met a process at work are counted as."""

HEAD = """\
# Reliability

What was done to worldgan on purpose, how often, and what it cost. `make faults` does it all and writes this page and
[faults.json](results/faults.json), from which it is made; `make test` does a short sample of it.

"Held" are the cases in which what has to hold did. A process that was killed or refused is gone on with to its end, and
what it made is compared byte for byte with what one made that nothing happened to."""

TAIL = """
What this does not show: a loss of power. `kill -9` leaves what was handed to the system in its memory; that files are
synced before they get their names, and folders after, is tested, but no disk was unplugged.

One process at a time writes into a data set or run, by `flock` on the file `.lock` in it, which the system gives up
when the process dies. The shards of a collection share that lock, and write no file that another shard does. A disk
that has no `flock` is refused in a line. On Windows, two writers are not kept apart.

Workers of `collect --workers N` hand in eight episodes at a time: so many are lost with each worker that is killed.

`worldgan data verify DATA` reads every byte of a data set and names each damaged file. `worldgan data repair DATA`
moves those to `DATA/damaged` and removes what is half written; the command that made the data set, run again, then
replaces them with the same bytes. A damaged `dataset.json` is found, too, but has to be restored from elsewhere.
Episodes missing at the end of a data set are not missed: it looks like a smaller one. A file that cannot be read may be
sound: both say so in a line, and nothing is moved.

## Exceptions from determinism

The same seed, options and versions give the same bytes, in another process and after any interruption. Not the same are
the seconds that files note (such as `run.json`, `state.pt`, `learn.json` and the results of `bench`) and TensorBoard's
files, which hold times. A budget in minutes ends after as many updates as there was time for. Sums are rounded in other
places with another number of threads (`OMP_NUM_THREADS`), another number of ranks under `torchrun`, another kind of
processor (`model.precision=auto` uses bf16 where there are instructions for it), and on a GPU, which may not repeat
even its own bits. Episodes of random play depend on none of these, nor on the number of envs or workers; a planner may
choose otherwise where its batch has other rows.

## Network

worldgan uses the network for this alone: `export --web` fetches onnxruntime-web from the npm registry, once, and takes
nothing but the file of its known SHA-512; `push` and `pull` talk to the Hugging Face Hub; `play` serves a page, to this
machine alone unless `--host` says otherwise; and the processes of torchrun or Ray talk to each other, while Ray's usage
statistics stay off unless `RAY_USAGE_STATS_ENABLED` is set. Tests refuse every connection to another machine."""


def page(found: dict[str, Any]) -> str:
    """The whole page, of fault -> what was counted."""
    return "\n".join([HEAD, "", *_kills(found), *_origin(found), *_table(found), *_failures(found), TAIL, ""])


def _kills(found: dict[str, Any]) -> Iterator[str]:
    """Those that met a process at work, of all verbs together."""
    kinds = [name.partition(" ")[::2] for name in found]
    random = {verb: found[f"kill {verb}"]["counts"].get(AT_WORK, 0) for kind, verb in kinds if kind == "kill"}
    steps = {verb: found[f"step {verb}"]["tried"] for kind, verb in kinds if kind == "step"}
    if random or steps:
        yield f"`kill -9` met a process at work {_sum(random)} at a random moment,"
        yield f"and {_sum(steps)} at a step of writing. Kills that came when all was done are not among these."
        yield ""


def _sum(counts: dict[str, int]) -> str:
    parts = ", ".join(f"{verb} {count:,}" for verb, count in counts.items())
    return f"{sum(counts.values()):,} times ({parts})" if counts else "0 times"


def _origin(found: dict[str, Any]) -> Iterator[str]:
    """What was tested, and how long it took; older rows do not say."""
    known = [each for each in found.values() if "commit" in each]
    if known:
        commits = Counter(each["commit"] for each in known)
        rows = ", ".join(f"{commit} ({count})" for commit, count in commits.items())
        minutes = sum(each["seconds"] for each in known) / 60
        yield f"Commits, and how many rows are of each: {rows}. These rows took {minutes:,.0f} minutes together."
        yield ""


def _table(found: dict[str, Any]) -> Iterator[str]:
    parts = [name for name, each in found.items() if each["share"] < 1]
    if parts:
        yield "The numbers are of a part of the whole suite where the last column says so."
        yield ""
    yield from (
        "| fault | tried | held | what has to hold | what is lost | share |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    for each in found.values():
        seen = "; ".join(f"{what}: {count:,}" for what, count in each["counts"].items())
        fault = f"{each['fault']} ({seen})" if seen else each["fault"]
        cells = [fault, f"{each['tried']:,}", f"{each['tried'] - each['failed']:,}", each["holds"], each["lost"]]
        yield f"| {' | '.join(cells)} | {100 * each['share']:g} % |"


def _failures(found: dict[str, Any]) -> Iterator[str]:
    failures = [f"- {each['fault']}: `{failure}`" for each in found.values() for failure in each["failures"]]
    if failures:
        yield from ("", "What did not hold:", "", *failures)
