"""Two writers of one folder."""

from __future__ import annotations

from pathlib import Path

from disks import ended, work
from jobs import Job
from kills import FORK
from tally import Tally


def rivals(job: Job, folder: Path, times: int) -> Tally:
    """Two processes do the same work in the same folder, from the same moment on."""
    tally = Tally(
        f"two writers of {job.name}",
        "one is refused in one line, or comes when all is done; the other ends with the same bytes as alone",
        "nothing",
    )
    job.run(folder / "whole", lambda amount: None)
    whole = job.result(folder / "whole")
    for number in range(times):
        out = folder / f"both{number}"
        with tally.case(str(number)):
            both = [FORK.Process(target=work, args=(job, out)) for _ in range(2)]
            for process in both:
                process.start()
            codes = sorted(map(ended, both))
            assert codes in ([0, 0], [0, 2]), codes
            tally.count("refused" if codes[1] else "came when all was done")
            job.check(out, 0)
            assert job.result(out) == whole
    return tally
