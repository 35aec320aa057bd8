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
from typing import Any

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
except ModuleNotFoundError as error:
    if error.name not in ("jinja2", "markupsafe"):
        raise
    raise ImportError(
        f"the report needs {error.name}, which is not installed: pip install 'ntk-prior[report]'"
    ) from error

from ntk_prior import Verdict
from ntk_prior.files import write_file
from ntk_prior.plots import theme
from ntk_prior_report.figures import (
    Picture,
    calibration_picture,
    feasibility_picture,
    savings_picture,
    trust_picture,
)
from ntk_prior_report.records import Run
from ntk_prior_report.summary import Summary, summarised
from ntk_prior_report.table import described, table
from ntk_prior_report.words import AUDIT, COLUMNS, FATES, VERDICTS

LIBRARIES = ("ntk-prior", "numpy", "scikit-learn", "optuna", "ray", "plotly")
"""Whose versions the page tells, where they are installed."""


def page(run: Run, summary: Summary | None = None) -> str:
    """A run as HTML.

    Args:
        run: The run.
        summary: Its numbers, where they are known already.

    Raises:
        ImportError: If Jinja or Plotly is not installed.
    """
    numbers = summary or summarised(run)
    pictures = {
        picture.name: picture
        for picture in (
            feasibility_picture(run),
            calibration_picture(run, numbers),
            savings_picture(numbers),
            trust_picture(run),
        )
        if picture is not None
    }
    scripts = [_plotly(), _asset("page.js")]
    content = {
        "columns": COLUMNS,
        "described": described,
        "facts": _facts(run),
        "fates": FATES,
        "audit": AUDIT,
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
    }
    return str(_environment().get_template("page.html").render(content))


def write(run: Run, path: str | Path, summary: Summary | None = None) -> None:
    """Write a run's page.

    Args:
        run: The run.
        path: The HTML file.
        summary: The run's numbers, where they are known already.

    Raises:
        ImportError: If Jinja or Plotly is not installed.
        OSError: If the file cannot be written.
    """
    # A name may hold half a character, which no encoding has.
    write_file(path, page(run, summary).encode("utf-8", errors="replace"))


def _facts(run: Run) -> dict[str, str]:
    """What the page was made from and by."""
    installed = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    versions = [f"{name} {metadata.version(name)}" for name in LIBRARIES if name in installed]
    return {
        "Tuner": run.tuner,
        "Scores refused below": f"{run.threshold:g}",
        "Seed": "not recorded in the run",
        **{str(name): str(value) for name, value in run.facts.items()},
        "This page was written with": ", ".join([*versions, f"Python {platform.python_version()}"]),
    }


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
    return resources.files("ntk_prior_report").joinpath("templates", name).read_text(encoding="utf-8")


def _environment() -> Any:
    return Environment(
        loader=PackageLoader("ntk_prior_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
