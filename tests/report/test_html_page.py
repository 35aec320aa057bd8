"""The report's page in a real browser: nothing fails, and whatever a user does with it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ntk_prior import plot_phase_diagram
from ntk_prior.report import Run
from ntk_prior_cli.commands.review import judge_afterwards
from ntk_prior_cli.picture_file import write_figure
from tests.support.reports import PRIOR, hostile_run, row, small_run, written

pytest_plugins = ["tests.support.browser"]

FIRST_ROWS = "[...document.querySelectorAll('#trials tbody tr')].map(row => row.cells[COLUMN].textContent)"


def column(page: Any, number: int) -> list[str]:
    """What a column shows."""
    found: list[str] = page.evaluate(FIRST_ROWS.replace("COLUMN", str(number)))
    return found


def heading(page: Any, words: str) -> Any:
    return page.locator("#trials thead th").filter(has=page.get_by_role("button", name=words, exact=True))


@pytest.fixture
def opened(page: Any, tmp_path: Path) -> Any:
    page.goto(written(small_run(prior=PRIOR), tmp_path))
    return page


def drawn(page: Any, name: str) -> Any:
    """A figure, once it is drawn."""
    figure = page.locator(f"#{name}-plot")
    figure.scroll_into_view_if_needed()
    figure.locator(".main-svg").first.wait_for()
    return figure


def test_a_newcomer_reads_what_was_refused_and_why(opened: Any) -> None:
    assert opened.get_by_role("heading", level=1).inner_text() == "a study: what was refused, and why"
    assert "Refused before launch: 15 untrainable." in opened.locator("header").inner_text()
    verdicts = opened.locator("#refused table").inner_text()
    assert "kernel is too ill-conditioned" in verdicts
    assert "is what binds" in verdicts


def test_all_figures_are_drawn_without_the_network(opened: Any) -> None:
    for name in ("map", "calibration", "savings", "trust"):
        drawn(opened, name)
    assert opened.evaluate("performance.getEntriesByType('resource').length") == 0


def test_a_heading_sorts_and_turns_the_order_round(opened: Any) -> None:
    score = heading(opened, "Score")
    assert score.get_attribute("aria-sort") == "none"
    score.get_by_role("button").click()
    assert score.get_attribute("aria-sort") == "ascending"
    shown = [float(text) for text in column(opened, 3)]
    assert shown == sorted(shown)
    score.get_by_role("button").click()
    assert score.get_attribute("aria-sort") == "descending"
    assert column(opened, 0)[0] == "trial 0"
    heading(opened, "Verdict").get_by_role("button").click()
    assert score.get_attribute("aria-sort") == "none"


def test_numbers_are_sorted_as_numbers_and_unknown_values_stay_at_the_end(page: Any, tmp_path: Path) -> None:
    rows = [row(number, {"width": width}, 0.5, "feasible") for number, width in enumerate([9, 10, 100])]
    rows.append(row(3, {}, 0.5, "feasible"))
    page.goto(written(replace(small_run(), rows=rows, evidence=()), tmp_path))
    for order in (["9", "10", "100", ""], ["100", "10", "9", ""]):
        heading(page, "width").get_by_role("button").click()
        assert column(page, 6) == order


def test_words_and_choices_filter_together(opened: Any) -> None:
    count = opened.get_by_role("status")
    assert count.inner_text() == "1 to 25 of 60"
    opened.get_by_label("Verdict").select_option("untrainable")
    assert count.inner_text() == "1 to 17 of 17, chosen from 60"
    opened.get_by_label("What was done").select_option("launched: audit")
    assert column(opened, 0) == ["trial 51", "trial 59"]
    opened.get_by_label("Search").fill("DEPTH 52")
    assert column(opened, 0) == ["trial 51"]
    opened.get_by_label("Search").fill("nowhere to be found")
    assert count.inner_text() == "none, chosen from 60"
    assert column(opened, 0) == []


def test_pages_are_turned(opened: Any) -> None:
    before, after = (opened.get_by_role("button", name=name) for name in ("Previous", "Next"))
    assert before.is_disabled()
    after.click()
    after.click()
    assert opened.get_by_role("status").inner_text() == "51 to 60 of 60"
    assert after.is_disabled()
    before.click()
    assert column(opened, 0)[0] == "trial 25"


def test_the_keyboard_is_enough(opened: Any) -> None:
    opened.get_by_label("Search").focus()
    opened.keyboard.type("untrainable")
    assert opened.get_by_role("status").inner_text() == "1 to 17 of 17, chosen from 60"
    reached = []
    for _ in range(7):
        opened.keyboard.press("Tab")
        reached.append(opened.evaluate("document.activeElement.textContent"))
    assert reached[-1] == "Score", reached
    opened.keyboard.press("Enter")
    assert heading(opened, "Score").get_attribute("aria-sort") == "ascending"
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_hovering_over_a_point_says_which_trial_it_is(opened: Any) -> None:
    figure = drawn(opened, "calibration")
    figure.locator(".scatterlayer .trace").first.locator("path.point").first.hover(force=True)
    label = figure.locator(".hoverlayer")
    label.get_by_text("trial 0").wait_for()
    assert "score 1.00" in label.text_content()


CUT_OFF = """() => [...document.querySelectorAll("body *")].flatMap((element) => {
  if (element.closest("svg, script, style")) return [];
  const { right } = element.getBoundingClientRect();
  const hides = !["visible", "auto"].includes(getComputedStyle(element).overflowX);
  const beyond = right > document.documentElement.clientWidth + 1 && !element.closest(".wide");
  const clipped = hides && element.scrollWidth > element.clientWidth + 1;
  return beyond || clipped ? [`${element.tagName} ${element.className}: ${element.textContent.slice(0, 50)}`] : [];
}).concat([...document.querySelectorAll(".plot")].flatMap((plot) => {
  const { left, right } = plot.getBoundingClientRect();
  return [...plot.querySelectorAll("text")]
    .filter((text) => text.getBoundingClientRect().width)
    .filter((text) => text.getBoundingClientRect().left < left - 1 || text.getBoundingClientRect().right > right + 1)
    .map((text) => `${plot.id}: ${text.textContent}`);
}))"""
"""What is cut off at the side: elements beyond the window outside of boxes that scroll, and text beyond its figure."""


def reviewed_run() -> Run:
    return judge_afterwards(small_run(), PRIOR, None)


@pytest.mark.parametrize("width", [320, 500, 800, 1400])
@pytest.mark.parametrize("run", [lambda: small_run(prior=PRIOR), reviewed_run], ids=["report", "review"])
def test_no_window_is_too_narrow(width: int, run: Callable[[], Run], page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(written(run(), tmp_path))
    for name in page.evaluate("[...document.querySelectorAll('figure')].map(figure => figure.id)"):
        drawn(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []


def test_figures_fit_a_window_of_500_pixels_without_scrolling(opened: Any) -> None:
    opened.set_viewport_size({"width": 500, "height": 700})
    for name in ("map", "calibration", "savings", "trust"):
        drawn(opened, name)
        # Plotly follows a window that shrinks a moment later.
        fits = "selector => { const box = document.querySelector(selector); return box.scrollWidth <= box.clientWidth }"
        opened.wait_for_function(fits, arg=f"#{name} .wide", timeout=10_000)
        assert opened.locator(f"#{name} .wide").evaluate("box => box.scrollWidth <= box.clientWidth")


def test_the_command_s_own_pictures_fit_that_window_too(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "map.html"
    write_figure("--output", plot_phase_diagram(PRIOR.task, PRIOR.budget), path)
    page.set_viewport_size({"width": 500, "height": 700})
    page.goto(path.as_uri())
    page.locator(".main-svg").first.wait_for()
    places = page.evaluate("[...document.querySelectorAll('text')].map(text => text.getBoundingClientRect().right)")
    assert max(places) <= 500


def test_a_wide_table_scrolls_in_its_own_box(opened: Any) -> None:
    opened.set_viewport_size({"width": 500, "height": 700})
    box = opened.locator(".wide:has(#trials)")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === 'auto'")


def test_a_name_that_reads_from_right_to_left_turns_no_words_of_ours(page: Any, tmp_path: Path) -> None:
    name = "\u202eabc"
    rows = [row(k, {name: k, "depth": k}, 0.5, name, outcome=0.1 * k) for k in range(1, 6)]
    page.goto(written(replace(small_run(), name=name, rows=rows, outcome_name=name, evidence=()), tmp_path))
    # Words that follow the name stand to its right.
    ends = """(element) => {
      const places = [...element.childNodes].map((node) => {
        const range = document.createRange();
        range.selectNodeContents(node);
        return range.getClientRects()[0].left;
      });
      return places;
    }"""
    places = page.locator("h1").evaluate(ends)
    assert places == sorted(places)
    assert page.locator("#trials thead bdi").count() == page.locator("#trials thead button").count()
    assert page.locator("#trials tbody bdi").count() == page.locator("#trials tbody td").count()


def test_no_name_is_too_long(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(written(hostile_run(), tmp_path))
    drawn(page, "map")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_figures_are_drawn_for_the_printer_too(opened: Any) -> None:
    opened.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    opened.wait_for_function("document.querySelectorAll('.plot .main-svg').length >= 4")


def test_markup_in_names_is_text(page: Any, tmp_path: Path) -> None:
    page.goto(written(hostile_run(), tmp_path))
    for name in ("map", "calibration", "trust"):
        drawn(page, name)
    page.locator("#calibration-plot .scatterlayer path.point").first.hover(force=True)
    page.locator("#calibration-plot .hoverlayer text").first.wait_for()
    heading(page, "Score").get_by_role("button").click()
    assert page.evaluate("window.hurt") is None
    assert page.locator("img").count() == 0
    # Plotly shows <b> as bold text where it is not escaped.
    assert page.locator("b").filter(has_text="bold").count() == 0
    assert (
        page.evaluate("[...document.querySelectorAll('tspan')].filter(s => s.style.fontWeight === 'bold').length") <= 1
    )
    assert "</script><script>" in page.locator("h1").inner_text()
    assert "</script><script>" in column(page, 0)[0]


def test_a_script_that_came_in_all_the_same_would_not_run(watched: Any, tmp_path: Path) -> None:
    """The page's own policy, tried with a script that no escaping could have let through."""
    written(small_run(), tmp_path)
    path = tmp_path / "report.html"
    path.write_text(path.read_text().replace("</header>", "</header><script>window.hurt = 1</script>"))
    watched.page.goto(path.as_uri())
    watched.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hurt = 2\">')")
    watched.page.wait_for_timeout(200)
    assert watched.page.evaluate("window.hurt") is None
    assert any("Content Security Policy" in error for error in watched.errors)


def test_five_thousand_trials_can_be_used(page: Any, tmp_path: Path) -> None:
    page.goto(written(small_run(5_000), tmp_path))
    assert page.get_by_role("status").inner_text() == "1 to 25 of 5000"
    page.get_by_label("Search").fill("refused 4998")
    # One by its own number, the other by its depth.
    assert column(page, 0) == ["refused 4997", "refused 4998"]
    drawn(page, "map")
