"""docs/reliability.md, made from what the suite counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
when the process dies. A disk that has no `flock` is refused in a line. On Windows, two writers are not kept apart.

Workers of `collect --workers N` hand in eight episodes at a time: so many are lost with each worker that is killed.

`worldgan data verify DATA` reads every byte of a data set and names each damaged file. `worldgan data repair DATA`
moves those to `DATA/damaged` and removes what is half written; the command that made the data set, run again, then
replaces them with the same bytes. A damaged `dataset.json` is found, too, but has to be restored from elsewhere.
Episodes missing at the end of a data set are not missed: it looks like a smaller one. A file that cannot be read may be
sound: both say so in a line, and nothing is moved.

worldgan uses the network for this alone: `export --web` fetches onnxruntime-web from the npm registry, once, and takes
nothing but the file of its known SHA-512; `push` and `pull` talk to the Hugging Face Hub; `play` serves a page, to this
machine alone unless `--host` says otherwise; and the processes of torchrun or Ray talk to each other, while Ray's usage
statistics stay off unless `RAY_USAGE_STATS_ENABLED` is set. Tests refuse every connection to another machine."""


def page(found: dict[str, Any]) -> str:
    """The whole page, of fault -> what was counted."""
    return "\n".join([HEAD, "", *_table(found), *_failures(found), TAIL, ""])


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
