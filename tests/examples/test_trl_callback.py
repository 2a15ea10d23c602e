"""examples/trl_callback.py and the score of trl_audit.py, driven by a plain loop instead of TRL."""

from types import SimpleNamespace

import first_token_world as world
import pytest
import torch
from scipy import stats

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers import Batch, Observation, make_scalarizer

from trl_audit import REWARDS, Score  # isort: skip  # on the path through the world
from trl_callback import Audit  # isort: skip

STEPS, COMPLETIONS = 3, 64
RATE = 1e-5
"""Chance that a right audit fails one of these tests, over all of its comparisons."""


def settings(**changed) -> SimpleNamespace:
    given = {"world_size": 1, "top_p": 1.0, "top_k": 0, "temperature": 1.0, "seed": 0}
    given |= {"max_completion_length": 1, "scale_rewards": "none"}
    return SimpleNamespace(**(given | changed))


def exact_step(model, tokenizer, weights) -> None:
    """Follow the exact gradient of the weighted expected reward, no sampling."""
    ids = [tokenizer(row["prompt"], return_tensors="pt")["input_ids"] for row in world.ROWS]
    probs = torch.cat([model(i).logits[:, -1] for i in ids]).softmax(1).double()
    score = sum(w * world.TABLES[name] for name, w in weights.items())
    gradients = torch.autograd.grad((probs @ score).mean(), list(model.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter += 0.3 * gradient


def audited(weights, every=1, **changed):
    """A loop of exact steps: the audit, and the expected rewards before each step and after all."""
    model, tokenizer = world.policy()
    share = torch.tensor(list(weights.values()), dtype=torch.float64)
    audit = Audit(
        world.rewards(weights),
        world.ROWS,
        lambda rewards, prompt: rewards @ share,
        completions=COMPLETIONS,
        every=every,
        show=lambda line: None,
    )
    held, path = {"model": model, "processing_class": tokenizer}, []
    for step in range(STEPS):
        path.append(world.expected(world.log_probs(model, tokenizer), weights))
        audit.on_step_begin(settings(**changed), SimpleNamespace(global_step=step), None, **held)
        exact_step(model, tokenizer, weights)
        audit.on_step_end(settings(**changed), SimpleNamespace(global_step=step + 1), None, **held)
    path.append(world.expected(world.log_probs(model, tokenizer), weights))
    return audit, torch.stack(path)


def quantile(comparisons: int) -> float:
    """Standard errors that a right estimate exceeds with chance RATE / comparisons."""
    return float(stats.t.isf(RATE / comparisons / 2, len(world.ROWS) - 1))


def test_a_planted_conflict_is_forecast_and_its_fall_measured() -> None:
    audit, path = audited(world.WEIGHTS)
    moved = path.diff(dim=0)
    assert (moved[:, 1] < 0).all()
    for found, change in zip(audit.audited, moved, strict=True):
        assert found.forecast.alarm.tolist() == [False, True]
        assert (found.did.estimate.sign() == change.sign()).all()
        error = (found.did.estimate - change).abs()
        assert (error <= quantile(2 * STEPS) * found.did.standard_error).all()


def test_rewards_that_agree_raise_no_alarm() -> None:
    audit, path = audited(world.ALIGNED)
    assert (path.diff(dim=0) > 0).all()
    assert not any(bool(found.forecast.alarm.any()) for found in audit.audited)


def test_every_second_step_is_audited_if_asked() -> None:
    audit, _ = audited(world.WEIGHTS, every=2)
    assert [found.step for found in audit.audited] == [1, 3]


def test_the_forecast_is_of_what_the_deviations_make_of_the_score() -> None:
    plain, scaled = (audited(world.WEIGHTS, scale_rewards=s)[0] for s in ("none", "group"))
    first, other = plain.audited[0].forecast, scaled.audited[0].forecast
    assert torch.equal(first.rewards, other.rewards)
    by_prompt = [
        (rows[:, 0] * 0.8 + rows[:, 1] * 0.2).std() for rows in first.rewards.split(COMPLETIONS)
    ]
    expected = first.law.per_prompt / torch.stack(by_prompt)[:, None]
    torch.testing.assert_close(other.law.per_prompt, expected)


@pytest.mark.parametrize("wrong", [{"world_size": 2}, {"top_p": 0.9}, {"top_k": 50}])
def test_settings_under_which_it_would_be_wrong_are_refused(wrong) -> None:
    with pytest.raises(CovlawError, match="one process, top_p=1 and top_k=0"):
        audited(world.WEIGHTS, **wrong)


def test_the_model_is_left_in_the_mode_it_was_in() -> None:
    model, tokenizer = world.policy()
    audit = Audit(world.rewards(world.WEIGHTS), world.ROWS, lambda rewards, prompt: rewards[:, 0])
    for training in (True, False):
        model.train(training)
        state = SimpleNamespace(global_step=0)
        audit.on_step_begin(settings(), state, None, model=model, processing_class=tokenizer)
        assert model.training is training


COLUMNS = {
    "prompts": ["3 + 4 = ?", "3 + 4 = ?", "9 - 1 = ?", "9 - 1 = ?"],
    "completions": [
        r"\boxed{7}",
        r"so \boxed{ 8 }",
        "8",
        r"step 1 : 9 - 1 = 8 step 2 : so \boxed{8}",
    ],
    "completion_ids": [[1] * 20, [1] * 21, [1], [1] * 30],
    "answer": ["7", "7", "8", "8"],
}
EXPECTED = [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]


def test_the_score_is_the_scalarizers() -> None:
    rewards, prompt = torch.tensor(EXPECTED, dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    for name in ("linear", "covariance_mgda", "ctwa"):
        scalarizer = make_scalarizer(name, list(REWARDS))
        expected = scalarizer.signal(scalarizer.init(), Batch(rewards, prompt))[1].score
        score = Score(name, REWARDS)
        assert score(**COLUMNS) == expected.tolist()
        assert torch.equal(score.peek(rewards, prompt), expected)


def test_ctwa_raises_the_weight_of_what_it_saw_fall() -> None:
    rewards, prompt = torch.tensor(EXPECTED, dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    score = Score("ctwa", REWARDS)
    before = score.peek(rewards, prompt)
    score.learn(Observation(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)))
    gained = score.peek(rewards, prompt) - before
    assert gained[3] > 0 > gained[0]  # the fourth completion alone has the third reward


@pytest.mark.parametrize(("name", "needs"), [("mgda", "gramian"), ("famo", "losses")])
def test_scalarizers_that_need_more_than_trl_gives_are_refused(name: str, needs: str) -> None:
    with pytest.raises(CovlawError, match=f"{name} needs .*{needs}"):
        Score(name, REWARDS)


def test_scalarizers_that_set_the_advantage_are_refused() -> None:
    with pytest.raises(CovlawError, match="gdpo sets the advantage"):
        Score("gdpo", REWARDS)(**COLUMNS)
