"""Five million completions with ten rewards are read and inspected in less than a gigabyte."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.benchmark
ROWS, REWARDS, GROUP, STEPS = 5_000_000, 10, 8, 100
LIMIT = 1e9
SCRIPT = """
import json, resource, sys, time
import covlaw
start = time.time()
log = covlaw.read_log(sys.argv[1])
read = time.time()
found = covlaw.inspect_log(log).to_dict()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([peak, len(log), len(found["law"]), read - start, time.time() - read]))
"""


def test_five_million_completions_fit_in_a_gigabyte(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rng, path, rows = np.random.default_rng(0), tmp_path / "log.parquet", ROWS // STEPS
    names = [f"reward_{k}" for k in range(REWARDS)]
    schema = pyarrow.schema(
        [("step", pyarrow.int64()), ("prompt", pyarrow.string())]
        + [(name, pyarrow.float64()) for name in names]
    )
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for step in range(STEPS):
            columns = {
                "step": np.full(rows, step),
                "prompt": np.repeat([f"question {k}" for k in range(rows // GROUP)], GROUP),
            }
            columns |= {name: (rng.random(rows) < 0.5).astype(float) for name in names}
            writer.write_table(pyarrow.table(columns, schema=schema))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True
    )
    peak, completions, laws, read, inspected = json.loads(done.stdout)
    print(f"peak {peak / 1e6:.0f} MB, read {read:.0f} s, inspected {inspected:.0f} s")
    assert (completions, laws) == (ROWS, STEPS * REWARDS)
    assert peak < LIMIT
