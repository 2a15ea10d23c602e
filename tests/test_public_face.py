"""`import covlaw`: what is public, typed and loaded late; and how a name goes."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.version import Version

import covlaw
from covlaw._lazy import Retired, lazy_names
from covlaw._public import PUBLIC, RETIRED

ROOT = Path(__file__).parents[1]
STUB = ROOT / "src/covlaw/__init__.pyi"


def printed(code: str) -> str:
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT.anchor,
    )
    return result.stdout.strip()


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_what_its_module_defines(name: str) -> None:
    where, _, attribute = PUBLIC[name].partition(":")
    assert getattr(covlaw, name) is getattr(import_module(where), attribute or name)
    assert name in vars(covlaw)  # found once, then an ordinary attribute


def test_importing_loads_no_package_and_completion_knows_the_names() -> None:
    heavy = ("torch", "numpy", "scipy", "sympy", "importlib.metadata")
    code = (
        f"import sys, covlaw; print([m for m in {heavy} if m in sys.modules]); "
        "from covlaw import *; print({*covlaw.__all__} <= {*dir(covlaw)} & {*globals()})"
    )
    assert printed(code) == "[]\nTrue"


def test_the_areas_are_attributes() -> None:
    assert printed("import covlaw; print(covlaw.theory.__name__, 'theory' in vars(covlaw))") == (
        "covlaw.theory True"
    )
    with pytest.raises(AttributeError, match="module 'covlaw' has no attribute 'exact_chance'"):
        _ = covlaw.exact_chance  # type: ignore[attr-defined]
    assert not hasattr(covlaw, "_nowhere")


def test_type_checkers_see_the_same_names_from_the_same_places() -> None:
    """A name that is only in the table would be unknown to mypy and to editors."""
    typed = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname, f"{alias.name}: write `as {alias.name}`, which exports it"
                typed[alias.asname] = f"{node.module}:{alias.name}"
    table = {n: place if ":" in place else f"{place}:{n}" for n, place in PUBLIC.items()}
    assert typed == table


REFERENCE = ROOT / "docs/reference"


def shown_modules(page: str) -> dict[str, set[str]]:
    """Module -> the members that a page picks; none: it shows all that are public."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^::: (\S+)\n((?:    .*\n?)*)", text, re.MULTILINE)
    picked = {module: re.search(r"members: \[(.*)\]", options) for module, options in blocks}
    return {module: set(p[1].split(", ")) if p else set() for module, p in picked.items()}


def test_each_public_name_stands_in_the_reference() -> None:
    index = (REFERENCE / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[`(\w+)`\]\((\S+)#(\S+)\) \| `(\S+)` \|$", index, re.MULTILINE)
    assert [name for name, *_ in rows] == list(PUBLIC)
    for name, page, anchor, module in rows:
        where, _, attribute = PUBLIC[name].partition(":")
        assert (module, anchor) == (where, f"{where}.{attribute or name}")
        picked = shown_modules(page)[module]
        assert not picked or name in picked, f"{page} leaves {name} out"


def test_a_retired_name_warns_for_one_version_and_still_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = SimpleNamespace(__name__="some_module")
    monkeypatch.setitem(sys.modules, "some_module", module)  # type: ignore[arg-type]
    retired = {"old": Retired("dumps", "0.2"), "moved": Retired("json:loads", "0.3")}
    find, names = lazy_names("some_module", {"dumps": "json"}, retired)
    with pytest.warns(DeprecationWarning, match="some_module.old is now some_module.dumps; ") as w:
        old = find("old")
    assert old is find("dumps")
    assert w[0].filename == __file__  # it points at the caller
    with pytest.warns(DeprecationWarning, match=r"is now json.loads; .*moved goes in 0.3"):
        assert find("moved")("1") == 1
    assert "old" not in names()  # completion does not offer it


def test_a_retired_name_is_public_no_more_and_goes_in_a_later_version() -> None:
    assert not set(RETIRED) & set(PUBLIC)
    for name, old in RETIRED.items():
        assert Version(old.gone_in) > Version(covlaw.__version__), f"{name} should be gone by now"
