"""The figures by name: a new one is one module and one line here."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from covlaw.records.ladder import config_seed
from covlaw.theory._numerics.errors import unknown


class Entry(NamedTuple):
    """What a figure is drawn of."""

    needs: str
    """A file of the run's folder, or a kind of record (`_drawing.available.KINDS`)."""
    shows: tuple[str, ...] = ()
    """Statements whose sides it draws; the ladder's matrix draws them all."""


FIGURES: Mapping[str, Entry] = {
    "ladder_matrix": Entry("verdicts.json"),
    "interference": Entry("RL steps", ("T8",)),
    "predicted_vs_realised": Entry("audits or calibration", ("T1", "T8", "T25")),
    "law_budget": Entry("budgets.jsonl", ("T9", "T10")),
    "ctwa_portrait": Entry("ctwa.jsonl", ("T33", "T35", "T37", "T38")),
    "pl_rates": Entry("convergence.jsonl", ("T41", "T42", "T43", "T44", "T46")),
    "geometry": Entry("geometry.jsonl", ("T13",)),
    "remainder": Entry("remainder.jsonl", ("T5", "T6")),
    "clipping": Entry("clipping.jsonl", ("T26", "T27")),
    "same_sample_optimism": Entry("audits", ("T19",)),
    "group_size": Entry("group_size.jsonl", ("T8", "T19", "T20")),
    "certificates": Entry("certificates.jsonl", ("T21",)),
    "look_ahead": Entry("look_ahead.jsonl", ("T56", "T57")),
    "study": Entry("summary.json"),
    "guard": Entry("guarded RL runs", ("T58", "T64")),
    "guard_pairs": Entry("guarded_runs.jsonl"),
    "guard_study": Entry("guarded runs", ("T58", "T60", "T61", "T62", "T64")),
    "real": Entry("real.json", ("T8", "T58")),
    "reference_defects": Entry("reference forms"),
}
"""Every figure, in the order of a report. Each is a module of this package with `draw`, the
picture, and `describe`, its title and caption; both read recorded files only."""


class Description(NamedTuple):
    """The words of a figure, computed from the same records as the picture."""

    title: str
    """The claim, true of these records."""
    caption: str
    """n, seeds, intervals and how to read it."""


class Drawing(NamedTuple):
    """A figure's two functions of a run folder."""

    draw: Callable[[Path], Figure]
    describe: Callable[[Path], Description]


def load(name: str) -> Drawing:
    """Find a figure by name.

    Raises:
        CovlawError: for an unknown name, with the near matches.
    """
    if name not in FIGURES:
        raise unknown("figure", name, tuple(FIGURES))
    module = import_module(f"covlaw.figures.{name}")
    return Drawing(module.draw, lambda run: _with_seed(module.describe(run), run))


def _with_seed(words: Description, run: Path) -> Description:
    """Name the seed that the run was given, where the caption does not yet."""
    seed = config_seed(run)
    if seed is None or "seed" in words.caption:
        return words
    return words._replace(caption=f"{words.caption} Seed {seed}.")
