"""Axes that several figures share: signed roots, and a place for each of a list of names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.scale import FuncScale
from numpy.typing import ArrayLike

from covlaw.records.ladder import Array


def signed_root_axes(axes: Axes, reach: float) -> None:
    """Let equal lengths be equal differences of sign(v)·√|v|, from −reach to reach either way."""
    scale = FuncScale(None, (_root, _square))
    axes.set(xscale=scale, yscale=scale, xlim=(-reach, reach), ylim=(-reach, reach))
    step = 10 ** np.floor(np.log10(reach / 1.5))
    largest = step * max(n for n in (1, 2, 5) if n * step <= 0.9 * reach)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([-largest, 0, largest], [f"{-largest:g}", "0", f"{largest:g}"], fontsize=7)


def name_places(axes: Axes, names: Sequence[str], **style: Any) -> None:
    """Write names below places 0, 1, ..., slanted so that long ones keep apart.

    Args:
        axes: Where.
        names: One a place.
        style: Of the text, as matplotlib's.
    """
    slant: Any = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, **(slant | style))
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_axisbelow(True)
    axes.grid(axis="y")


def _root(value: ArrayLike) -> ArrayLike:
    root: Array = np.sign(np.asarray(value)) * np.sqrt(np.abs(value))
    return root


def _square(root: ArrayLike) -> ArrayLike:
    value: Array = np.sign(np.asarray(root)) * np.square(root)
    return value
