"""A headless Chromium for tests of pages: a module asks for it by ``pytest_plugins = ["tests.support.browser"]``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests of the session."""
    command = next(filter(None, map(shutil.which, COMMANDS)), None)
    if command is None:
        complaint = "no Chromium: install one, such as with 'apt-get install chromium'"
        if os.environ.get("NTK_PRIOR_REQUIRE_BROWSER"):
            pytest.fail(complaint)
        pytest.skip(complaint)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)


@pytest.fixture
def watched(chromium: Any) -> Iterator[Watched]:
    """A new page of 1000 x 800 pixels whose errors are kept."""
    page = chromium.new_page(viewport={"width": 1000, "height": 800})
    yield Watched(page)
    page.close()


@pytest.fixture
def page(watched: Watched) -> Iterator[Any]:
    """A new page on which nothing may go wrong: a script's error, or one in the console, fails the test."""
    yield watched.page
    assert watched.errors == []
