"""A recorded run is a rung: the statements of the exact rungs are checked on its audits."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import small_run

from covlaw.llm.rung import RUNG, instances
from covlaw.llm.train import train
from covlaw.records.verdict.verdict import run_verdict
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.statements import STATEMENTS, check, check_on
from covlaw.theory.statements._support.scaled import scaled
from covlaw.theory.worlds.updates import InnerStep, Update


@pytest.fixture(scope="module")
def run(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = small_run(
        policy_folder,
        tmp_path_factory.mktemp("runs") / "ctwa-seed0",
        steps=6,
        completions=8,
        max_tokens=8,
        epochs=2,
        audits=3,
        audit_prompts=12,
        audit_completions=12,
        measured_completions=24,
    )
    return train(config)


def test_instances_are_the_audits(run: Path) -> None:
    updates = list(instances(run, Update))
    steps = list(instances(run, InnerStep))
    assert len(updates) == 3
    assert len(steps) == 3 * (2 + 1)  # two inner steps and the one that would follow
    assert all(isinstance(u, Update) and not u.rollouts.exact for u in updates)
    assert isinstance(steps[0], InnerStep)
    assert float(steps[0].log_ratio.abs().max()) == 0.0


@pytest.mark.parametrize("id", ["T8", "T9", "T26", "T27"])
def test_statements_are_not_refuted(run: Path, id: str) -> None:
    verdict = check_on(STATEMENTS[id], instances(run, STATEMENTS[id].needs), "llm")
    assert verdict.violations == 0
    assert verdict.status != "refuted"
    assert verdict.n > 0


FACTORS = {"identity": (0.0, 0.5, 2.0, -0.5, -1.0), "bound": (0.0, -0.5, -1.0)}
"""A bound need not be attained here: its nearer controls ask how near it is."""
OTHERS = [
    (id, factor)
    for id in ("T8", "T9", "T20", "T22", "T26", "T27", "T50")
    for factor in FACTORS[STATEMENTS[id].kind]
]


@pytest.mark.parametrize(("id", "factor"), OTHERS)
def test_no_other_multiple_of_a_claim_holds(run: Path, id: str, factor: float) -> None:
    statement = STATEMENTS[id]
    wrong = replace(statement, sides=scaled(statement.sides, factor))
    assert check_on(wrong, instances(run, statement.needs), "llm").status != "holds"


@pytest.mark.parametrize("factor", [0.0, -0.5, -1.0, -2.0])
def test_t10_holds_of_no_falsified_change(run: Path, factor: float) -> None:
    falsified = [
        replace(update, change=factor * update.change) for update in instances(run, Update)
    ]
    assert check_on(STATEMENTS["T10"], falsified, "llm").status != "holds"


def test_a_wrong_change_is_refuted(run: Path) -> None:
    """T8 has power on samples: shift the measured change by ten standard errors."""
    shifted = []
    for update in instances(run, Update):
        assert isinstance(update, Update)
        error = update.change_error.clamp(min=1e-2)
        shifted.append(
            Update(update.label, update.rollouts, update.fields, update.change + 20 * error, error)
        )
    assert check_on(STATEMENTS["T8"], shifted, "llm").status == "refuted"


def test_check_finds_runs_below_a_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVLAW_RUNS", str(run.parent))
    assert check("T9", "llm").n == 3 * 2
    first, second = islice(RUNG.updates(np.random.default_rng(0), 2), 2)
    assert not torch.equal(first.change, second.change)


def test_missing_runs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVLAW_RUNS", str(tmp_path))
    with pytest.raises(CovlawError, match="no audited run below"):
        check("T8", "llm")
    with pytest.raises(CovlawError, match="holds no run"):
        run_verdict([tmp_path])


def test_the_verdict_lists_every_audit_and_objective(run: Path) -> None:
    found = run_verdict([run])
    assert [(p.step, p.objective) for p in found.audits[:2]] == [
        (0, "own_rewards:digits"),
        (0, "own_rewards:brief"),
    ]
    assert len(found.audits) == 3 * 2
    for agreement in found.agreement["1"].values():
        assert agreement.signs.agree <= agreement.signs.of <= len(found.audits)
