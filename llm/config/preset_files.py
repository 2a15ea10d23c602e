"""Presets: TOML files that name a base file for what they share, and say what they are."""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from covlaw.llm.config.nested import deep_merged
from covlaw.theory._numerics.errors import CovlawError, unknown

ABOUT, BASE = "about", "base"
"""Keys of a preset file that are no settings: one line on what it is, and the file it builds on."""


def preset_names() -> dict[str, str]:
    """Name -> line about it, of every preset; a file without such a line is a shared part."""
    found = {name: _read(file) for name, file in sorted(_packaged().items())}
    return {name: values[ABOUT] for name, values in found.items() if ABOUT in values}


def read_preset(name: str) -> dict[str, Any]:
    """Read a preset's settings, its base's completed by its own.

    Args:
        name: One of `preset_names`, or the path of a .toml file; its `base` may be any of the
            package's, or a path relative to it.

    Raises:
        CovlawError: for an unknown name (with near matches), a file that is missing or no TOML, or
            files that build on each other.
    """
    if not name.endswith(".toml") and name not in preset_names():
        raise unknown("preset", name, tuple(preset_names()))
    values = _with_base(name, Path(), ())
    return {key: value for key, value in values.items() if key != ABOUT}


def template_text(template: str) -> str:
    """A chat template: the text itself, or that of the file which it names, `….jinja`.

    Raises:
        CovlawError: for a file that cannot be read.
    """
    if not template.endswith(".jinja"):
        return template
    try:
        return Path(template).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CovlawError(
            f"chat_template {template!r} cannot be read ({error}): mend it"
        ) from error


def _with_base(name: str, folder: Path, above: tuple[str, ...]) -> dict[str, Any]:
    if name in above:
        raise CovlawError(f"preset {name!r} builds on itself: {' -> '.join((*above, name))}")
    values = _read(_find(name, folder))
    base = values.pop(BASE, None)
    if base is None:
        return values
    beside = (folder / name).parent if name.endswith(".toml") else folder
    return deep_merged(_with_base(str(base), beside, (*above, name)), values)


def _find(name: str, folder: Path) -> Traversable:
    if name.endswith(".toml"):
        return folder / Path(name).expanduser()
    if name not in _packaged():
        raise unknown("base of a preset", name, tuple(_packaged()))
    return _packaged()[name]


def _packaged() -> dict[str, Traversable]:
    folder = files("covlaw.llm") / "presets"
    return {f.name.removesuffix(".toml"): f for f in folder.iterdir() if f.name.endswith(".toml")}


def _read(file: Traversable) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CovlawError(f"preset {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CovlawError(f"preset {file} is not valid TOML ({error})") from error
