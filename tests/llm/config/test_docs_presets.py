"""docs/presets.md names what there is, and its command and its preset work."""

import re
import shlex
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from covlaw.ladder.cli import main
from covlaw.llm.base import MIXTURES
from covlaw.llm.config.preset_files import preset_names
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.tasks import SPLITS, TASKS
from covlaw.llm.tasks.arithmetic import DIFFICULTIES
from covlaw.llm.tasks.columns import Columns

DOC = (Path(__file__).parents[3] / "docs" / "presets.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL))
FIRST_CELLS = " ".join(re.findall(r"^\|([^|]*)\|", DOC, re.MULTILINE))


def test_all_names_are_in_its_tables() -> None:
    named = set(re.findall(r"`([\w.-]+)`", FIRST_CELLS))
    assert named == set(preset_names()) | set(TASKS) | set(MIXTURES)
    assert all(f"`{name}`" in DOC for name in (*DIFFICULTIES, *Columns._fields))


def test_its_command_plans_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MATH500").mkdir()
    row = {"prompt": [{"content": "?", "role": "user"}], "reward_model": {"ground_truth": "7"}}
    for split in SPLITS:
        parquet.write_table(pa.Table.from_pylist([row] * 64), tmp_path / f"MATH500/{split}.parquet")
    assert main(shlex.split(BLOCKS["bash"])[1:]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "target [0.15, 0.08, 0.02]" in shown
    assert f"steps {90 * (64 // 32)} (90 passes" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["MATH500"]


def test_its_preset_of_ones_own_loads(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(BLOCKS["toml"])
    config = TrainConfig.preset(str(file))
    assert (config.seed, config.data_epochs, config.scalarizer) == (4, 10, "ctwa")
    assert config.options["ctwa"]["ema"] == 0.5


def test_the_papers_passes_make_the_steps_it_says() -> None:
    config = TrainConfig.preset("paper-linear")
    assert config.data_epochs * (300 // config.prompts) == 810
    assert "(810 steps)" in DOC
