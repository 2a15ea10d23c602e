"""What a study found, laid out as its table."""

from typing import Any

from covlaw.records.study import table_of


def study_section(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with its cells by (algorithm, world); {} where there is none."""
    if not summary:
        return {}
    cells, worlds, names = table_of(summary)
    share = {name: cells[name, worlds[-1]]["sacrifices"]["mean"] for name in names}
    volume = {name: cells[name, worlds[-1]]["hypervolume"]["mean"] for name in names}
    return summary | {
        "cells": cells,
        "worlds": worlds,
        "names": names,
        "share": share,
        "least": min(names, key=lambda name: share[name]),
        "most": max(names, key=lambda name: share[name]),
        "largest": max(names, key=lambda name: volume[name]),
    }
