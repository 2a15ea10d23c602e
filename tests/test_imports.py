"""Who may import whom, and what a folder may hold: the house as CONTRIBUTING draws it."""

import ast
import subprocess
import sys
from collections import Counter
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
WHEN_CALLED = {"plugins": {"llm"}}
"""May be imported inside functions only: what needs an extra that the area itself doesn't."""
AREAS = tuple(MAY_IMPORT)
PROGRAMS = {path.stem for path in (ROOT / "tools").iterdir() if path.name != "__pycache__"}
OURS = {*AREAS, "tools", "tests"}
FILES_IN_A_FOLDER = 26
OF_ONE_PREFIX = 4
"""So many modules of one first word in a folder are a family, and a family is a folder."""
SENTENCES = ROOT / "theory" / "statements"
"""Files there are named as the sentence that they claim, which may begin with any word."""


def modules_imported(tree: ast.AST) -> set[str]:
    """Every module named by an import statement; `from m import a` names m and m.a."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def modules_imported_at_once(tree: ast.AST) -> set[str]:
    """Those imported as the module is: outside functions."""
    inner = (ast.FunctionDef, ast.AsyncFunctionDef)
    rest = ast.Module(body=[], type_ignores=[])
    todo = list(ast.iter_child_nodes(tree))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            rest.body.append(node)
        elif not isinstance(node, inner):
            todo.extend(ast.iter_child_nodes(node))
    return modules_imported(rest)


def wrong_imports(area: str, source: str) -> set[str]:
    """Imports that the house forbids in a file of `area`."""
    tree = ast.parse(source)
    allowed = MAY_IMPORT[area]
    return {
        name
        for found, more in (
            (modules_imported_at_once(tree), set[str]()),
            (modules_imported(tree), WHEN_CALLED.get(area, set())),
        )
        for name in found
        if _forbidden(name.split("."), allowed | more)
    }


def _forbidden(parts: list[str], allowed: set[str]) -> bool:
    if parts[0] in {"", *OURS, *PROGRAMS}:  # relative, bare `theory`, or a maintainers' program
        return True
    return parts[0] == "covlaw" and bool(parts[1:]) and parts[1] in OURS - allowed


def sources(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("*.py"))
    }


@pytest.mark.parametrize("area", AREAS)
def test_imports_follow_the_directions_of_the_house(area: str) -> None:
    files = sources(ROOT / area)
    assert files
    wrong = {file: names for file, text in files.items() if (names := wrong_imports(area, text))}
    assert wrong == {}


@pytest.mark.parametrize("folder", ["tests", "tools", "src/covlaw"])
def test_nothing_is_imported_by_its_bare_folder_name(folder: str) -> None:
    """From the repository root `import theory` works too, and yields other module objects."""
    for file, text in sources(ROOT / folder).items():
        names = modules_imported(ast.parse(text))
        assert {n for n in names if n.split(".")[0] in OURS} == set(), file


@pytest.mark.parametrize(
    ("area", "source"),
    [
        ("theory", "import covlaw.toys"),
        ("theory", "from covlaw import llm"),
        ("theory", "import covlaw.records.reading"),
        ("theory", "def f():\n    from covlaw.plugins import logs"),
        ("records", "from covlaw.toys.study import run"),
        ("records", "from covlaw.llm import train"),
        ("toys", "def f():\n    from covlaw.llm.train import train"),
        ("llm", "from covlaw.toys import bandit"),
        ("plugins", "from covlaw.llm.train import train"),
        ("plugins", "if True:\n    import covlaw.llm"),
        ("plugins", "class A:\n    from covlaw.llm import train"),
        ("plugins", "def f():\n    import covlaw.toys"),
        ("figures", "import covlaw.ladder.report"),
        ("figures", "from covlaw import toys"),
        ("theory", "from theory.rollouts import Rollouts"),
        ("ladder", "import toys"),
        ("ladder", "from covlaw import tools"),
        ("ladder", "import covlaw.tests"),
        ("ladder", "from record import record"),
        ("llm", "from .records import x"),
    ],
)
def test_a_forbidden_import_is_found(area: str, source: str) -> None:
    assert wrong_imports(area, source)


@pytest.mark.parametrize(
    ("area", "source"),
    [
        ("plugins", "def f():\n    from covlaw.llm.train import train"),
        ("plugins", "class A:\n    def f(self):\n        import covlaw.llm"),
        ("figures", "from covlaw.records import reading"),
        ("llm", "import covlaw.records.runs"),
        ("ladder", "from covlaw import figures, __version__"),
    ],
)
def test_an_import_that_is_allowed_is_not_found(area: str, source: str) -> None:
    assert wrong_imports(area, source) == set()


def overfull(folder: Path, limit: int = FILES_IN_A_FOLDER) -> dict[str, int]:
    """Folders with more modules than `limit`."""
    held = Counter(str(file.parent) for file in folder.rglob("*.py"))
    return {name: count for name, count in held.items() if count > limit}


def families(folder: Path) -> dict[str, list[str]]:
    """Modules of one folder that share their first word, where there are too many of them."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("[!_]*.py")):
        if SENTENCES not in file.parents:
            found.setdefault(f"{file.parent}/{file.stem.split('_')[0]}", []).append(file.name)
    return {key: names for key, names in found.items() if len(names) >= OF_ONE_PREFIX}


@pytest.mark.parametrize("area", [*AREAS, "tools"])
def test_a_folder_can_be_taken_in_at_a_glance(area: str) -> None:
    assert overfull(ROOT / area) == {}


@pytest.mark.parametrize("area", [*AREAS, "tools"])
def test_a_family_is_a_folder_and_no_prefix(area: str) -> None:
    assert families(ROOT / area) == {}


def test_an_overfull_folder_and_a_family_are_found(tmp_path: Path) -> None:
    for name in (
        "audit.py",
        "audit_law.py",
        "audit_terms.py",
        "audit_sets.py",
        "auditor.py",
        "_audit.py",
    ):
        (tmp_path / name).touch()
    assert list(overfull(tmp_path, limit=5).values()) == [6]
    assert overfull(tmp_path, limit=6) == {}
    assert list(families(tmp_path).values()) == [
        ["audit.py", "audit_law.py", "audit_sets.py", "audit_terms.py"]
    ]


@pytest.mark.parametrize(
    "module",
    ["covlaw", "covlaw.theory", "covlaw.theory.statements", "covlaw.records", "covlaw.plugins"],
)
def test_the_core_needs_its_own_dependencies_only(module: str) -> None:
    """Also the modules below it, but for plug-ins, each of which needs what it plugs into."""
    heavy = ("transformers", "vllm", "rich", "matplotlib", "tyro", "jinja2", "pyarrow", "torchjd")
    below = "" if module in {"covlaw", "covlaw.plugins"} else WALK.format(module=module)
    report = f"import sys, {module}\n{below}\nprint(*(m for m in {heavy} if m in sys.modules))"
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", report], capture_output=True, text=True, check=True, cwd=ROOT.anchor
    )
    assert result.stdout.strip() == ""


WALK = """
from importlib import import_module
from pkgutil import walk_packages
for found in walk_packages(sys.modules["{module}"].__path__, "{module}" + "."):
    import_module(found.name)
"""
