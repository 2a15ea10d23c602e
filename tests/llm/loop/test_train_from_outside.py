"""A run whose scalarizer, task, rewards and engine all come from a folder of the user's own."""

import json
import shutil
from pathlib import Path

from covlaw.ladder.cli import main

MINE = Path(__file__).parents[2] / "_shared/from_outside.py"


def test_all_of_them_work_in_llm_train(tmp_path: Path, policy_folder: Path) -> None:
    mine = Path(shutil.copy(MINE, tmp_path / "mine.py"))
    out = tmp_path / "run"
    command = [
        *("llm", "train", "--model", str(policy_folder), "--out", str(out)),
        *("--scalarizer", f"first={mine}:FirstOnly", "--set", "options.first.weight=2.0"),
        *(f"task={mine}:additions", "task_options.count=3", f"engine={mine}:echo"),
        *(
            f'rewards=["short={mine}:short", "clarity"]',
            "steps=1",
            f"loss={mine}:Reinforce",
            "audits=0",
            "prompts=2",
        ),
        *("completions=2", "observed=2", "max_tokens=4", "samples=1", "reward_seconds=0"),
    ]
    assert main(command) == 0
    step = json.loads((out / "steps.jsonl").read_text())
    assert (step["scalarizer"], step["objectives"]) == ("first", ["short", "clarity"])
    assert 0.25 <= step["reward_mean"][0] <= 1
