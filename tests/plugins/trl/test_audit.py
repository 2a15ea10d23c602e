"""An audit in TRL: its numbers are right, its alarms ring at planted falls, training stays."""

import first_token_world as world
import pytest
import referee
import torch
import trl_world
from scipy import stats

from covlaw.plugins.trl.schedule import Schedule
from covlaw.records.verdict.verdict import run_verdict
from covlaw.theory._numerics.errors import CovlawError
from covlaw.trl import Audit, Scalarized

COMPLETIONS, RATE = 64, 1e-5
"""RATE: chance that a right audit fails one of these tests, over all of its comparisons."""


def audit(**given) -> Audit:
    given = {"rows": world.ROWS, "every": 1, "completions": COMPLETIONS, "chunk": 256} | given
    return Audit(on_alarm=given.pop("on_alarm", lambda forecast: None), **given)


@pytest.fixture(scope="module", params=[world.WEIGHTS, world.ALIGNED], ids=["planted", "aligned"])
def ran(request, tmp_path_factory):
    """A run with its audit: weights, audit, trainer, and the policies around each step."""
    made, kept = audit(), trl_world.Snapshots()
    folder = tmp_path_factory.mktemp("run")
    trainer = trl_world.make(folder, weights=request.param, callbacks=[made, kept])
    trainer.train()
    return request.param, made, trainer, kept


def test_its_numbers_are_the_estimators_on_the_same_samples(ran) -> None:
    """A referee in rationals, and log-probs from one plain pass over the kept policies.

    What separates the two is the rounding of float32 logits and rewards of order 1, twice a ratio.
    """
    weights, made, trainer, kept = ran
    close = 2 * world.WIDTH * torch.finfo(torch.float32).eps
    reader = world.policy()[0]
    assert len(made.audited) == trl_world.STEPS
    for found, *states in zip(made.audited, kept.before, kept.after, strict=True):
        logs = []
        for state in states:
            reader.load_state_dict(state)
            logs.append(world.log_probs(reader, trainer.processing_class))
        drawn = found.forecast.drawn
        token = torch.tensor([ids[0] for ids in drawn.tokens.completions])
        score = sum(w * world.TABLES[name][token] for name, w in weights.items())
        ratio = (logs[1] - logs[0]).exp()[drawn.prompt, token]
        for j, name in enumerate(weights):
            for signal, said in ((score, found.forecast.law), (ratio, found.did)):
                exact = referee.covariances(world.TABLES[name][token], signal, drawn.prompt, None)
                each = torch.tensor([float(c) for c in exact], dtype=torch.float64)
                assert abs(said.estimate[j] - each.mean()) <= close
                assert abs(said.standard_error[j] - each.std() / len(each) ** 0.5) <= close


def test_what_it_says_of_a_step_is_what_the_step_did(ran) -> None:
    """Exact expected rewards by enumeration, before and after; alarms where the fall is planted."""
    weights, made, trainer, kept = ran
    changes = kept.changes(trainer.processing_class, weights)
    quantile = float(stats.t.isf(RATE / (2 * trl_world.STEPS) / 2, len(world.ROWS) - 1))
    for found, change in zip(made.audited, changes, strict=True):
        assert ((found.did.estimate - change).abs() <= quantile * found.did.standard_error).all()
    planted = weights is world.WEIGHTS
    assert [a.forecast.alarm.tolist() for a in made.audited] == [[False, planted]] * 3
    assert all((change[1] < 0) == planted for change in changes)


def test_its_numbers_are_in_the_trainers_log(ran) -> None:
    weights, made, trainer, _ = ran
    logged = [line for line in trainer.state.log_history if "loss" in line]
    for line, found in zip(logged, made.audited, strict=True):
        for j, name in enumerate(weights):
            assert line[f"covlaw/law/{name}"] == float(found.forecast.law.estimate[j])
            assert line[f"covlaw/did/{name}"] == float(found.did.estimate[j])
            assert line[f"covlaw/alarm/{name}"] == float(found.forecast.alarm[j])


@pytest.mark.parametrize("base", ["GRPOTrainer", "RLOOTrainer"])
def test_training_is_the_same_with_and_without_it(tmp_path, base) -> None:
    made = audit(completions=8)
    runs = []
    for callbacks in ([made], []):  # each seeds its random numbers as it is made
        runs.append(trl_world.make(tmp_path, base, callbacks=callbacks))
        runs[-1].train()
    watched, plain = (trainer.model.state_dict() for trainer in runs)
    assert made.audited
    assert all(torch.equal(watched[name], plain[name]) for name in plain)
    seen, alone = (
        [{k: v for k, v in line.items() if "time" not in k and "per_second" not in k}
         for line in t.state.log_history]
        for t in runs
    )  # fmt: skip
    assert [{k: v for k, v in s.items() if "covlaw" not in k} for s in seen] == alone


SCALES = {"big": 10.0, "small": 1.0, "other": 1.0}
TABLES = {
    "big": 10.0 * world.WANTED,
    "small": 1.0 - world.WANTED,
    "other": (1.0 - world.WANTED) ** 2,
}


def scaled_rewards() -> list:
    """One reward of ten times the size, and two that are small and against it."""
    found = []
    for name, table in TABLES.items():

        def rewarded(completion_ids, table=table, **_):
            return [float(table[ids[0]]) for ids in completion_ids]

        rewarded.__name__ = name
        found.append(rewarded)
    return found


@pytest.mark.parametrize("order", ["sum_then_normalize", "normalize_then_sum"])
def test_under_either_aggregation_the_law_is_that_of_trls_own_advantage(tmp_path, order) -> None:
    """Summed first, the big reward wins; normalised first (GDPO), the two small ones do.

    A law of the weighted sum would have every sign wrong under the second.
    """
    made, kept = audit(), trl_world.Snapshots()
    trainer = trl_world.make(
        tmp_path,
        weights=SCALES,
        reward_weights=[1.0, 1.0, 1.0],
        reward_funcs=scaled_rewards(),
        multi_objective_aggregation=order,
        scale_rewards="group",
        callbacks=[made, kept],
        max_steps=1,
    )
    trainer.train()
    wanted = [True, False, False] if order == "sum_then_normalize" else [False, True, True]
    reader, tokenizer = world.policy()
    values = []
    for state in (kept.before[0], kept.after[0]):
        reader.load_state_dict(state)
        p = world.log_probs(reader, tokenizer).exp()
        values.append(torch.stack([(p @ table).mean() for table in TABLES.values()]))
    assert ((values[1] - values[0]) > 0).tolist() == wanted
    (found,) = made.audited
    assert (found.forecast.law.estimate > 0).tolist() == wanted
    assert found.forecast.alarm.tolist() == [not up for up in wanted]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"top_k": 5}, "top_k=5"),
        ({"top_p": 0.9}, "top_p=0.9"),
        ({"min_p": 0.1}, "min_p=0.1"),
        ({"repetition_penalty": 1.1}, "repetition_penalty=1.1"),
        ({"generation_kwargs": {"top_k": 7}}, "top_k=7"),
        ({"top_entropy_quantile": 0.5}, "top_entropy_quantile"),
    ],
)
def test_what_it_cant_follow_is_refused_as_the_trainer_is_built(tmp_path, given, named) -> None:
    with pytest.raises(CovlawError, match=named):
        trl_world.make(tmp_path, callbacks=[Audit()], **given)


def test_wrong_arguments_are_refused_with_the_remedy(tmp_path) -> None:
    for given in ({"samples": "mine"}, {"on_alarm": "shout"}, {"completions": 1}, {"every": 0}):
        with pytest.raises(CovlawError, match=str(*given.keys())):
            Audit(**given)
    trainer = trl_world.make(tmp_path, callbacks=[Audit(samples="half_batch")])
    with pytest.raises(CovlawError, match="observed=4"):
        trainer.train()
    with pytest.raises(CovlawError, match="two or more"):
        trl_world.make(tmp_path, callbacks=[Audit(rows=world.ROWS[:1])]).train()
    twice = [world.reward("wanted"), world.reward("traded")]  # both are "rewarded"
    with pytest.raises(CovlawError, match="two rewards are called 'rewarded'"):
        trl_world.make(tmp_path, callbacks=[Audit()], reward_funcs=twice).train()


def test_an_alarm_warns_stops_or_calls(tmp_path) -> None:
    called = []
    trl_world.make(tmp_path, callbacks=[audit(on_alarm=called.append)]).train()
    assert [forecast.step for forecast in called] == [0, 1, 2]
    stopped = trl_world.make(tmp_path, callbacks=[audit(on_alarm="stop")])
    with pytest.warns(UserWarning, match="step 0 is forecast to lower traded"):
        stopped.train()
    assert stopped.state.global_step == 1
    calm = trl_world.make(
        tmp_path, weights=world.ALIGNED, callbacks=[audit(on_alarm=called.append)]
    )
    calm.train()
    assert len(called) == 3


def test_completions_kept_apart_serve_without_sampling(tmp_path) -> None:
    """Twice as many generations: half make the step, half judge it, by enumeration rightly."""
    made, kept = audit(samples="half_batch"), trl_world.Snapshots()
    trainer = trl_world.make(
        tmp_path,
        wrap=Scalarized,
        scalarizer="linear",
        scalarizer_options={"weights": [0.8, 0.2]},
        observed=32,
        num_generations=40,
        per_device_train_batch_size=len(world.ROWS) * 40,
        callbacks=[made, kept],
    )
    trainer.train()
    changes = kept.changes(trainer.processing_class, world.WEIGHTS)
    quantile = float(stats.t.isf(RATE / (2 * trl_world.STEPS) / 2, len(world.ROWS) - 1))
    for found, change in zip(made.audited, changes, strict=True):
        assert found.forecast.drawn.completions == 32
        assert ((found.did.estimate - change).abs() <= quantile * found.did.standard_error).all()
        assert found.forecast.alarm.tolist() == [False, True]


def test_its_records_are_a_run_of_ours(tmp_path) -> None:
    """`covlaw llm audit` and `covlaw report` read it; a wrong folder is refused."""
    from covlaw.ladder.report import write_report

    out = tmp_path / "records"
    made = audit(out=out, every=2)
    trl_world.make(tmp_path / "run", callbacks=[made]).train()
    verdict = run_verdict([out])
    assert {pair.step for pair in verdict.audits} == {0, 2}
    assert {pair.objective for pair in verdict.audits} == set(world.WEIGHTS)
    assert verdict.alarms["law"].alarms == 2
    assert "traded" in write_report(out).read_text(encoding="utf-8")
    other = trl_world.make(tmp_path / "run", callbacks=[audit(out=out)], seed=1)
    with pytest.raises(CovlawError, match="holds another run"):
        other.train()


def test_the_recorded_scale_turns_the_law_into_a_change(tmp_path) -> None:
    """The record's c = Cov(s, log ratio)/Var(s) is the slope of the step on its own signal."""
    from covlaw.plugins.trl.records import audit_record

    made = audit()
    trl_world.make(tmp_path, callbacks=[made], max_steps=1).train()
    (found,) = made.audited
    half = torch.arange(len(found.log_ratio)) % COMPLETIONS < COMPLETIONS // 2
    signal, moved = (
        x[half].view(len(world.ROWS), -1) for x in (found.forecast.signal, found.log_ratio)
    )
    centred = signal - signal.mean(1, keepdim=True)
    slope = float((centred * moved).sum() / centred.square().sum())
    assert audit_record(found)["law"]["scale"] == pytest.approx(slope, rel=1e-9)


def test_the_schedule_spends_its_share_and_no_more() -> None:
    """Steps of a second, audits of 3 seconds at a tenth: about one in thirty."""
    time = [0.0]
    schedule = Schedule("auto", 0.1, now=lambda: time[0])
    audited = []
    for step in range(300):
        if schedule.due(step):
            with schedule.auditing():
                time[0] += 3
            audited.append(step)
        time[0] += 1
    assert audited[0] == 0
    assert len(audited) == 1 + (300 - 1) // 30 - 1  # the first is paid back before the second
    assert [s for s in range(9) if Schedule(4, 0.1).due(s)] == [0, 4, 8]
