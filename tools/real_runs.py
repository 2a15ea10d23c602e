"""Record runs on the real model, finished or not, small: what they did, step by step and held out.

    python -m covlaw.ladder.real --seeds 3 --steps 40 --audits 4 \
        --methods linear guarded ctwa-fast mgda --out runs/real-long
    python tools/real_runs.py runs/real-long [--out figures/data/real]

`real.json`: of each finished run its curves, audits, the guard's weights, and what it changed on
held-out prompts beside the base, which takes a minute or two a run; runs that the file holds
already are not judged again. Unfinished ones are left out, and named.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from covlaw.ladder.plain_text import complain
from covlaw.ladder.real.__main__ import say
from covlaw.ladder.real.judged import LEAST_PROMPTS, Sizes, words
from covlaw.ladder.real.record import jobs_in, write_record
from covlaw.ladder.real.settings import require_counts
from covlaw.theory._numerics.errors import CovlawError


def main(argv: Sequence[str] | None = None) -> int:
    """Judge what is finished and not yet recorded, write the record; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="folder with runs such as linear-seed0")
    parser.add_argument("--out", type=Path, default=Path("figures/data/real"))
    parser.add_argument("--prompts", type=int, default=64, help="held out, that judge the runs")
    parser.add_argument("--threads", type=int, default=0, help="default: as many as trained")
    given = parser.parse_args(argv)
    try:
        require_counts(prompts=(given.prompts, LEAST_PROMPTS), threads=(given.threads, 0))
        sizes, jobs = Sizes(given.prompts), jobs_in(given.runs)
        record = write_record(given.runs, jobs, say, given.out, sizes=sizes, threads=given.threads)
    except CovlawError as error:
        return complain(str(error))
    for line in words(record):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
