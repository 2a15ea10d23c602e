"""The lines for TRL in docs/guard.md run as they stand, on a small model, and guard."""

import re
from pathlib import Path

import first_token_world as world
import pytest
import torch

PAGE = Path(__file__).parents[3] / "docs" / "guard.md"
LINES = 10
"""Of code that uses the guard, without imports, rewards and blank lines."""


def block() -> str:
    section = PAGE.read_text(encoding="utf-8").split("## In TRL\n")[1]
    return re.findall(r"^```py\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[0]


def run(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch):
    """Run the page's lines where a model of yours is, on a CPU without progress bars."""
    import trl

    def quiet(*given, **settings):
        more = {"use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no"}
        more |= {"per_device_train_batch_size": 64, "learning_rate": 1e-3, "disable_tqdm": True}
        return trl.GRPOConfig(*given, **settings, **more)

    def small(model, *given, **settings):
        assert model == "my-model"
        torch.manual_seed(0)
        policy, tokenizer = world.policy()
        return trl.GRPOTrainer(policy, *given, processing_class=tokenizer, **settings)

    monkeypatch.chdir(folder)
    names: dict = {"quiet": quiet, "small": small}
    code = code.replace("= GRPOConfig(", "= quiet(").replace("= GRPOTrainer(", "= small(")
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    return names


def test_it_is_ten_lines() -> None:
    used = block()[block().index("data = ") :].splitlines()
    assert 0 < len(used) <= LINES


def test_the_lines_run_and_keep_what_the_optimiser_lowers(tmp_path, monkeypatch, capsys) -> None:
    names = run(tmp_path, block(), monkeypatch)
    guarded = names["guard"].guarded
    before, after = (torch.stack([getattr(g, k) for g in guarded]) for k in ("before", "effects"))
    assert before.shape == after.shape == (3, 2)
    assert bool((before.amin(1) < 0).any())  # the two rewards do pull apart
    # on the completions that chose it the correction is exact, up to float32
    assert float(after.amin()) > 1e-3 * float(before.amin())
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("without")]
    assert len(shown) == 3
    logged = names["trainer"].state.log_history
    floors = [line["covlaw/guard_floor/varied"] for line in logged if "covlaw/guard/varied" in line]
    assert floors[0] == 0  # nothing is lost yet
