"""What a step says of how far it moved the policy, against two plain reads of it."""

import math
from pathlib import Path

import pytest
import torch
from small_runs import small_run
from torch.distributions import Categorical, kl_divergence
from transformers import AutoModelForCausalLM

from covlaw.llm.audit.impossible import warn_of_impossible
from covlaw.llm.loop import trainer
from covlaw.llm.loop.moved import movement
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import Sampler
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines


def plain_log_prob(folder: Path, drawn: Completions) -> torch.Tensor:
    """(N, T) by a forward pass of the saved model over each row alone, without padding."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = torch.zeros(drawn.tokens.shape, dtype=torch.float64)
    for i, (prompt, row) in enumerate(zip(drawn.prompt_tokens, drawn.tokens, strict=True)):
        ids = torch.cat([prompt[drawn.prompt_mask[i]], row[drawn.mask[i]]])
        count = int(drawn.mask[i].sum())
        with torch.no_grad():
            logits = model(ids[None]).logits[0, -count - 1 : -1].double()
        chosen = torch.log_softmax(logits, -1).gather(1, ids[-count:, None])[:, 0]
        found[i, :count] = chosen
    return found


def test_the_record_is_that_of_two_plain_reads(
    policy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Completions] = []

    class Seen(Sampler):
        def sample(self, *arguments, **named):
            drawn.append(super().sample(*arguments, **named))
            return drawn[-1]

    monkeypatch.setattr(trainer, "Sampler", Seen)
    config = small_run(policy_folder, tmp_path / "run", steps=1, audits=0, moved_rows=1000)
    run = train(config)
    (step,) = read_lines(run / STEPS)
    batch = drawn[0]
    apart = plain_log_prob(run / "model", batch) - plain_log_prob(policy_folder, batch)
    whole = apart.sum(1).abs()
    found = step["moved"]
    # float32 log-probs: each token errs by about 1e-6
    assert found["log_ratio"] == pytest.approx(float(whole.mean()), abs=1e-5)
    assert found["largest"] == pytest.approx(float(whole.max()), abs=1e-5)
    kl = float((apart.exp() - 1 - apart).sum(1).mean())
    assert found["kl"] == pytest.approx(kl, abs=1e-5)
    assert found["rows"] == 24
    assert found["largest"] > 0.01


def test_kl_is_unbiased_for_that_of_the_new_policy_from_the_old_one() -> None:
    """One token of 40,000 draws against the closed form, at five standard errors."""
    generator = torch.Generator().manual_seed(0)
    old, new = (torch.randn(6, generator=generator, dtype=torch.float64) for _ in range(2))
    p, q = (torch.log_softmax(x, 0) for x in (old, old + 0.3 * new))
    drawn = torch.multinomial(p.exp(), 40_000, replacement=True, generator=generator)
    ratio = (q - p)[drawn][:, None]
    truth = float(kl_divergence(Categorical(logits=p), Categorical(logits=q)))
    spread = float((ratio.exp() - 1 - ratio).std()) / 200
    assert abs(movement(ratio)["kl"] - truth) < 5 * spread
    reverse = float(kl_divergence(Categorical(logits=q), Categorical(logits=p)))
    assert abs(movement(ratio)["kl"] - reverse) > 5 * spread


@pytest.mark.parametrize(("rate", "said"), [(1e-3, 0), (0.3, 1)])
def test_a_step_that_explodes_is_said_once(
    policy_folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    rate: float,
    said: int,
) -> None:
    config = small_run(policy_folder, tmp_path / "run", learning_rate=rate, steps=3, audits=0)
    steps = list(read_lines(train(config) / STEPS))
    assert caplog.text.count("changed the probability of a completion of its own batch") == said
    assert caplog.text.count("usually takes about") == said
    assert (max(s["moved"]["largest"] for s in steps) > math.log(1000)) == bool(said)


def test_no_rows_no_entry(policy_folder: Path, tmp_path: Path) -> None:
    run = train(small_run(policy_folder, tmp_path / "run", steps=1, audits=0, moved_rows=0))
    assert all("moved" not in step for step in read_lines(run / STEPS))


def test_a_change_beyond_what_the_values_span_is_said(caplog: pytest.LogCaptureFixture) -> None:
    rewards = torch.tensor([[0.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    record = {"exact_change": {"estimate": [5_049_429.0, -1.9]}}
    warn_of_impossible(7, record, rewards, ("right", "long"))
    assert "audit of step 7: the exact form says 'right' changed by 5.05e+06" in caplog.text
    assert "'long'" not in caplog.text
