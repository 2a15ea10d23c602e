"""Who may import whom: theory ← records ← toys, llm, figures, plugins ← ladder."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "theory": {"theory"},
    "records": {"theory", "records"},
    "toys": {"theory", "records", "toys"},
    "llm": {"theory", "records", "llm"},
    "plugins": {"theory", "records", "plugins"},
    "figures": {"theory", "records", "figures"},
    "ladder": {"theory", "records", "toys", "llm", "plugins", "figures", "ladder"},
}
AREAS = tuple(MAY_IMPORT)


def modules_imported(source: str) -> set[str]:
    """Every module named by an import statement; `from m import a` names m and m.a."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def wrong_imports(area: str, source: str) -> set[str]:
    """Imports that DESIGN forbids in a file of `area`."""
    wrong = set()
    for name in modules_imported(source):
        parts = name.split(".")
        ours_by_path = parts[0] == "" or parts[0] in AREAS  # relative, or bare `theory`
        other_area = (
            parts[0] == "covlaw" and parts[1:2] and parts[1] in set(AREAS) - MAY_IMPORT[area]
        )
        if ours_by_path or other_area:
            wrong.add(name)
    return wrong


@pytest.mark.parametrize("area", AREAS)
def test_imports_follow_the_directions_of_the_design(area: str) -> None:
    files = sorted((ROOT / area).rglob("*.py"))
    assert files
    wrong = {
        str(file.relative_to(ROOT)): names
        for file in files
        if (names := wrong_imports(area, file.read_text(encoding="utf-8")))
    }
    assert wrong == {}


@pytest.mark.parametrize("folder", ["tests", "src/covlaw"])
def test_nothing_is_imported_by_its_bare_folder_name(folder: str) -> None:
    """From the repository root `import theory` works too, and yields other module objects."""
    for file in sorted((ROOT / folder).glob("**/*.py")):
        names = modules_imported(file.read_text(encoding="utf-8"))
        assert {n for n in names if n.split(".")[0] in AREAS} == set(), file


@pytest.mark.parametrize(
    ("area", "source"),
    [
        ("theory", "import covlaw.toys"),
        ("theory", "from covlaw import llm"),
        ("toys", "def f():\n    from covlaw.llm.train import train"),
        ("llm", "from covlaw.toys import bandit"),
        ("figures", "import covlaw.llm.train as training"),
        ("records", "import covlaw.figures"),
        ("theory", "from theory.estimators.rollouts import Rollouts"),
        ("ladder", "import toys"),
        ("llm", "from .records import x"),
    ],
)
def test_a_forbidden_import_is_found(area: str, source: str) -> None:
    assert wrong_imports(area, source)


@pytest.mark.parametrize("module", ["covlaw.theory", "covlaw.theory.statements"])
def test_theory_needs_the_core_dependencies_only(module: str) -> None:
    heavy = ("transformers", "vllm", "rich", "matplotlib", "tyro", "jinja2", "pyarrow")
    report = f"import sys, {module}; print(*(m for m in {heavy} if m in sys.modules))"
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", report], capture_output=True, text=True, check=True, cwd=ROOT.anchor
    )
    assert result.stdout.strip() == ""
