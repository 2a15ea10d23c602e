"""What a run ran on: recorded beside it, never inside what must compare bit for bit."""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import Any

import torch

_PACKAGES = ("covlaw", "torch", "transformers", "tokenizers", "numpy", "scipy", "sympy", "vllm")


def describe(device: str = "cpu") -> dict[str, Any]:
    """Command, versions, machine and thread count, JSON-able.

    Args:
        device: Torch device of the work; recorded with the name of its hardware.
    """
    return {
        "command": _command(),
        "revision": _revision(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": _processor(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": _device(device),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _command() -> str:
    """What was typed, without the folder of the program."""
    typed = [str(argument) for argument in sys.argv] or [""]  # whoever embeds us may set anything
    program = Path(typed[0])
    named = program.name != "__main__.py"
    start = [program.name] if named else ["python", "-m", _module(program.parent)]
    return shlex.join([*start, *typed[1:]])


def _module(folder: Path) -> str:
    """A package of ours by its dotted name: /somewhere/ladder/real is covlaw.ladder.real."""
    root = Path(__file__).resolve().parents[1]
    own = folder.resolve()
    parts = own.relative_to(root).parts if own.is_relative_to(root) else (own.name,)
    return ".".join(("covlaw", *parts))


def _revision() -> str | None:
    """Commit of the source tree, marked where files differ from it; None for an installed copy."""
    root, git = Path(__file__).resolve().parents[1], which("git")
    if git is None or not (root / ".git").exists():
        return None
    command = [git, "-C", str(root), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device(device: str) -> str:
    if device.partition(":")[0] == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name(device)
    return device


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
