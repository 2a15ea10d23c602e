"""docs/rewards.md does what it says: its file is written, its commands run, its tables are true."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import torch

from covlaw.ladder.cli import main
from covlaw.llm.rewards import REWARDS, RewardState, initial_state, load_reward
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import Problem
from covlaw.records.runs import STEPS, read_config, read_lines

REPOSITORY = Path(__file__).parents[3]
DOC = (REPOSITORY / "docs" / "rewards.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.split(text)[1:] for language, text in BLOCKS if language == "bash"]
SMALL = ["steps=2", "prompts=2", "completions=2", "max_tokens=4", "audits=0"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the package with the document's Python file."""
    sources = [text for language, text in BLOCKS if language == "python"]
    name = re.match(r"# (\w+\.py)\n", sources[0])
    assert name is not None
    (tmp_path / name[1]).write_text("\n\n".join(sources))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_something_to_run() -> None:
    assert [command[:2] for command in COMMANDS] == [
        *(["llm", "train"], ["llm", "train"], ["llm", "eval"], ["llm", "train"])
    ]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[1] == "train"], ids=" ".join)
def test_its_training_commands_run(
    command: list[str], elsewhere: Path, policy_folder: Path
) -> None:
    small = [flag for setting in (*SMALL, f"model={policy_folder}") for flag in ("--set", setting)]
    assert main([*command, *small]) == 0
    run = elsewhere / command[command.index("--out") + 1]
    entries = read_config(run)["rewards"]
    for step in read_lines(run / STEPS):
        assert step["objectives"] == [entry.partition("=")[0] for entry in entries]
        assert 1 / 4 <= step["reward_mean"][1] <= 1  # 1/length, of 1 to 4 tokens


def test_its_rewards_by_name_score(elsewhere: Path) -> None:
    prompt, mask = torch.tensor([0, 0]), torch.ones(2, 1, dtype=torch.bool)
    texts = ["one two", "two"]
    drawn = Completions(mask.long(), mask, mask.long(), mask, mask.float(), prompt, texts)
    problems = [Problem("one two three", "", {"level": 1})]
    rewards = Rewards(["my_rewards.py:at_level", "my_rewards.py:asked"])
    found = rewards(drawn, problems, initial_state(torch.ones(1)))
    torch.testing.assert_close(found, torch.tensor([[0.2, 2 / 3], [0.1, 1 / 3]]).double())


def test_weights_by_name_are_recorded(elsewhere: Path, policy_folder: Path) -> None:
    command = next(c for c in COMMANDS if "runs/weighted" in c)
    small = [flag for setting in (*SMALL, f"model={policy_folder}") for flag in ("--set", setting)]
    assert main([*command, *small]) == 0
    assert [s["weights"] for s in read_lines(Path("runs/weighted") / STEPS)] == [[0.75, 0.25]] * 2


def test_its_evaluation_runs(
    elsewhere: Path, policy_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = (c for c in COMMANDS if c[1] == "eval")
    place = command.index("eval") + 1
    small = ["--limit", "3", "--completions", "2", "--max-tokens", "4"]
    assert main([*command[:place], str(policy_folder), *small, *command[place:]]) == 0
    assert "brief" in capsys.readouterr().out


def test_every_reward_is_in_its_tables() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", DOC, re.MULTILINE))
    assert set(REWARDS) <= rows
    assert {"completions", "references", "lengths", "state"} <= rows
    assert all(f"`{field}`" in DOC for field in RewardState._fields)


def test_its_toml_is_valid() -> None:
    (text,) = (text for language, text in BLOCKS if language == "toml")
    assert tomllib.loads(text)["rewards"][2] == "brief=my_rewards.py:brief"


def test_the_examples_score_as_they_say() -> None:
    texts = ["the answer is 4", "four four", ""]
    state = initial_state(torch.tensor([3]))
    found = {
        name: list(
            load_reward(f"{REPOSITORY}/examples/own_reward.py:{name}")(
                texts, ["6"] * 3, torch.tensor([4, 2, 1]), state
            )
        )
        for name in ("polite", "varied", "near")
    }
    assert found["polite"] == [1.0, 0.0, 0.0]
    assert found["varied"] == [1.0, 0.5, 0.0]
    assert found["near"] == [1 / 3, 0.0, 0.0]
