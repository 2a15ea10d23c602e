"""LaTeX to MathML while the site is built: no script, no font and no network when it is read."""

import html
import re
from typing import Any

from covlaw.ladder.report.formulas import mathml

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<open>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>',
    re.DOTALL,
)


def on_page_content(content: str, **_: Any) -> str:
    """Replace every formula that pymdownx.arithmatex marked."""
    return _FORMULA.sub(_rendered, content)


def _rendered(found: re.Match[str]) -> str:
    latex = html.unescape(found["latex"]).strip()
    # MathML speaks for itself; a text of LaTeX commands beside it would not help anyone
    formula = mathml(latex, "").replace(' alttext=""', "")
    if found["open"] == "[":
        return f'<div class="formula">{formula}</div>'
    return formula.replace('display="block"', 'display="inline"')
