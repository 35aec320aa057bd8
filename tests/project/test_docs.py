"""The documentation: its code runs and prints what it says, every public name is in it, and no link leads nowhere."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pytest
import yaml

from tests.support.snippets import run_page, snippets

pytest_plugins = ["tests.support.browser"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.glob("*.md") if snippets(page) and page.name != "quickstart-ray.md")
PUBLIC = (
    "ntk_prior",
    "ntk_prior.exact",
    "ntk_prior_flax",
    "ntk_prior_optuna",
    "ntk_prior_optuna.visualization",
    "ntk_prior_ray",
    "ntk_prior_ray.visualization",
)


@pytest.fixture
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages write pictures beside themselves."""
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.usefixtures("in_a_folder_of_its_own")
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page: Path) -> None:
    run_page(page, {"__name__": "__main__"})


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("in_a_folder_of_its_own", "local_ray")
def test_the_quick_start_for_ray_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where no storage_path is given, Ray writes below the home directory.
    monkeypatch.setenv("HOME", str(tmp_path))
    namespace = run_page(DOCS / "quickstart-ray.md", {"__name__": "quickstart"})
    assert len(namespace["results"]) == 8


def test_a_page_that_says_what_its_code_does_not_print_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nprint(1, 2)\n```\n\n```text\n1 ...\n```\n\n```python\nprint(3)\n```\n\n```text\n4\n```\n"
    )
    with pytest.raises(AssertionError, match="block 2: expected\n4\n"):
        run_page(page, {})


def documented() -> set[str]:
    """The objects that the reference describes, by the paths that it finds them at."""
    pages = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    return set(re.findall(r"^::: ([\w.]+)$", pages, flags=re.MULTILINE))


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    paths = {path for path in documented() if path.startswith(f"{module}.")}
    described = [pkgutil.resolve_name(path) for path in paths]
    public = importlib.import_module(module)

    def is_described(name: str) -> bool:
        if isinstance(getattr(public, name), ModuleType):
            return any(path.startswith(f"{module}.{name}.") for path in paths)
        return any(getattr(public, name) is one for one in described)

    assert [name for name in public.__all__ if not is_described(name)] == []


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"[\w/-]+\.md", str(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def checked(site: Path) -> str:
    """What the checker of links says of a site; nothing where all is well."""
    command = [sys.executable, str(ROOT / ".ci" / "check_links.py"), str(site)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr.strip()


def test_no_link_of_the_site_leads_nowhere_and_no_page_needs_another_host(site: Path) -> None:
    assert checked(site) == ""


@pytest.mark.parametrize("module", ["decision", "runs"])
def test_every_name_for_authors_of_adapters_is_in_the_reference(site: Path, module: str) -> None:
    page = (site / "api" / f"{module}.html").read_text(encoding="utf-8")
    names = importlib.import_module(f"ntk_prior.{module}").__all__
    assert [name for name in names if f'id="ntk_prior.{module}.{name}"' not in page] == []


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ('<a href="trust.html#no-such-heading">', "trust.html#no-such-heading: no such anchor"),
        ('<a href="#gone">', "#gone: no such anchor"),
        ('<a href="missing.html">', "missing.html: no such file"),
        ('<img src="https://example.org/a.png">', "https://example.org/a.png: loaded from another host"),
        ('<script src="//example.org/a.js"></script>', "//example.org/a.js: loaded from another host"),
    ],
)
def test_the_checker_of_links_finds_a_broken_one(site: Path, link: str, complaint: str) -> None:
    page = site / "index.html"
    whole = page.read_text(encoding="utf-8")
    try:
        page.write_text(whole.replace("</body>", f"{link}</body>"), encoding="utf-8")
        assert checked(site) == f"index.html: {complaint}"
    finally:
        page.write_text(whole, encoding="utf-8")


def test_formulas_are_drawn_by_the_browser_itself(site: Path) -> None:
    theory = (site / "theory.html").read_text(encoding="utf-8")
    assert theory.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') >= 9
    assert "arithmatex" not in theory
    assert "\\sigma" not in theory
    assert "MathJax" not in theory


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_browser_draws_formulas_and_searches_without_asking_another_host(address: str, page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/theory.html")
    fraction = page.locator("math[display=block] mfrac").first.bounding_box()
    assert fraction["height"] > 20
    page.keyboard.press("/")
    page.keyboard.type("condition number")
    page.wait_for_selector(".md-search-result__link")
    found = [link.get_attribute("href") for link in page.query_selector_all(".md-search-result__link")]
    assert any("theory.html" in link for link in found)
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []
