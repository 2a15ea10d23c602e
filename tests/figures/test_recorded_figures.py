"""The records draw every figure, each as it is committed and at the width that is printed."""

import json
from pathlib import Path

import pytest
from fake_runs import write_ladder
from PIL import Image, ImageChops
from record import record

from covlaw.figures._drawing.render import record_for, recorded, save
from covlaw.figures.registry import FIGURES
from covlaw.records.ladder import llm_runs

ROOT = Path(__file__).parents[2]
LARGEST = 200_000
"""Bytes of a picture: what a page about it may cost its reader."""
PRINTED_WIDTH = 1300
"""Pixels: 6.5 inches at 200 dots an inch."""
SAME = 8
"""Of 255: what antialiasing may differ by between builds of the font library."""


@pytest.mark.parametrize("name", FIGURES)
def test_the_committed_pictures_are_what_the_code_draws(name: str, tmp_path: Path) -> None:
    [svg, png] = save(name, record_for(name), tmp_path)
    kept = ROOT / "figures" / "pictures" / f"{name}.png"
    assert svg.read_bytes() == kept.with_suffix(".svg").read_bytes()
    with Image.open(png) as drawn, Image.open(kept) as shown:
        assert drawn.size == shown.size
        assert drawn.width == PRINTED_WIDTH
        difference = ImageChops.difference(drawn.convert("RGB"), shown.convert("RGB"))
        assert max(high for _, high in difference.getextrema()) <= SAME


def test_every_committed_picture_is_a_figures() -> None:
    pictures = {path.stem for path in (ROOT / "figures" / "pictures").iterdir()}
    assert pictures == set(FIGURES)


def test_no_committed_picture_is_large() -> None:
    sizes = {p.name: p.stat().st_size for p in (ROOT / "figures" / "pictures").iterdir()}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}


def test_the_record_says_how_it_was_made() -> None:
    for folder in (recorded(), *(recorded() / "llm").iterdir()):
        environment = json.loads((folder / "environment.json").read_text())
        assert environment["packages"]["torch"]
        assert (folder / "config.toml").exists()
    assert len([run for run in llm_runs(recorded()) if not run.guarded]) == 9


def test_recording_copies_the_small_files_only(tmp_path: Path) -> None:
    run = write_ladder(tmp_path / "run")
    (run / "llm" / "linear-seed0" / "model").mkdir()
    (run / "llm" / "linear-seed0" / "model" / "model.safetensors").write_bytes(b"big")
    (run / "llm" / "linear-seed0" / "audits").mkdir()
    copied = record(run, tmp_path / "kept")
    assert {p.name for p in copied} >= {"verdicts.json", "budgets.jsonl", "steps.jsonl"}
    assert not list((tmp_path / "kept").rglob("*.safetensors"))
