"""TRL's trainers with a scalarizer of ours: its weights are right, and TRL's own things stay."""

import warnings

import first_token_world as world
import pytest
import torch
import trl_world
from datasets import Dataset
from transformers import TrainerCallback

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers import SCALARIZERS, Batch, make_scalarizer
from covlaw.trl import Audit, Guard, Scalarized

NAMES = ("wanted", "akin", "traded")
THREE = dict.fromkeys(NAMES, 1.0)


def make(folder, base="GRPOTrainer", **given):
    return trl_world.make(folder, base, Scalarized, **({"weights": THREE} | given))


class Kept:
    """What a trainer's batches were, and what became of them."""

    def __init__(self, trainer) -> None:
        self.rewards, self.weights, self.advantages = [], [], []
        score, place = trainer.covlaw.score, trainer.covlaw.place

        def scoring(rewards, tokens):
            self.rewards.append(rewards.double().clone())
            found = score(rewards, tokens)
            self.weights.append(trainer.reward_weights.clone())
            return found

        def placing(output):
            place(output)
            self.advantages.append(output["advantages"].clone())

        trainer.covlaw.score, trainer.covlaw.place = scoring, placing


def even(completion_ids, **_):
    return [float(ids[0] % 2 == 0) for ids in completion_ids]


@pytest.mark.parametrize("base", ["GRPOTrainer", "RLOOTrainer"])
@pytest.mark.parametrize("scalarizer", sorted(SCALARIZERS))
def test_every_scalarizer_trains(tmp_path, scalarizer, base) -> None:
    functions = [*trl_world.rewards(("wanted", "akin")), even]  # no two of them opposed
    given = {"reward_funcs": functions, "scalarizer": scalarizer, "max_steps": 2}
    trainer = make(tmp_path, base, **given)
    kept = Kept(trainer)
    before = {n: p.clone() for n, p in trainer.model.named_parameters()}
    trainer.train()
    assert len(kept.rewards) == 2
    assert all(torch.isfinite(a).all() for a in kept.advantages)
    assert any(not torch.equal(before[n], p) for n, p in trainer.model.named_parameters())


def test_weights_are_the_scalarizers_on_the_whole_batchs_rewards(tmp_path) -> None:
    """The same scalarizer by hand, on the rewards that the batch had."""
    trainer = make(tmp_path, scalarizer="covariance_mgda")
    kept = Kept(trainer)
    trainer.train()
    alone = make_scalarizer("covariance_mgda", NAMES)
    state = alone.init()
    prompt = torch.arange(len(kept.rewards[0])) // trl_world.GENERATIONS
    for rewards, weights in zip(kept.rewards, kept.weights, strict=True):
        state, signal = alone.signal(state, Batch(rewards, prompt))
        torch.testing.assert_close(weights, signal.weights.float())
    assert len({tuple(w.tolist()) for w in kept.weights}) == trl_world.STEPS


def test_the_gramian_is_that_of_the_rewards_policy_gradients(tmp_path) -> None:
    """By autograd on the logits of a plain pass, a completion at a time."""
    trainer = make(tmp_path, scalarizer="mgda", max_steps=1)
    kept, tokens = Kept(trainer), []
    generate = trainer._generate

    def generating(prompts):
        found = generate(prompts)
        tokens.append(found[:2])
        return found

    trainer._generate = generating
    model = world.policy()[0]
    model.load_state_dict(trainer.model.state_dict())
    trainer.train()
    (rewards,), (ids,) = kept.rewards, tokens
    count = trl_world.GENERATIONS
    grouped = rewards.view(-1, count, 3)
    centred = (grouped - grouped.mean(1, keepdim=True)).view(-1, 3)
    gradients = torch.zeros(3, sum(p.numel() for p in model.parameters()), dtype=torch.float64)
    for start in range(0, len(rewards), count):  # one prompt's completions share their logits
        logits = model(torch.tensor([ids[0][start]])).logits[0, -1]
        log_prob = torch.log_softmax(logits, 0)
        chosen = log_prob[torch.tensor([c[0] for c in ids[1][start : start + count]])]
        for j in range(3):
            found = torch.autograd.grad(
                (chosen * centred[start : start + count, j]).sum(),
                list(model.parameters()),
                retain_graph=True,
            )
            gradients[j] += torch.cat([g.reshape(-1) for g in found]).double() / len(rewards)
    exact = gradients @ gradients.T
    close = 1e3 * torch.finfo(torch.float32).eps * exact.diagonal().max()  # 136 sums in float32
    assert float((trainer.covlaw.gramian - exact).abs().max()) <= close
    assert float(exact.diagonal().min()) > 100 * close


def test_observing_completions_take_no_part_in_the_step(tmp_path) -> None:
    """Advantage 0, and the others' baseline is their own; the log shows their rewards too."""
    trainer = make(tmp_path, scalarizer="ctwa", observed=3, max_steps=1, scale_rewards="none")
    kept = Kept(trainer)
    trainer.train()
    count, used = trl_world.GENERATIONS, trl_world.GENERATIONS - 3
    advantage = kept.advantages[0].view(-1, count)
    assert (advantage[:, used:] == 0).all()
    score = (kept.rewards[0] @ kept.weights[0].double()).view(-1, count)[:, :used]
    close = 16 * torch.finfo(torch.float32).eps
    assert float((advantage[:, :used] - (score - score.mean(1, keepdim=True))).abs().max()) <= close
    logged = torch.tensor([list(trainer._logs["rewards"][n]) for n in NAMES]).T
    assert torch.equal(logged, kept.rewards[0].to(logged))


def test_ctwa_learns_the_exact_change_on_completions_apart(tmp_path) -> None:
    """Its state moves once a step, by what enumeration says within sampling error."""
    snapshots = trl_world.Snapshots()
    trainer = make(
        tmp_path,
        scalarizer="ctwa",
        observed=32,
        num_generations=40,
        per_device_train_batch_size=len(world.ROWS) * 40,
        callbacks=[snapshots],
    )
    seen, update = [], trainer.covlaw.scalarizer.update

    def updating(state, observation):
        seen.append(observation)
        return update(state, observation)

    trainer.covlaw.scalarizer = SpiedOn(trainer.covlaw.scalarizer, updating)
    trainer.train()
    changes = snapshots.changes(trainer.processing_class, NAMES)
    assert len(seen) == trl_world.STEPS
    found = torch.stack([o.covariance for o in seen])
    # standard deviation of a mean of 544 products of order .2 · .05, times 5
    assert float((found - changes).abs().max()) <= 5 * 0.2 * 0.1 / 544**0.5
    assert float(changes.abs().max()) > 5 * 0.2 * 0.1 / 544**0.5


class SpiedOn:
    """A scalarizer with another `update`."""

    def __init__(self, scalarizer, update) -> None:
        self._scalarizer, self.update = scalarizer, update

    def __getattr__(self, name):
        return getattr(self._scalarizer, name)


@pytest.mark.parametrize("generations", [1, 4])
def test_evaluation_teaches_nothing(tmp_path, generations) -> None:
    """With an evaluation after each step the run is the same; one completion a prompt will do."""
    data = Dataset.from_list(world.ROWS[:4])
    runs = []
    for given in ({}, {"eval_strategy": "steps", "eval_steps": 1}):
        trainer = make(
            tmp_path,
            scalarizer="ctwa",
            eval_dataset=data,
            num_generations_eval=generations,
            per_device_eval_batch_size=4,
            callbacks=[Audit(rows=4, completions=4, every=1, on_alarm=lambda f: None)],
            **given,
        )
        counts = Counting(trainer)
        trainer.train()
        runs.append((counts.signals, counts.updates))
    assert runs == [(3, 3), (3, 3)]
    assert any("eval_reward" in line for line in trainer.state.log_history)


class Counting:
    """How often a trainer's scalarizer makes a signal that is kept, and learns."""

    def __init__(self, trainer) -> None:
        self.signals = self.updates = 0
        score, update = trainer.covlaw.score, trainer.covlaw.scalarizer.update

        def scoring(*args):
            self.signals += 1
            return score(*args)

        def updating(*args):
            self.updates += 1
            return update(*args)

        trainer.covlaw.score = scoring
        trainer.covlaw.scalarizer = SpiedOn(trainer.covlaw.scalarizer, updating)


class First(TrainerCallback):
    """The state as training's first step begins."""

    state = None

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        self.state = self.signals.state if self.state is None else self.state


def test_a_resumed_run_goes_on_with_its_state(tmp_path) -> None:
    options = {"scalarizer": "ctwa", "scalarizer_options": {"step": 50.0}, "save_strategy": "steps"}
    given = options | {"save_steps": 2, "max_steps": 4, "lr_scheduler_type": "constant"}
    first = make(tmp_path / "parts", **given | {"max_steps": 2})
    first.train()
    folder = tmp_path / "parts" / "checkpoint-2"
    assert (folder / "covlaw.safetensors").is_file()
    begun = First()
    second = make(tmp_path / "parts", callbacks=[begun], **given)
    begun.signals = second.covlaw
    second.train(resume_from_checkpoint=str(folder))
    assert second.state.global_step == 4
    fresh = make_scalarizer("ctwa", NAMES, step=50.0).init()
    for was, is_now, empty in zip(first.covlaw.state, begun.state, fresh, strict=True):
        assert torch.equal(was, is_now)
        assert not torch.equal(was, empty)
    other = make(tmp_path / "other", **given | {"scalarizer": "famo", "scalarizer_options": {}})
    with pytest.raises(CovlawError, match="state of scalarizer ctwa"):
        other.train(resume_from_checkpoint=str(folder))
    (folder / "covlaw.safetensors").unlink()
    with pytest.raises(CovlawError, match="would start over"):
        make(tmp_path / "none", **given).train(resume_from_checkpoint=str(folder))


def test_trls_curves_and_table_have_every_reward(tmp_path) -> None:
    import pandas as pd

    trainer = make(tmp_path, scalarizer="tchebycheff", log_completions=True, max_steps=1)
    kept = Kept(trainer)
    trainer.train()
    line = trainer.state.log_history[0]
    for j, name in enumerate(NAMES):
        assert line[f"rewards/{name}/mean"] == pytest.approx(float(kept.rewards[0][:, j].mean()))
    (file,) = (tmp_path / "completions").glob("*.parquet")
    table = pd.read_parquet(file)
    assert {*NAMES, "advantage"} <= {*table.columns}
    assert table["advantage"].tolist() == pytest.approx(kept.advantages[0].tolist())


def test_weights_are_logged(tmp_path) -> None:
    trainer = make(tmp_path, scalarizer="covariance_mgda", max_steps=1)
    kept = Kept(trainer)
    trainer.train()
    logged = [trainer.state.log_history[0][f"covlaw/weight/{n}"] for n in NAMES]
    assert logged == pytest.approx(kept.weights[0].tolist())


def test_none_is_no_opinion(tmp_path) -> None:
    """Weights are those of rewards filled by the prompt's mean; nothing is NaN."""

    def rarely(completion_ids, **_):
        return [None if k % 2 else float(ids[0] % 2) for k, ids in enumerate(completion_ids)]

    functions = [*trl_world.rewards(("wanted", "traded")), rarely]
    trainer = make(tmp_path, scalarizer="covariance_mgda", reward_funcs=functions)
    kept = Kept(trainer)
    made = [Audit(rows=4, completions=4, every=1, on_alarm=lambda f: None), Guard(rows=4)]
    for callback in made:
        trainer.add_callback(callback)
    trainer.train()
    grouped = kept.rewards[0].view(-1, trl_world.GENERATIONS, 3)
    filled = torch.where(grouped.isnan(), grouped.nanmean(1, keepdim=True), grouped).view(-1, 3)
    prompt = torch.arange(len(filled)) // trl_world.GENERATIONS
    alone = make_scalarizer("covariance_mgda", ("wanted", "traded", "rarely"))
    weights = alone.signal(alone.init(), Batch(filled, prompt))[1].weights
    torch.testing.assert_close(kept.weights[0], weights.float())
    assert torch.isfinite(made[0].audited[0].did.estimate).all()


def test_what_trl_cant_give_is_refused(tmp_path) -> None:
    with pytest.raises(CovlawError, match="raise num_generations to 4"):
        make(tmp_path, scalarizer="ctwa", num_generations=2)
    with pytest.raises(CovlawError, match="set beta above 0"):
        make(tmp_path, scalarizer="pama", scalarizer_options={"reference": True})
    options = {"scalarizer": "pama", "scalarizer_options": {"reference": True}}
    with pytest.raises(CovlawError, match="use GRPOTrainer"):
        make(tmp_path, "RLOOTrainer", **options)
    trainer = make(
        tmp_path, scalarizer="tchebycheff", multi_objective_aggregation="normalize_then_sum"
    )
    with pytest.raises(CovlawError, match="sum_then_normalize"):
        trainer.train()
    trainer = make(tmp_path, scalarizer="famo", reward_range={"wanted": (0.9, 1.0)})
    with pytest.raises(CovlawError, match=r"rewards of 'wanted' run .* reward_range=\{"):
        trainer.train()
    with warnings.catch_warnings(), pytest.raises(CovlawError, match="GRPOTrainer or RLOOTrainer"):
        Scalarized(dict)
