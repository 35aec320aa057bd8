"""Formulas become MathML while the site is built: browsers draw it themselves, without a script or a font to load."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', flags=re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Replace what ``pymdownx.arithmatex`` has marked; called by MkDocs for each page."""
    return _FORMULA.sub(lambda found: _mathml(html.unescape(found[2]), block=found[1] == "div"), content)


def _mathml(marked: str, *, block: bool) -> str:
    # LaTeX between \( and \), or \[ and \] for a formula of its own.
    return convert(marked.strip()[2:-2], display="block" if block else "inline")
