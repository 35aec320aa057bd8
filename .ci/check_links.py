"""Checks a built site: every link inside it leads somewhere, anchors included, and no page needs another host.

python .ci/check_links.py build/site
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
"""Attributes whose address a browser fetches by itself."""

RELATIONS = {"canonical", "next", "prev", "edit"}
"""Relations of <link> that are followed by nobody."""


class Reference(NamedTuple):
    """One address on a page, and whether a browser fetches it by itself."""

    address: str
    loaded: bool


class Page(HTMLParser):
    """The anchors of a page and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[Reference] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note anchors and references."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "link" and given.get("rel") in RELATIONS:
            return
        for name in ("href", "src"):
            if name in given:
                self.references.append(Reference(given[name], (tag, name) in LOADED))


def broken(site: Path) -> Iterator[str]:
    """What is wrong with a site, one line each."""
    site = site.resolve()
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: expected a built site, found no page"
    for path, page in pages.items():
        # Its links are absolute, since it is shown for any address.
        if path.name == "404.html":
            continue
        for address, loaded in page.references:
            where = f"{path.relative_to(site)}: {address}"
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if loaded and parts.scheme != "data":
                    yield f"{where}: loaded from another host"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{where}: no such file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{where}: no such anchor"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} SITE")
    found = sorted(set(broken(Path(sys.argv[1]))))
    sys.exit("\n".join(found) if found else 0)
