"""How long the page of a large run takes in a browser: until its table can be used, its map is drawn, it is sorted.

    python -m studies.pictures.report_page [TRIALS [REFUSED]]

Times are the page's own, from the navigation on, in a headless Chromium. The networks are drawn at random and judged by
the prior; what they reach is made up.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.records import Record
from ntk_prior.report import Row, Run, write_page
from ntk_prior.runs import RunTrial

TRIALS, REFUSED, REPEATS = 5_000, 20_000, 3
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MARK = "name => performance.getEntriesByName(name)[0]?.startTime"


def large_run(trials: int, refused: int) -> Run:
    """A run over random networks, of which some were launched and the others refused."""
    rng = np.random.default_rng(0)
    n = trials + refused
    columns = {
        "weight_variance": rng.uniform(0.5, 4.0, n),
        "bias_variance": rng.uniform(0.0, 0.5, n),
        "depth": rng.integers(1, 65, n),
        "activation": rng.choice(["erf", "relu"], n),
        "learning_rate": 10.0 ** rng.uniform(-3, 1, n),
    }
    prior = NTKPrior(Task.cifar10(10_000), Budget(steps=2_000, width=256))
    found = prior.score_many(columns)
    rows = [
        row(number, dict(zip(columns, values, strict=True)), float(score), str(verdict), number < trials)
        for number, (*values, score, verdict) in enumerate(
            zip(*(column.tolist() for column in columns.values()), found.score, found.verdict, strict=True)
        )
    ]
    evidence = [
        Record(one.trial.score, str(one.trial.verdict), "", Drawn.PLAIN).as_evidence((-(one.trial.outcome or 0.0),))
        for one in rows[:trials]
    ]
    return Run(
        "large", "benchmark", rows, "accuracy", True, [one for one in evidence if one], refused_in="all", prior=prior
    )


def row(number: int, config: dict[str, object], score: float, verdict: str, launched: bool) -> Row:
    """One network; every tenth launched one is an audit."""
    drawn = (Drawn.PLAIN if number % 10 == 0 else Drawn.SCREENED) if launched else None
    outcome = 0.1 + 0.5 * score if launched else None
    trial = RunTrial(config, verdict, score, drawn, launched, outcome, f"trial {number}", seconds=60.0)
    return Row(trial, config, "complete" if launched else "never launched", "depth 30 > 6 = 3.9 xi_1: a reason")


def measured(page: Page, url: str) -> dict[str, float]:
    """Seconds that one visit takes."""
    page.goto(url, wait_until="load")
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    page.locator("#map-plot").scroll_into_view_if_needed()
    page.wait_for_function("performance.getEntriesByName('map-plot-drawn').length > 0")
    sort = """column => {
        const begun = performance.now();
        document.querySelectorAll("#trials thead button")[column].click();
        return performance.now() - begun;
    }"""
    found = {
        "table shown": page.evaluate(MARK, "trials-shown"),
        "page ready": loaded,
        "map drawn": page.evaluate(MARK, "map-plot-drawn"),
        "sorted by score, in": page.evaluate(sort, 3),
    }
    return {words: milliseconds / 1e3 for words, milliseconds in found.items()}


def main() -> None:
    """Write the page, visit it, print the times."""
    trials, refused = ([int(text) for text in sys.argv[1:]] + [TRIALS, REFUSED][len(sys.argv) - 1 :])[:2]
    run = large_run(trials, refused)
    command = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        begun = time.perf_counter()
        write_page(run, path)
        wrote = time.perf_counter() - begun
        browser = playwright.chromium.launch(executable_path=command, args=["--no-sandbox", "--disable-gpu"])
        visits = [measured(browser.new_page(), path.as_uri()) for _ in range(REPEATS)]
        browser.close()
        size = path.stat().st_size
    title = f"{trials:,} trials and {refused:,} refused draws, {size / 2**20:.1f} MiB, written in {wrote:.1f} s"
    table = Table("seconds", *(f"visit {number + 1}" for number in range(REPEATS)), title=title)
    for words in visits[0]:
        table.add_row(words, *(f"{visit[words]:.2f}" for visit in visits))
    Console().print(table)


if __name__ == "__main__":
    main()
