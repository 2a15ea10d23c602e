"""Runs side by side: none changes another's numbers, and who fails stops alone."""

from dataclasses import replace

import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers import Batch, Observation, Signal, make_scalarizer
from covlaw.theory.scalarizers.linear import LinearState
from covlaw.toys.study.algorithms import Setting, algorithms
from covlaw.toys.study.arms import Arm
from covlaw.toys.study.engine import train_ensemble
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.worlds import WORLDS, sgd

EXACT = ("bandit", "bandit_natural", "tabular", "transformer")


def draw(world: str, seeds: tuple[int, ...] = (0,), cell: int = 0) -> PolicyEnsemble:
    kind = WORLDS[world]
    return kind.build(kind.cells[cell], seeds)


def linear(ensemble: PolicyEnsemble, signal: str = "grpo", clip: str = "on") -> list[Arm]:
    return [Arm(make_scalarizer("linear", ensemble.names), signal, clip)] * ensemble.runs


def test_a_run_does_not_depend_on_its_neighbours() -> None:
    """So that a study may be cut into any jobs, and resumed, bit for bit."""
    for world in EXACT:
        ensemble = draw(world, (0, 1, 2))
        names = ("linear", "mgda", "ctwa", "tchebycheff", "pama-ref")
        known = algorithms()

        def arms(runs: PolicyEnsemble, known: dict = known, names: tuple = names) -> list[Arm]:
            setting = Setting(runs.names, "whitened", (0.0,) * 3)
            return [Arm(known[name].make(setting), "whitened", "on") for name in names]

        index = torch.tensor([0, 1, 2, 0, 1])
        together = train_ensemble(ensemble.rows(index), arms(ensemble), 3, 2)
        for r in range(5):
            alone = train_ensemble(ensemble.rows(index[r : r + 1]), arms(ensemble)[r : r + 1], 3, 2)
            assert torch.equal(alone.values[:, 0], together.values[:, r]), (world, names[r])
            assert torch.equal(alone.alarms[:, 0], together.alarms[:, r])


@pytest.mark.parametrize("world", ["bandit", "tabular"])
def test_runs_that_share_a_scalarizer_do_not_depend_on_each_other(world: str) -> None:
    """Nor does the order, or which of them a resumed job still has to do."""
    ensemble = draw(world, (0, 1, 2))
    for name, algorithm in algorithms().items():
        shared = algorithm.make(Setting(ensemble.names, "grpo", (0.0,) * 3))
        signals = (("grpo", "on"), ("raw", "off"), ("grpo", "off"))
        arms = [Arm(shared, signal, clip) for signal, clip in signals]
        together = train_ensemble(ensemble, arms, 3, 2)
        for left in ([2], [2, 0]):
            some = train_ensemble(ensemble.rows(torch.tensor(left)), [arms[r] for r in left], 3, 2)
            assert torch.equal(some.values, together.values[:, left]), name
            assert torch.equal(some.weights.nan_to_num(), together.weights[left].nan_to_num())


class Refusing:
    """A scalarizer that refuses its second batch."""

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()

    def init(self) -> LinearState:
        return LinearState()

    def signal(self, state: LinearState, batch: Batch) -> tuple[LinearState, Signal]:
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen > 1:
            raise CovlawError("enough")
        return state, Signal(batch.rewards.mean(1))

    def update(self, state: LinearState, seen: Observation) -> LinearState:
        return state


def test_an_arm_that_refuses_stops_alone() -> None:
    ensemble = draw("bandit", (0, 0))
    arms = linear(ensemble)
    arms[0] = arms[0]._replace(scalarizer=Refusing())
    course = train_ensemble(ensemble, arms, 4, 2)
    assert course.errors == ("enough", "")
    moved, gap = course.values[1] - course.values[0], course.values[1, 0] - course.values[1, 1]
    assert bool((gap.abs() <= course.noise[0]).all())
    assert bool((moved[0].abs() > course.noise[0]).all())
    assert torch.equal(course.values[1, 0], course.values[4, 0])
    assert torch.equal(
        course.values[:, 1], train_ensemble(draw("bandit"), arms[1:], 4, 2).values[:, 0]
    )


class Squeamish:
    """Serves many runs, but refuses them all where a policy has an improbable completion."""

    before: frozenset[str] = frozenset()
    after = frozenset({"values"})
    stacks = True

    def __init__(self, least: float) -> None:
        self.least = least

    def init(self) -> LinearState:
        return LinearState()

    def signal(self, state: LinearState, batch: Batch) -> tuple[LinearState, Signal]:
        assert batch.mass is not None
        if bool((batch.mass < self.least).any()):
            raise CovlawError("too improbable")
        return state, Signal(batch.rewards.mean(-1))

    def update(self, state: LinearState, seen: Observation) -> LinearState:
        return state


def test_of_arms_that_are_asked_together_only_those_at_fault_stop() -> None:
    """Runs of different seeds get improbable completions at different steps, or never."""
    ensemble = draw("bandit", tuple(range(6)))
    arms, bold = ([Arm(Squeamish(least), "grpo", "on")] * 6 for least in (0.001, 0.0))
    course = train_ensemble(ensemble, arms, 8, 4)
    assert 0 < course.errors.count("too improbable") < 6
    plain = train_ensemble(ensemble, bold, 8, 4)
    for r, error in enumerate(course.errors):
        alone = train_ensemble(ensemble.rows(torch.tensor([r])), arms[:1], 8, 4)
        assert alone.errors == (error,)
        assert torch.equal(alone.values[:, 0], course.values[:, r])
        same = torch.equal(course.values[:, r], plain.values[:, r])
        assert same != bool(error), "the others go on as if nothing had happened"


def test_a_policy_that_diverges_stops_alone() -> None:
    ensemble = draw("bandit", (0, 0))
    size = torch.tensor([1e300, 1.0], dtype=torch.float64)[:, None, None]
    wild = replace(ensemble, rewards=ensemble.rewards * size, optimiser=sgd(1e12))
    course = train_ensemble(wild, linear(wild, "raw", "off"), 4, 2)
    assert course.errors[0].startswith("the policy diverged")
    assert course.errors[1] == ""
    assert bool(torch.isfinite(course.values).all())
