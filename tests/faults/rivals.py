"""Two writers of one folder."""

from __future__ import annotations

from pathlib import Path

from disks import ended, work
from jobs import Job
from kills import FORK, interrupted, uninterrupted
from tally import Tally

ALONE = "one is refused in one line, or comes when all is done; the other ends with the same bytes as alone"
PARTS = "each part has one writer, and the other is refused it in one line; going on ends with the same bytes as alone"


def rivals(job: Job, folder: Path, times: int, *, parts: bool = False) -> Tally:
    """Two processes do the same work in the same folder, from the same moment on.

    parts: whether they may share the work, so that both are refused what the other does.
    """
    tally = Tally(f"two writers of {job.name}", PARTS if parts else ALONE, "nothing")
    whole, _ = uninterrupted(job, folder)
    for number in range(times):
        out = folder / f"both{number}"
        with tally.case(str(number)):
            both = [FORK.Process(target=work, args=(job, out)) for _ in range(2)]
            for process in both:
                process.start()
            codes = sorted(map(ended, both))
            assert codes in ([0, 0], [0, 2], *([[2, 2]] if parts else [])), codes
            tally.count({0: "came when all was done", 2: "refused", 4: "both refused"}[sum(codes)])
            job.check(out, 0)
            if parts:
                interrupted(job, out, None)
            assert job.result(out) == whole
    return tally
