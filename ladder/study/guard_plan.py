"""Which guards, controls and rivals a guard study tries, on what."""

from collections.abc import Mapping
from typing import Any

GUARDED = ("linear", "gdpo", "ctwa-guided", "mgda", "upgrad", "rvpo", "dvao", "gapo")
"""Algorithms of a guard study where none are named: three that weigh rewards, two that look at
gradients, and the mixers of 2026."""
EVERYWHERE = ("none", "guard", "guard-curvature")
VARIED = ("adamw-.01", "adamw-.003")
"""Optimisers of the transformers under which guards are varied: here AdamW's steps are no small
ones, and the plain metric is not its own."""
CONTROLS = ("guard-halving", "halving", "guard-plain-metric", "guard-restoring-1", "gem", "madam")
RIVALS = {
    "linear": CONTROLS,
    "mgda": ("gramian-in-metric", "gem", "madam"),
    "upgrad": ("gramian-in-metric",),
}
NOISY = ("adamw-.003", "adamw-.1")
"""Optimisers under which guards see samples only."""
SAMPLES = (4, 16, 64)
ON_SAMPLES = {
    "linear": (
        "guard",
        "guard-curvature",
        "guard-restoring-.5",
        "guard-restoring-1",
        "guard-crossed",
    ),
    "upgrad": ("guard", "guard-restoring-1"),
}
ON_LLM: Mapping[str, dict[str, Any]] = {
    "none": {},
    "guard": {"guard": "on"},
    "guard-needed": {"guard": "needed"},
    "guard-crossed": {"guard": "on", "guard_options": {"crossed": True}},
    "guard-zero": {"guard": "on", "guard_options": {"floors": "zero"}},
    "guard-restoring-1": {"guard": "on", "guard_options": {"strength": 1.0}},
    "guard-rows-32": {"guard": "on", "guard_options": {"rows": 32}},
}
"""Settings of an LLM run's guard, by its name here."""
GRAMIAN_ON_LLM: Mapping[str, dict[str, Any]] = {"gramian-crossed": {"gramian": "crossed"}}
"""Beside unguarded runs of methods that ask for a Gramian, which is then that of two halves."""
ASKING = ("mgda", "upgrad")
EVERY_LLM = ("none", "guard")
"""What every algorithm is run with on the LLM rung; linear weights with all of them."""


def guards_of(world: str, optimiser: str, algorithm: str) -> list[tuple[str, int]]:
    """(guard, completions of each prompt that it sees, 0: all) of one algorithm's runs."""
    if world == "llm":
        guards = ON_LLM if algorithm == "linear" else EVERY_LLM
        return [(own, 0) for own in (*guards, *(GRAMIAN_ON_LLM if algorithm in ASKING else ()))]
    found = [(name, 0) for name in EVERYWHERE]
    if world == "transformer" and optimiser in VARIED:
        found += [(name, 0) for name in RIVALS.get(algorithm, ())]
    if optimiser in NOISY:
        names = ON_SAMPLES.get(algorithm, ())
        names = names if world == "transformer" else names[:1]
        found += [(name, samples) for name in names for samples in SAMPLES]
    return found
