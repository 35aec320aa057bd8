"""The page: one HTML file that needs no network.

Whatever names and values the tuner's storage holds is text here: templates escape it, scripts read it from JSON blocks
and set it as text, and the page's own policy runs no script but those whose digests it names.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ntk_prior.files import write_file
from ntk_prior.plots import theme
from ntk_prior.plots.bidi import balanced, isolated
from ntk_prior.plots.savings import unscreened_in_words
from ntk_prior.plots.training import training_in_words
from ntk_prior.report.figures import Picture, calibration_picture, feasibility_picture, savings_picture, trust_picture
from ntk_prior.report.table import NOT_ASKED, described, table
from ntk_prior.report.words import (
    AFTERWARDS,
    AUDIT,
    COLUMNS,
    FATES,
    HINDSIGHT,
    VERDICTS,
    launched_in_words,
    trust_in_words,
)
from ntk_prior.runs.run import Run, fate
from ntk_prior.runs.summary import Summary, summarize
from ntk_prior.verdict.feasibility import Verdict

if TYPE_CHECKING:
    import plotly.graph_objects as go


try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape
except ModuleNotFoundError as error:
    if error.name not in ("jinja2", "markupsafe"):
        raise
    raise ImportError(
        f"the report needs {error.name}, which is not installed: pip install 'ntk-prior[report]'"
    ) from error

LIBRARIES = ("ntk-prior", "numpy", "scikit-learn", "optuna", "ray", "plotly")
"""Whose versions the page tells, where they are installed."""


ABOVE = 34
"""Pixels above a figure's panels, for their own titles and for Plotly's buttons."""


def build_page(run: Run, summary: Summary | None = None) -> str:
    """A run as HTML.

    Args:
        run: The run.
        summary: Its numbers, where they are known already.

    Raises:
        ImportError: If Jinja or Plotly is not installed.
    """
    return _drawn(run, summary or summarize(run)).html


class _Page(NamedTuple):
    """The page, and why it lacks the map where a prior was given to draw one."""

    html: str
    lacks_map: str | None


def _drawn(run: Run, numbers: Summary) -> _Page:
    chart, lacks_map = feasibility_picture(run)
    pictures = {
        picture.name: picture
        for picture in (
            chart,
            calibration_picture(run, numbers),
            savings_picture(numbers),
            trust_picture(run),
        )
        if picture is not None
    }
    scripts = [_plotly(), _asset("page.js")]
    titles = {name: _taken_title(picture.figure) for name, picture in pictures.items()}
    content = {
        "columns": COLUMNS,
        "colors": {**theme.COLORS, NOT_ASKED: theme.color_of(None)},
        "described": described,
        "facts": _facts(run),
        "fates": FATES if run.review is None else HINDSIGHT,
        "fate_of": fate,
        "audit": AUDIT if run.review is None else AFTERWARDS,
        "isolated": isolated,
        "lacks_map": lacks_map,
        "launched_in_words": launched_in_words(numbers),
        "meanings": VERDICTS,
        "never_refused": (Verdict.FEASIBLE, Verdict.OUTSIDE_THEORY, None),
        "numbers": numbers,
        "pictures": pictures,
        "figures": {name: _figure(picture) for name, picture in pictures.items()},
        "policy": Markup("; ").join(_policy(scripts)),
        "run": run,
        "scripts": [Markup(script) for script in scripts],
        "style": Markup(_asset("page.css")),
        "table": table(run),
        "theme": theme,
        "titles": titles,
        "trust_in_words": trust_in_words(numbers, run),
        "unscreened": unscreened_in_words(numbers.savings),
    }
    return _Page(str(_environment().get_template("page.html").render(content)), lacks_map)


def write_page(run: Run, path: str | Path, summary: Summary | None = None) -> str | None:
    """Write a run's page.

    Args:
        run: The run.
        path: The HTML file.
        summary: The run's numbers, where they are known already.

    Returns:
        Why the page lacks the map where the run has a prior to draw one; None where it has the map.

    Raises:
        ImportError: If Jinja or Plotly is not installed.
        OSError: If the file cannot be written.

    Example:
        >>> from ntk_prior.report import write_page
        >>> from ntk_prior.runs import Row, Run, RunTrial
        >>> trials = [RunTrial({"depth": depth}, "feasible", 0.9, outcome=1 / depth) for depth in (2, 3, 4)]
        >>> rows = [Row(trial, trial.config) for trial in trials]
        >>> run = Run("my study", "My tuner", rows, outcome_name="accuracy", maximize=True)
        >>> lacks_map = write_page(run, "report.html")
    """
    html, lacks_map = _drawn(run, summary or summarize(run))
    # A name may hold half a character, which no encoding has.
    write_file(path, html.encode("utf-8", errors="replace"))
    return lacks_map


def _facts(run: Run) -> dict[str, str]:
    """What the page was made from and by."""
    installed = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    versions = [f"{name} {metadata.version(name)}" for name in LIBRARIES if name in installed]
    return {
        "Tuner": run.tuner,
        "Scores refused below": f"{run.threshold:g}",
        "Seed": "not recorded in the run",
        **({} if run.prior is None else {"Training that the prior assumes": training_in_words(run.prior.budget)}),
        **{str(name): str(value) for name, value in run.facts.items()},
        "This page was written with": ", ".join([*versions, f"Python {platform.python_version()}"]),
    }


def _taken_title(figure: go.Figure) -> tuple[Markup, Markup]:
    """Take a figure's title and subtitle off, as HTML: the page breaks their lines where its window is narrow.

    Figures escape what is not theirs in it, and use no other tags than line breaks, sub- and superscripts.
    """
    head, _, rest = figure.layout.title.text.partition("<br><sup>")
    figure.layout.title = None
    figure.layout.height -= figure.layout.margin.t - ABOVE
    figure.layout.margin.t = ABOVE
    return Markup(head), Markup(rest.removesuffix("</sup>"))


def _figure(picture: Picture) -> Markup:
    """A figure as JSON for a script block: Plotly writes < and > as escapes there."""
    return Markup(picture.figure.to_json())


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "plotly":
            raise
        raise ImportError("the report needs Plotly, which is not installed: pip install 'ntk-prior[report]'") from error
    return str(get_plotlyjs())


def _policy(scripts: list[str]) -> list[Markup]:
    """What the page may do: run these scripts, and nothing of the network."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    rules = (
        "default-src 'none'",
        f"script-src {allowed}",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return [Markup(rule) for rule in rules]


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _environment() -> Any:
    made = Environment(
        loader=PackageLoader("ntk_prior.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["own"] = _own
    return made


def _own(text: Any) -> Markup:
    """A name or value of the user's, which keeps its direction to itself."""
    return Markup("<bdi>{}</bdi>").format(escape(balanced(str(text))))
