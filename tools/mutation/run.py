"""Mutation run: `make mutate [MODULES="covariance weighting"]`, resumable, hours for everything.

Mutates modules of `theory/`, runs the tests of `tests/theory` on each mutant, and writes the share
killed and the survivors, each with its reason from reasons.toml, to docs/mutation.md. Only the
library's own tests take part, not the statements': the share that all default tests kill is at
least the one reported.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mutation"
REASONS = Path(__file__).with_name("reasons.toml")
REPORT = ROOT / "docs" / "mutation.md"
CORE = (
    "covariance",
    "weighting",
    "groups",
    "clipping",
    "clipped_law",
    "margin",
    "advantages",
    "tilt",
    "thresholds",
    "remainder",
)
"""What users' numbers come out of; the default."""
DEAD = ("killed", "timeout", "caught by type check", "segfault")
NOT_ALIVE = ("skipped", "not checked")
CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{modules}]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-q", "-x"]
pytest_add_cli_args_test_selection = [{tests}]
"""


def main() -> int:
    """Mutate, test, report; exit code 1 if a survivor has no reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=CORE, help="modules of theory/")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    modules = tuple(options.modules)
    _prepare(modules)
    _mutmut("run", "--max-children", str(options.jobs), log=WORK / "run.log")
    return _report(modules, _results())


def _results() -> dict[str, str]:
    """Name of each mutant → what became of it."""
    return dict(re.findall(r"^\s*(\S+): ([\w ]+)$", _mutmut("results", "--all", "true"), re.M))


def _alive(found: dict[str, str]) -> dict[str, str]:
    return {name: how for name, how in found.items() if how not in (*DEAD, *NOT_ALIVE)}


def _prepare(modules: tuple[str, ...]) -> None:
    """Lay the tree out as a wheel does, as mutmut works on one folder of sources."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    inside = {area: f"src/covlaw/{area}" for area in project["tool"]["covlaw"]["areas"]}
    for name in ("src", "tests", "tools", *inside):
        shutil.copytree(
            ROOT / name,
            WORK / inside.get(name, name),
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    unknown = [m for m in modules if len(_files(m)) != 1]
    if unknown:
        sys.exit(f"not the name of one module in theory/: {', '.join(unknown)}")
    found = [_files(m)[0].relative_to(ROOT).as_posix() for m in modules]
    mutated = ", ".join(f'"src/covlaw/{file}"' for file in found)
    tests = ", ".join(f'"{path.relative_to(ROOT)}"' for path in _unit_tests(modules))
    config = (ROOT / "pyproject.toml").read_text() + CONFIG.format(modules=mutated, tests=tests)
    (WORK / "pyproject.toml").write_text(config)


def _files(module: str) -> list[Path]:
    """Where a module of theory/ stands; none of the statements'."""
    found = (ROOT / "theory").glob(f"*/{module}.py")
    return [file for file in found if file.parent.name != "statements"]


def _unit_tests(modules: tuple[str, ...]) -> list[Path]:
    """Tests that import one of the modules, but for those of whole statements."""
    imported = re.compile(rf"theory\.\w+\.(?:{'|'.join(modules)})\b")
    files = sorted((ROOT / "tests" / "theory").rglob("test_*.py"))
    return [
        p for p in files if imported.search(p.read_text()) and "STATEMENTS" not in p.read_text()
    ]


def _mutmut(*arguments: str, log: Path | None = None) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if log is None:
        return subprocess.run(  # noqa: S603
            command, cwd=WORK, env=environment, capture_output=True, text=True, check=True
        ).stdout
    with log.open("w") as file:
        print(f"mutmut {' '.join(arguments)}: progress in {log}", flush=True)
        subprocess.run(command, cwd=WORK, env=environment, stdout=file, stderr=file, check=True)  # noqa: S603
    return ""


def _report(modules: tuple[str, ...], found: dict[str, str]) -> int:
    judged = {name: how for name, how in found.items() if how not in NOT_ALIVE}
    alive = _alive(judged)
    reasons: dict[str, str] = tomllib.loads(REASONS.read_text()) if REASONS.exists() else {}
    killed = len(judged) - len(alive)
    lines = [
        "# Mutation run\n",
        "Written by `make mutate`; do not edit. Reasons: `tools/mutation/reasons.toml`.\n",
        f"Modules of `theory/`: {', '.join(modules)}.\n",
        f"**{killed} of {len(judged)} mutants killed ({killed / max(len(judged), 1):.1%}).**\n",
        "## Survivors\n",
    ]
    unexplained = 0
    for name in sorted(alive):
        change = _change(name)
        reason = reasons.get(change)
        reason = reason or next((why for part, why in reasons.items() if part in change), None)
        unexplained += reason is None
        place = name.removeprefix("covlaw.theory.").split("__mutmut")[0]
        lines.append(f"- `{place}`: `{change}`: {reason or '**no reason yet**'} ({alive[name]})")
    REPORT.write_text("\n".join(lines) + "\n")
    print(f"{killed} of {len(judged)} killed, {unexplained} survivors without a reason: {REPORT}")
    return 1 if unexplained else 0


def _change(name: str) -> str:
    """The mutated line before and after: stable while the code is, unlike the mutant's number."""
    diff = _mutmut("show", name).splitlines()
    old = [x[1:].strip() for x in diff if x.startswith("-") and not x.startswith("---")]
    new = [x[1:].strip() for x in diff if x.startswith("+") and not x.startswith("+++")]
    return f"{' '.join(old)} → {' '.join(new)}"


if __name__ == "__main__":
    sys.exit(main())
