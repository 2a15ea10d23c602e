"""Rewards that see prompts and columns, have no opinion, are coroutines, or are TRL's."""

import asyncio
import json
from pathlib import Path

import pytest
import torch
from small_runs import small_run

from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.evaluate.evaluation import evaluate
from covlaw.llm.evaluate.summary import reward_estimates
from covlaw.llm.plan.train_plan import make_plan
from covlaw.llm.rewards import initial_state
from covlaw.llm.rewards.opinions import counted
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import Problem
from covlaw.llm.tasks.problem import Conversation
from covlaw.llm.train import train
from covlaw.records.runs import SAMPLES, STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.opinions import without_opinion

MINE = '''
import asyncio


def trl(prompts, completions, level, **kwargs):
    """As TRL's documentation has it, for prompts of either format."""
    contents = [c if isinstance(c, str) else c[0]["content"] for c in completions]
    asked = [p if isinstance(p, str) else p[-1]["content"] for p in prompts]
    return [len(a) + len(c) / 10 + 100 * n for a, c, n in zip(asked, contents, level)]


def formats(prompts, completions, **kwargs):
    return [isinstance(p, list) + 2 * isinstance(c, list) for p, c in zip(prompts, completions)]


def texts(completions, references, prompts):
    return [all(isinstance(x, str) for x in row) for row in zip(completions, references, prompts)]


def level(completions, level):
    return level


def four(answers, truths, n, memory):
    return [float(len(a) + len(t)) + k for a, t, k in zip(answers, truths, n.tolist())]


async def slowly(completions, level):
    await asyncio.sleep(0)
    return [2.0 * n for n in level]


def easy_only(completions, level):
    return [None if n > 1 else float("1" in c) for c, n in zip(completions, level)]


def some(completions, level):
    return [None if "a" in c else 1.0 for c in completions]


def nothing(completions, level):
    return [None for _ in completions]


def undefined(completions, level):
    return [None, float("nan"), 1.0, 1.0]


def harder(completions, difficulty):
    return difficulty
'''
TALK = Conversation([("system", "be brief"), ("user", "1 + 2")])
PROBLEMS = [
    Problem("<rendered>1 + 1", "2", {"level": 1}, question="1 + 1"),
    Problem("<rendered>", "3", {"level": 2, "kind": None}, question=TALK),
]
TEXTS = ["one", "a", "three", "b"]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("mine") / "mine.py"
    file.write_text(MINE)
    return str(file)


def scored(entry: str, seconds: float = 20.0) -> list[float]:
    prompt = torch.tensor([0, 0, 1, 1])
    mask = torch.ones(4, 2, dtype=torch.bool)
    drawn = Completions(mask.long(), mask, mask.long(), mask, mask.float(), prompt, TEXTS)
    found = Rewards([entry], seconds)(drawn, PROBLEMS, initial_state(torch.tensor([2.0])))
    column: list[float] = found[:, 0].tolist()
    return column


@pytest.mark.parametrize("seconds", [20.0, 0.0])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trl", [105.3, 105.1, 205.5, 205.1]),
        ("formats", [0, 0, 3, 3]),
        ("texts", [1, 1, 1, 1]),
        ("level", [1, 1, 2, 2]),
        ("slowly", [2, 2, 4, 4]),
        ("four", [6, 4, 8, 4]),
        ("easy_only", [0, 0, None, None]),
        ("some", [1, None, 1, 1]),
    ],
)
def test_each_is_called_as_it_asks_in_either_process(
    mine: str, name: str, expected: list[float | None], seconds: float
) -> None:
    found = [None if value != value else value for value in scored(f"{mine}:{name}", seconds)]
    assert found == expected


def test_an_async_reward_is_awaited_where_a_loop_is_running_already(mine: str) -> None:
    """As in a notebook, whose cells run inside one."""

    async def cell() -> list[float]:
        return scored(f"{mine}:slowly", 0.0)

    assert asyncio.run(cell()) == [2, 2, 4, 4]


@pytest.mark.parametrize("seconds", [20.0, 0.0])
def test_nan_is_no_way_to_have_no_opinion(mine: str, seconds: float) -> None:
    with pytest.raises(CovlawError, match="reward 'odd' is nan on completion 'a'"):
        scored(f"odd={mine}:undefined", seconds)


@pytest.mark.parametrize("seconds", [20.0, 0.0])
def test_a_column_that_is_not_there_is_named_before_work(
    mine: str, seconds: float, policy_folder: Path, tmp_path: Path
) -> None:
    entry = f"hard={mine}:harder"
    said = r"reward 'hard': it asks for difficulty, and there are .*, prompts, (answer, )?level"
    with pytest.raises(CovlawError, match=said):
        Rewards([entry], seconds).require(PROBLEMS)
    config = run_config(policy_folder, tmp_path, (entry,), reward_seconds=seconds)
    for attempt in (make_plan, train):
        with pytest.raises(CovlawError, match=said):
            attempt(config)
    assert not (tmp_path / "run" / "config.toml").exists()


def run_config(policy: Path, folder: Path, rewards: tuple[str, ...], **settings: object):
    """Two thirds of the prompts are of level 1, the others of level 2."""
    rows = [
        {"prompt": f"{a} + {b} = ?", "answer": str(a + b), "level": 1 + (a % 3 == 0)}
        for a in range(1, 7)
        for b in range(1, 4)
    ]
    for split in ("train", "val", "test"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text)
    return small_run(
        policy,
        folder / "run",
        task="jsonl",
        task_path=str(folder),
        rewards=(*rewards, "own_rewards:brief"),
        prompts=9,
        **settings,
    )


def test_a_run_leaves_out_and_counts_what_has_no_opinion(
    mine: str, policy_folder: Path, tmp_path: Path
) -> None:
    config = run_config(
        policy_folder,
        tmp_path,
        (f"easy={mine}:easy_only", f"none={mine}:nothing"),
        samples=200,
        evaluate_every=2,
        steps=2,
    )
    run = train(config)
    steps, samples = (list(read_lines(run / name)) for name in (STEPS, SAMPLES))
    for step, sample in zip(steps, samples, strict=True):
        values = [row["rewards"]["easy"] for row in sample["samples"]]
        seen = [value for value in values if value is not None]
        assert step["no_opinion"]["easy"]["completions"] == len(values) - len(seen) > 0
        assert step["no_opinion"]["easy"]["prompts"] == (len(values) - len(seen)) / 6
        assert step["no_opinion"]["none"] == {"completions": 54, "prompts": 9}
        assert step["reward_mean"][0] == pytest.approx(sum(seen) / len(seen), abs=1e-12)
        assert step["reward_mean"][1] is None
        assert step["dead_groups"]["none"] == 1
        advantages = [row["advantage"] for row in sample["samples"]]
        assert all(isinstance(value, float) for value in advantages)


def test_an_evaluation_is_over_the_prompts_with_an_opinion(
    mine: str, policy_folder: Path, tmp_path: Path
) -> None:
    config = run_config(policy_folder, tmp_path, (f"easy={mine}:easy_only",))
    found = evaluate(
        EvalConfig(
            model=config.model,
            task="jsonl",
            task_path=config.task_path,
            rewards=config.rewards,
            completions=4,
            max_tokens=6,
        )
    )
    easy = found.rewards[:, :, 0]
    seen = easy[~easy.isnan()]
    assert len(seen) == 12 * 4
    assert reward_estimates(found)[0].mean == pytest.approx(float(seen.mean()))


def test_what_is_left_out_moves_no_covariance() -> None:
    """Against finite differences of E[r | opinion] along a tilt, prompt by prompt."""
    generator = torch.Generator().manual_seed(0)
    reward, score = (torch.randn(40, generator=generator, dtype=torch.float64) for _ in range(2))
    prompt = torch.arange(4).repeat_interleave(10)
    silent = torch.rand(40, generator=generator) < 0.4
    silent[:10] = True
    given = torch.where(silent, torch.nan, reward)[:, None]
    full = without_opinion(given, prompt)[:, 0]
    for k in range(4):
        own = slice(10 * k, 10 * k + 10)
        known, r, s = ~silent[own], reward[own], score[own]
        change = float((full[own] * (s - s.mean())).mean())
        if k == 0:
            assert change == 0
            continue

        def mean(eta: float, known=known, r=r, s=s) -> float:
            tilted = torch.softmax(eta * s, 0)[known]
            return float(tilted @ r[known] / tilted.sum())

        slope = (mean(1e-4) - mean(-1e-4)) / 2e-4
        assert change == pytest.approx(float(known.double().mean()) * slope, abs=1e-7)
        naive = torch.where(known, r, 0.0)  # as if silence were worth 0
        assert abs(float((naive * (s - s.mean())).mean()) - change) > 1e-3


def test_equal_opinions_stay_equal_and_are_counted() -> None:
    given = torch.tensor([[0.1], [0.1], [torch.nan], [0.1], [torch.nan]], dtype=torch.float64)
    prompt = torch.tensor([0, 0, 0, 0, 1])
    assert without_opinion(given, prompt)[:, 0].tolist() == [0.1, 0.1, 0.1, 0.1, 0.0]
    assert counted(given, prompt, ("r",)) == {"r": {"completions": 2, "prompts": 1}}
    assert counted(given[:2], prompt[:2], ("r",)) == {}
