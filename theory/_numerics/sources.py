"""What a source file says of a name, read without importing anything."""

import ast
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


def first_line(target: str) -> str:
    """First line of the docstring of "module:name" or "file.py:name"; "" where none is found."""
    place, _, name = target.rpartition(":")
    file = Path(place).expanduser() if place.endswith(".py") else source_of(place)
    if file is None or not file.is_file():
        return ""
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return ""
    lines = _docstring(body, name).strip().splitlines()
    return lines[0] if lines else ""


def source_of(module: str) -> Path | None:
    """File of a module; none of its packages is imported, as `find_spec` alone would."""
    top, *rest = module.split(".")
    spec = getattr(sys.modules.get(top), "__spec__", None) or find_spec(top)
    if spec is None:
        return None
    folders: Iterable[str] = spec.submodule_search_locations or ()
    if not rest:
        return Path(spec.origin) if spec.origin else None
    for folder in folders:
        path = Path(folder, *rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def assigned_texts(file: Path, name: str) -> dict[str, str]:
    """The texts among the keyword arguments of `name = call(...)` in a file; {} where it has none.

    Args:
        file: Python source.
        name: Assigned at the file's top level.
    """
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        call = node.value if isinstance(node, ast.Assign) and name in _targets(node) else None
        if isinstance(call, ast.Call):
            given = ((k.arg, k.value) for k in call.keywords)
            pairs = ((n, v.value) for n, v in given if n and isinstance(v, ast.Constant))
            return {n: text for n, text in pairs if isinstance(text, str)}
    return {}


def _docstring(body: list[ast.stmt], name: str) -> str:
    """Docstring of a class or function, or the text that follows an assignment."""
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node) or ""
        named = isinstance(node, ast.Assign | ast.AnnAssign) and name in _targets(node)
        if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return str(after.value.value)
    return ""


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]
