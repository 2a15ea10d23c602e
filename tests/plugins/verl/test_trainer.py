"""verl's own loop with our trainer: what it trains on, what it reports, and what it keeps.

Workers and the sampling engine are stand-ins (tests/_shared/verl_toy.py); the queue, the replay
buffer, the advantages, the checkpoints and the tracking are verl's.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from verl_toy import COMPLETIONS, NAMES, PROMPTS, Policy, build, configured, fit, reward

import covlaw
from covlaw.theory._numerics.errors import CovlawError

pytestmark = pytest.mark.usefixtures("queue")
FRESH = "trainer.resume_mode=disable"
WIDE = "actor_rollout_ref.rollout.n=256"
SIGMAS = 4.5
"""Standard errors within which a sampled number is right: 7e-6 of normal ones are further off."""


def trained(folder: Path, *more: str, rate: float = 1.0, scored: Any = reward, **ours: Any) -> Any:
    """A trainer after its run, its policy before, and what it tracked."""
    config = configured(folder, FRESH, *more, **{"rewards": NAMES, **ours})
    trainer = build(config, Policy(), rate, scored)
    before = Policy()
    return trainer, before, fit(trainer)


def of(step: dict[str, float], kind: str) -> torch.Tensor:
    return torch.tensor([step[f"covlaw/{kind}/{name}"] for name in NAMES]).double()


def exact_law(policy: Policy, weights: torch.Tensor) -> torch.Tensor:
    """Cov(r_j, r·w) by enumeration, the mean over prompts: (M,)."""
    found = torch.zeros(len(NAMES)).double()
    for p, mass in enumerate(policy.masses()):
        values = torch.tensor([[reward(p, y)[n] for n in NAMES] for y in COMPLETIONS]).double()
        centred = values - mass @ values
        found += centred.T @ (mass * (centred @ weights)) / PROMPTS
    return found


@pytest.mark.parametrize("ours", [{"scalarizer": "linear", "observed": 64}, {"scalarizer": "ctwa"}])
def test_what_a_step_did_and_where_its_signal_pulls_are_those_of_the_enumerated_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ours: dict[str, Any]
) -> None:
    one = ("trainer.total_training_steps=1", WIDE, "algorithm.norm_adv_by_std_in_grpo=False")
    trainer, before, [step] = trained(tmp_path, *one, every=1, **ours)
    weights = of(step, "weight")
    law, did = exact_law(before, weights), trainer.sampler.policy.expected() - before.expected()
    assert float(weights.sum()) == pytest.approx(1)
    assert ((of(step, "law") - law).abs() <= SIGMAS * of(step, "law_se")).all()
    assert ((of(step, "did") - did).abs() <= SIGMAS * of(step, "did_se")).all()
    assert (did.abs() > SIGMAS * of(step, "did_se")).any()  # else anything would be right
    assert ((of(step, "clipped") - law).abs() > 1e-6).any()  # some tokens are beyond the range
    said = capsys.readouterr().out
    assert said.count(f"covlaw {covlaw.__version__}: scalarizer {ours['scalarizer']} on right") == 1


def test_without_a_scalarizer_training_is_the_same_to_the_bit_as_in_verls_own_trainer(
    tmp_path: Path,
) -> None:
    ours, _, log = trained(tmp_path / "ours", every=1)
    plain = configured(tmp_path / "plain", FRESH, "trainer.v1.trainer_mode=sync")
    sync = build(plain, Policy())
    fit(sync)
    assert torch.equal(ours.sampler.policy.logits, sync.sampler.policy.logits)
    assert {"covlaw/did_in_sample/right", "covlaw/law/right", "covlaw/reward/brief"} <= set(log[0])
    assert "covlaw/did/right" not in log[0]  # no completion was kept apart


def test_a_weighted_sum_trains_as_the_same_sum_returned_by_the_reward_function_does(
    tmp_path: Path,
) -> None:
    weights = [0.5, 0.25, 0.25]

    def summed(prompt: int, tokens: tuple[int, ...]) -> dict[str, Any]:
        found = reward(prompt, tokens)
        return found | {"score": sum(w * found[n] for w, n in zip(weights, NAMES, strict=True))}

    options = {"weights": weights}
    ours, _, log = trained(tmp_path / "a", scalarizer="linear", options=options, every=0)
    plain = configured(tmp_path / "b", FRESH, "trainer.v1.trainer_mode=sync")
    sync = build(plain, Policy(), scored=summed)
    other = fit(sync)
    rounding = 64 * torch.finfo(torch.float32).eps
    torch.testing.assert_close(
        ours.sampler.policy.logits, sync.sampler.policy.logits, rtol=0, atol=rounding
    )
    assert log[0]["critic/rewards/mean"] == pytest.approx(other[0]["critic/rewards/mean"])
    assert log[0]["critic/score/mean"] == pytest.approx(log[0]["covlaw/reward/right"])  # as it was


def test_completions_that_observe_neither_train_nor_enter_a_baseline(tmp_path: Path) -> None:
    trainer, _, _ = trained(
        tmp_path, "trainer.total_training_steps=1", scalarizer="linear", observed=4, rate=0.0
    )
    rows, advantage = trainer.covlaw_seen.rows, trainer.covlaw_seen.advantage
    assert rows.observes.sum() == 4 * PROMPTS
    score = rows.rewards.mean(1)
    for part in (rows.observes, ~rows.observes):
        for p in range(PROMPTS):
            own = part & (rows.prompt == p)
            torch.testing.assert_close(
                advantage[own],
                (score[own] - score[own].mean()) / (score[own].std() + 1e-6),
                rtol=1e-4,
                atol=1e-5,
            )
    given = trainer.actor_rollout_wg.trained_on
    assert all(not given[key].any() for key in rows.of(observing=True))
    assert any(given[key].any() for key in rows.of(observing=False))


@pytest.mark.parametrize(
    "name",
    [
        *("linear", "tchebycheff", "lagrangian", "dynamic_hypervolume", "pama", "ctwa", "gdpo"),
        *("covariance_mgda", "smooth_tchebycheff", "famo", "rvpo", "dvao"),
    ],
)
def test_every_scalarizer_without_a_gramian_trains(tmp_path: Path, name: str) -> None:
    # no completion is better than the mean in both brief and clear, and pama moves for no other
    names = ["right", "clear"] if name == "pama" else NAMES
    trainer, before, log = trained(tmp_path, scalarizer=name, rewards=names, every=1)
    assert len(log) == 2
    moved = (trainer.sampler.policy.logits - before.logits).abs().max()
    assert 0 < float(moved) < float("inf")
    assert {f"covlaw/law/{n}" for n in names} <= set(log[1])


def test_scalarizers_a_token_train_with_a_reference_policy(tmp_path: Path) -> None:
    kl = "actor_rollout_ref.actor.use_kl_loss=True"
    for name in ("pama", "tchebycheff"):
        options = {"reference": True}
        trainer, before, _ = trained(tmp_path / name, kl, scalarizer=name, options=options, every=1)
        assert not torch.equal(trainer.sampler.policy.logits, before.logits)


def test_learning_steps_are_as_many_as_training_steps_whatever_is_evaluated(tmp_path: Path) -> None:
    evaluated = ("trainer.test_freq=1", "trainer.val_before_train=True")
    with_it, _, log = trained(tmp_path / "a", *evaluated, scalarizer="ctwa", every=0)
    without, _, _ = trained(tmp_path / "b", scalarizer="ctwa", every=0)
    assert any(k.startswith("val-") for step in log for k in step)
    assert with_it.actor_rollout_wg.passes == without.actor_rollout_wg.passes
    calls = []
    for trainer in (with_it, without):
        update = trainer.covlaw.scalarizer.update
        trainer.covlaw.scalarizer.update = lambda *a, _u=update: calls.append(1) or _u(*a)
        trainer._validate()
    assert calls == []


def test_the_second_pass_asks_the_policy_itself_and_only_where_that_is_due(tmp_path: Path) -> None:
    trainer, _, log = trained(
        tmp_path, "trainer.total_training_steps=3", scalarizer="linear", every=2, observed=4
    )
    passes = trainer.actor_rollout_wg.passes
    assert [p["calculate_entropy"] for p in passes] == [True, False, True, True, False]
    assert all(not p.get("no_lora_adapter") for p in passes)
    assert ["covlaw/did/right" in step for step in log] == [True, False, True]


def test_state_is_in_verls_checkpoints_and_a_resumed_run_goes_on_as_if_unbroken(
    tmp_path: Path,
) -> None:
    ours = {"rewards": NAMES, "scalarizer": "ctwa", "options": {"step": 5.0, "target": 0.01}}
    saved = ("trainer.save_freq=1", "trainer.total_training_steps=2")
    first = build(configured(tmp_path, *saved, **ours), Policy())
    fit(first)
    again = build(configured(tmp_path, *saved, "trainer.total_training_steps=4", **ours), Policy())
    assert again.global_steps == 2
    fresh = again.covlaw.scalarizer.init()
    for kept, own in zip(first.covlaw.state, again.covlaw.state, strict=True):
        assert torch.equal(kept, own)
    assert not all(torch.equal(a, b) for a, b in zip(again.covlaw.state, fresh, strict=True))
    assert torch.equal(first.sampler.policy.logits, again.sampler.policy.logits)
    with pytest.raises(CovlawError, match="holds the state of scalarizer ctwa, this run has famo"):
        build(configured(tmp_path, **{**ours, "scalarizer": "famo", "options": {}}), Policy())
    (tmp_path / "kept" / "global_step_2" / "covlaw.safetensors").unlink()
    with pytest.raises(CovlawError, match="written without a scalarizer"):
        build(configured(tmp_path, **ours), Policy())


def test_a_dump_has_the_rewards_and_inspect_reads_it(tmp_path: Path) -> None:
    dumped = f"trainer.rollout_data_dir={tmp_path}/dump"
    # 4 prompts of 16 in mini-batches of 3 × 16: verl fills the batch up
    filled = "actor_rollout_ref.actor.ppo_mini_batch_size=3"
    _, _, log = trained(tmp_path, dumped, filled, scalarizer="linear", every=0)
    lines = [json.loads(x) for x in (tmp_path / "dump" / "1.jsonl").read_text().splitlines()]
    assert len(lines) == 16 * PROMPTS
    assert {"input", "output", "score", "step", "uid", "group", *NAMES} <= set(lines[0])
    for line in lines:
        tokens = tuple(int(t) for t in line["output"].split())
        wanted = reward(int(line["input"].split()[-1]), tokens)
        assert {n: line[n] for n in NAMES} == pytest.approx({n: wanted[n] for n in NAMES})
    files = sorted((tmp_path / "dump").glob("*.jsonl"))
    found = covlaw.inspect_log(covlaw.read_log(files)).to_dict()
    assert found["format"] == "verl"
    assert found["rewards"] == NAMES
    assert found["steps"] == [1, 2]
    law = {(e["step"], e["reward"]): e["estimate"] for e in found["law"]}
    for at, name in ((at, name) for at in (1, 2) for name in NAMES):
        assert law[at, name] == pytest.approx(log[at - 1][f"covlaw/law/{name}"], abs=1e-5)


def test_none_and_nan_are_no_opinion(tmp_path: Path) -> None:
    def silent(prompt: int, tokens: tuple[int, ...]) -> dict[str, Any]:
        found = reward(prompt, tokens)
        if prompt == 0:
            return found | {"clear": None}
        return found | {"brief": float("nan")} if len(tokens) == 2 else found

    dumped = f"trainer.rollout_data_dir={tmp_path}/dump"
    trainer, _, log = trained(tmp_path, dumped, scored=silent, scalarizer="ctwa", every=1)
    assert torch.isfinite(trainer.sampler.policy.logits).all()
    assert all(torch.isfinite(of(step, "did")).all() for step in log)
    text = (tmp_path / "dump" / "1.jsonl").read_text()
    assert "NaN" not in text
    assert '"clear": null' in text


def test_completions_of_several_turns_count_once(tmp_path: Path) -> None:
    config = configured(tmp_path, FRESH, rewards=NAMES, scalarizer="linear", observed=4, every=1)
    trainer = build(config, Policy(), rate=0.0)
    trainer.sampler.turns = 2
    fit(trainer)
    rows = trainer.covlaw_seen.rows
    assert len(rows.keys) == 2 * 16 * PROMPTS
    assert len(rows.members) == 16 * PROMPTS
    assert len(rows.of(observing=True)) == 2 * 4 * PROMPTS


@pytest.mark.parametrize("lam", [1.0, 0.9])
def test_a_critic_learns_from_all_and_the_law_is_silent_where_tokens_differ(
    tmp_path: Path, lam: float
) -> None:
    critic = ("algorithm.adv_estimator=gae", f"algorithm.lam={lam}", "critic.ppo_mini_batch_size=4")
    trainer, _, log = trained(tmp_path, *critic, scalarizer="linear", observed=4, every=1)
    taught = torch.stack([row[-1] for row in trainer.critic_wg.taught]).double()
    rows = trainer.covlaw_seen.rows
    last = torch.tensor([members[-1] for members in rows.members])
    torch.testing.assert_close(taught[last], rows.rewards.mean(1), rtol=1e-5, atol=1e-6)
    for step in log:
        assert ("covlaw/law/right" in step) == (lam == 1.0)
        assert "covlaw/did/right" in step
    with pytest.raises(CovlawError, match="takes from a critic"):
        trained(tmp_path / "b", *critic, scalarizer="gdpo")


def test_a_penalty_in_the_reward_stays_verls(tmp_path: Path) -> None:
    penalty = ("algorithm.use_kl_in_reward=True", "algorithm.adv_estimator=rloo")
    trainer, before, log = trained(tmp_path, *penalty, scalarizer="ctwa", every=1)
    assert not torch.equal(trainer.sampler.policy.logits, before.logits)
    assert "actor/reward_kl_penalty" in log[0]
    with pytest.raises(CovlawError, match="use_kl_in_reward=True is a part of"):
        trained(tmp_path / "b", *penalty, scalarizer="gdpo")


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (
            {"score": 1.0, "right": 1.0},
            "no reward 'brief' comes with the completions",
        ),
        ({"score": 1.0}, "let the reward function return {'score': ..., 'right': ...}"),
        ({"score": 1.0, "right": "yes", "brief": 0, "clear": 0}, "return a number, or None"),
        ({"score": 1.0, "right": float("inf"), "brief": 0, "clear": 0}, "return a finite number"),
    ],
)
def test_missing_or_odd_rewards_are_named_with_the_remedy(
    tmp_path: Path, returned: dict[str, Any], words: str
) -> None:
    with pytest.raises(CovlawError, match=words):
        trained(tmp_path, scalarizer="linear", scored=lambda *_: returned)
