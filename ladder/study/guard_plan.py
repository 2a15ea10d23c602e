"""Which guards, controls and rivals a guard study tries, on what."""

GUARDED = ("linear", "gdpo", "ctwa-guided", "mgda", "upgrad")
"""Algorithms of a guard study where none are named: three that weigh rewards and two that look at
gradients."""
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


def guards_of(world: str, optimiser: str, algorithm: str) -> list[tuple[str, int]]:
    """(guard, completions of each prompt that it sees, 0: all) of one algorithm's runs."""
    found = [(name, 0) for name in EVERYWHERE]
    if world == "transformer" and optimiser in VARIED:
        found += [(name, 0) for name in RIVALS.get(algorithm, ())]
    if optimiser in NOISY:
        names = ON_SAMPLES.get(algorithm, ())
        names = names if world == "transformer" else names[:1]
        found += [(name, samples) for name in names for samples in SAMPLES]
    return found
