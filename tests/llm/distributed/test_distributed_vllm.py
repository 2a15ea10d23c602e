"""vLLM on two ranks: an engine in each process, and groups that do not meet."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from ranked import Ranked
from small_runs import small_run

from covlaw.records.runs import STEPS, read_lines

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM: make test-vllm"),
]


def test_each_rank_samples_with_an_engine_of_its_own(
    ranked: Ranked, served_folder: Path, tmp_path: Path
) -> None:
    config = small_run(
        served_folder,
        tmp_path / "run",
        rewards=("conciseness_reference", "clarity_reference"),
        scalarizer="ctwa",
        engine="vllm",
        engine_options={"max_num_seqs": 64},
        steps=3,
        prompts=5,
        completions=4,
        observed=4,
        audits=1,
        audit_prompts=3,
        audit_completions=4,
        measured_completions=4,
        rank_seconds=120.0,
    )
    assert ranked.results("train", settings=config.to_dict()) == [True, False]
    steps = list(read_lines(tmp_path / "run" / STEPS))
    assert len(steps) == 3
    # both engines' samples are compared with the trainer's policy after every sync
    assert all(0 < step["engine_log_prob_gap"] < 1e-4 for step in steps)
