"""Figures as files: HTML that needs no network, or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ntk_prior.files import write_file
from ntk_prior.plots import theme
from ntk_prior_cli.options import require_place

if TYPE_CHECKING:
    import plotly.graph_objects as go

PICTURES = (".png", ".svg", ".pdf")
WIDTH = 900
LINE = 76
"""Characters of a subtitle that a window of 500 pixels holds side by side."""


def require_figure_name(option: str, path: Path) -> None:
    """Refuse a file of another kind, or one that could not be written, before anything is computed.

    Raises:
        ValueError: If it is.
    """
    if path.suffix.lower() not in (".html", *PICTURES):
        raise ValueError(
            f"{option}: expected a name that ends with .html, {', '.join(PICTURES)}, received {str(path)!r}"
        )
    require_place(option, path)


def write_figure(option: str, figure: go.Figure, path: Path) -> None:
    """Write a figure, as its file's name says.

    Args:
        option: What the user named the file with.
        figure: The figure.
        path: The file.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If a picture needs a browser and there is none.
    """
    require_figure_name(option, path)
    if figure.layout.title.text:
        above = figure.layout.margin.t
        theme.wrap_title(figure, LINE)
        figure.layout.height += figure.layout.margin.t - above
    if path.suffix.lower() == ".html":
        write_file(path, figure.to_html(include_plotlyjs=True, config={"displaylogo": False, "responsive": True}))
        return
    try:
        drawn = figure.to_image(path.suffix.lower()[1:], width=WIDTH, height=figure.layout.height, scale=2)
    except (RuntimeError, ModuleNotFoundError) as error:
        raise ValueError(
            f"{option}: expected Chrome or Chromium for {path.suffix} files, but it did not run "
            f"({str(error).strip().partition(chr(10))[0]}): install one, such as with 'apt-get install chromium', or "
            "write an .html file"
        ) from error
    write_file(path, drawn)
