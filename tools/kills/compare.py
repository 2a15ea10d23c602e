"""What two folders of the same work must have in common: every byte but what tells the time."""

from pathlib import Path

TIME = {
    "timing.jsonl": "seconds of each step",
    ".lock": "who was at work",
}
"""Files that are set apart, and what they hold: nothing else may differ."""

IN_ANY_ORDER = ("verdicts.jsonl", "runs.jsonl")
"""Files that jobs are appended to as they finish: their lines are compared sorted."""


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its path in it, those of `TIME` left out."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name not in TIME)
    return {str(p.relative_to(folder)): _read(p) for p in sorted(files)}


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    if path.name in IN_ANY_ORDER:
        return b"".join(sorted(content.splitlines(keepends=True)))
    return content


def differences(found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """Say of each file in which the two differ how."""
    said = [f"{name} is missing" for name in wanted.keys() - found.keys()]
    said += [f"{name} is one too many" for name in found.keys() - wanted.keys()]
    for name in wanted.keys() & found.keys():
        if found[name] != wanted[name]:
            said.append(f"{name} differs from byte {_first(found[name], wanted[name]):,} on")
    return sorted(said)


def _first(found: bytes, wanted: bytes) -> int:
    pairs = enumerate(zip(found, wanted, strict=False))
    return next((k for k, (a, b) in pairs if a != b), min(len(found), len(wanted)))
