"""A finished run says what happened, and what to do next."""

from pathlib import Path

import pytest
from small_runs import NAMED

from covlaw.ladder.cli import main


@pytest.mark.parametrize("audits", [0, 1])
def test_a_run_ends_with_its_rewards_and_the_commands_that_read_it(
    audits: int, policy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    settings = {
        "rewards": str(list(NAMED)).replace("'", '"'),
        "steps": 2,
        "prompts": 2,
        "completions": 4,
        "max_tokens": 4,
        "audits": audits,
        "audit_prompts": 2,
        "audit_completions": 2,
        "measured_completions": 2,
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    where = ["--model", str(policy_folder), "--out", str(out)]
    assert main(["llm", "train", *where, "--set", *given]) == 0
    said = capsys.readouterr()
    text = " ".join((said.out + said.err).split())
    assert "2 steps of linear on digits, brief" in text
    assert "mean rewards, first and last steps: digits" in text
    assert "next: covlaw report" in text
    assert ("covlaw llm audit" in text) == (audits > 0)
