"""A run's page says where its first samples saw its weights lead, where the samples are kept."""

from pathlib import Path

import pytest
import torch
from fake_runs import write_llm_run
from safetensors.torch import save_file

from covlaw.ladder.report import write_report
from covlaw.ladder.report.run_frontier import run_frontier
from covlaw.records.ladder import LlmRun, llm_runs
from covlaw.theory._numerics.errors import CovlawError

PROMPTS, EACH = 16, 8


def kept(folder: Path, **arrays: torch.Tensor) -> LlmRun:
    """A run whose first audit drew completions that are either right or brief."""
    write_llm_run(folder)
    right = torch.arange(PROMPTS * EACH).remainder(3).eq(0).double()
    made = {
        "prompt": torch.arange(PROMPTS).repeat_interleave(EACH),
        "rewards": torch.stack([right, 1 - right, 0.5 * right], 1),
    }
    (folder / "audits").mkdir()
    save_file(made | arrays, folder / "audits" / "step_00000.safetensors")
    return llm_runs(folder)[0]


def test_the_tilt_starts_at_the_samples_and_the_run_stands_beside_it(tmp_path: Path) -> None:
    run = kept(tmp_path)
    found = run_frontier(tmp_path, run)
    assert found is not None
    first, *_, start, end = found.rows
    share = torch.arange(PROMPTS * EACH).remainder(3).eq(0).double().unflatten(0, (PROMPTS, EACH))
    assert first.label == "its samples"
    assert float(first.cells[0].value) == pytest.approx(float(share.mean()), abs=0.006)
    assert (found.completions, found.prompts) == (PROMPTS * EACH, PROMPTS)
    # along equal weights the first and the third rise; in the run the first two do, the third falls
    assert [x > 0 for x in run.ends.change] == [True, True, False]
    assert (found.right, found.moved) == (1, 3)
    for row, values in ((start, run.ends.start), (end, run.ends.end)):
        shown = [float(cell.value.replace("−", "-")) for cell in row.cells]
        assert shown == pytest.approx(values.tolist(), abs=0.006)
    page = write_report(tmp_path, pictures=False).read_text(encoding="utf-8")
    assert "Where its weights lead, by the first samples" in page
    assert page.count("Dashed: the tilt.") == len(run.objectives) - 1


def test_a_record_without_audits_has_none(tmp_path: Path) -> None:
    write_llm_run(tmp_path)
    assert run_frontier(tmp_path, llm_runs(tmp_path)[0]) is None
    assert "by the first samples" not in write_report(tmp_path, pictures=False).read_text()


def test_rewards_that_never_vary_lead_nowhere(tmp_path: Path) -> None:
    run = kept(tmp_path, rewards=torch.ones(PROMPTS * EACH, 3, dtype=torch.float64))
    assert run_frontier(tmp_path, run) is None


def test_a_damaged_audit_is_named(tmp_path: Path) -> None:
    run = kept(tmp_path)
    (tmp_path / "audits" / "step_00000.safetensors").write_bytes(b"cut off")
    with pytest.raises(CovlawError, match=r"step_00000\.safetensors is damaged"):
        run_frontier(tmp_path, run)
