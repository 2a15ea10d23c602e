"""The same SVG in half the bytes: nothing that is drawn moves by more than .1 points.

A reader of a page or a repository pays for every byte, and matplotlib spends most of them on ids
that nothing refers to, on digits below what a printer resolves, and on white space.
"""

import re

_NUMBER = re.compile(r"-?\d+\.\d+")
_LINE = re.compile(r"[MLz\d.\-\s]*")
_BARE_GROUP = re.compile(r"<g>((?:(?!</?g[ >]).)*)</g>", re.DOTALL)
_MARKERS = re.compile(r'<g( clip-path="[^"]*")>((?:<use[^>]*/>)+)</g>')
_STYLE = re.compile(r' (style="[^"]*")')
_SHIFTED = re.compile(r'(<use [^>]*?)transform="translate\((\S+?)(?: (\S+?))?\)"/>')
_REFERENCE = re.compile(r'(\bid="|href="#|url\(#)([^")]+)')


def compact(svg: str) -> str:
    """Rewrite matplotlib's SVG: coordinates to .1 points, short ids, styles said once.

    Glyphs are placed in units of their font, of which .1 is less still; scales keep every digit.
    """
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*\n\s*", " ", svg.strip()).replace("> <", "><").replace(' "/>', '"/>')
    svg = re.sub(r' xmlns:xlink="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = _without_bare_groups(_short_ids(svg))
    svg = re.sub(r' [xy]="[^"]*"|translate\([^)]*\)', lambda found: _rounded(found[0]), svg)
    svg = re.sub(r' d="([^"]*)"', lambda found: f' d="{_path(found[1])}"', svg)
    svg = _MARKERS.sub(_styled_once, _SHIFTED.sub(_placed, svg))
    return _STYLE.sub(lambda found: found[0].replace("; ", ";").replace(": ", ":"), svg)


def _short_ids(svg: str) -> str:
    """Ids that something refers to, counted through; the others go."""
    used = dict.fromkeys(n for lead, n in _REFERENCE.findall(svg) if not lead.startswith("id"))
    short = {name: f"i{number:x}" for number, name in enumerate(used)}
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    return _REFERENCE.sub(lambda found: found[1] + short.get(found[2], found[2]), svg)


def _without_bare_groups(svg: str) -> str:
    before = ""
    while before != svg:
        before, svg = svg, _BARE_GROUP.sub(r"\1", svg)
    return svg


def _rounded(text: str) -> str:
    return _NUMBER.sub(lambda found: f"{round(float(found[0]), 1) + 0.0:g}", text)


def _path(commands: str) -> str:
    """A path's commands; pairs after an M are lines, where there are no curves."""
    commands = _rounded(commands)
    if _LINE.fullmatch(commands):
        commands = re.sub(r"(?<=[\d.]) L (?=[-\d])", " ", commands)
    return re.sub(r" ?([A-Za-z]) ?", r"\1", commands).strip()


def _placed(found: re.Match[str]) -> str:
    start, x, y = found.groups()
    return f'{start}x="{x}"' + (f' y="{y}"/>' if y and y != "0" else "/>")


def _styled_once(found: re.Match[str]) -> str:
    """Markers of one series: their style on the group."""
    clip, uses = found.groups()
    styles = set(_STYLE.findall(uses))
    if len(styles) != 1 or uses.count("style=") != uses.count("<use"):
        return found[0]
    return f"<g{clip} {styles.pop()}>{_STYLE.sub('', uses)}</g>"
