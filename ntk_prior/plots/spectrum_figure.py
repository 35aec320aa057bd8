"""The spectrum over depth: kernel entries, eigenvalues, condition number and mean predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.checks import is_number
from ntk_prior.plots import theme
from ntk_prior.plots.axes import AXES
from ntk_prior.plots.over_depth import OverDepth, asymptotes, over_depth
from ntk_prior.task.task import Task
from ntk_prior.theory.mean_field import mean_field
from ntk_prior.theory.spectrum import LARGEST

if TYPE_CHECKING:
    import plotly.graph_objects as go


_HOVER = "L = %{x}: %{y:.3g}"
_LEAST_CARRIED = 1e-4
"""Where the panel of the mean predictor ends: less than that is nothing."""


class _Curve(NamedTuple):
    """One curve and its asymptote: the names that ``OverDepth`` and ``Asymptotes`` have for them, and its look."""

    curve: str
    law: str
    words: str
    color: str


_PANELS: tuple[tuple[str, tuple[_Curve, ...]], ...] = (
    (
        "kernel entries Θ",
        (
            _Curve("log_diagonal", "log_diagonal", "an input with itself, Θ<sub>aa</sub>", theme.BLUE),
            _Curve("log_off_diagonal", "log_off_diagonal", "two inputs, Θ<sub>ab</sub> (mean)", theme.ORANGE),
        ),
    ),
    (
        "eigenvalues λ",
        (
            _Curve("log_lambda_max", "log_lambda_max", "largest, λ<sub>max</sub>", theme.VERMILION),
            _Curve("log_lambda_bulk", "log_lambda_bulk", "median, λ<sub>bulk</sub>", theme.SKY_BLUE),
        ),
    ),
    ("condition number κ", (_Curve("log_kappa", "log_kappa", "κ = λ<sub>max</sub> / λ<sub>bulk</sub>", theme.PURPLE),)),
    ("mean predictor P", (_Curve("mean_predictor", "log_mean_predictor", "P, carried to test inputs", theme.GREEN),)),
)


def plot_spectrum(architecture: Architecture, task: Task) -> go.Figure:
    """How a network's kernel spectrum changes as layers are added, with the laws of large depth.

    Four panels: kernel entries, lambda_max and lambda_bulk, kappa (the larger, the slower gradient descent fits), and
    the mean predictor (the smaller, the less carries over to test inputs). Solid curves are the finite-depth recursion
    that verdicts are computed from; dashed ones are the theory's laws for large depth, which explain them.

    Args:
        architecture: The network; its own depth is marked.
        task: The task's summary.

    Raises:
        ImportError: If Plotly is not installed.
        ValueError: If the theory does not cover the architecture.

    Example:
        >>> import ntk_prior as ntp
        >>> figure = ntp.plot_spectrum(ntp.Architecture(1.5, 0.05, 16), ntp.Task.cifar10(1_000))
        >>> figure.write_html("spectrum.html")
    """
    found = over_depth(architecture, task)
    laws = asymptotes(architecture, task, found)
    figure = theme.figure(
        _title(architecture),
        rows=2,
        columns=2,
        height=620,
        shared_xaxes=True,
        horizontal_spacing=0.16,
        vertical_spacing=0.12,
        subplot_titles=[title for title, _ in _PANELS],
    )
    for panel, (_, curves) in enumerate(_PANELS):
        place = {"row": panel // 2 + 1, "col": panel % 2 + 1}
        heights = [_heights(found, curve) for curve in curves]
        dashed = [law for curve in curves if (law := getattr(laws, curve.law)) is not None]
        for curve, values in zip(curves, heights, strict=True):
            line = {"color": curve.color, "width": 2.5}
            figure.add_scatter(
                x=found.depth, y=values, mode="lines", name=curve.words, line=line, hovertemplate=_HOVER, **place
            )
            law = getattr(laws, curve.law)
            if law is not None:
                line = {"color": curve.color, "width": 2, "dash": "dash"}
                figure.add_scatter(
                    x=found.depth, y=_exp(law), mode="lines", line=line, showlegend=False, hoverinfo="skip", **place
                )
        low, high = _range([*heights, *map(_exp, dashed)])
        figure.update_yaxes(**theme.log_axis(*((_LEAST_CARRIED, 1.3) if panel == 3 else (low, high))), **place)
        figure.add_vline(architecture.depth, line={"color": theme.BLACK, "width": 1.5, "dash": "dot"}, **place)
    _add_legend(figure, architecture, any(law is not None for law in laws[:-1]))
    figure.update_xaxes(**theme.log_axis(1, float(found.depth[-1])))
    figure.update_xaxes(title_text=AXES["depth"].title, row=2)
    return figure


def _heights(found: OverDepth, curve: _Curve) -> Array:
    values = getattr(found, curve.curve)
    return _exp(values) if curve.curve.startswith("log_") else np.asarray(values)


def _range(curves: list[Array]) -> tuple[float, float]:
    """From a little below the lowest to a little above the highest value."""
    values = np.concatenate(curves)
    positive = values[np.isfinite(values) & (values > 0)]
    low, high = float(positive.min()), float(positive.max())
    margin = max((high / low) ** 0.04, 1.1)
    return low / margin, high * margin


def _exp(logs: Array) -> Array:
    return np.asarray(np.exp(np.clip(logs, -LARGEST, LARGEST)))


def _add_legend(figure: go.Figure, architecture: Architecture, laws: bool) -> None:
    entries = [(f"this network, L = {architecture.depth}", {"width": 1.5, "dash": "dot"})]
    if laws:
        entries.append(("law of large depth", {"width": 2, "dash": "dash"}))
    for name, look in entries:
        line = {"color": theme.BLACK, **look}
        figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line=line, hoverinfo="skip", row=1, col=1)


def _title(architecture: Architecture) -> str:
    limits = mean_field(architecture)
    values: dict[str, Any] = vars(architecture)
    own = ["weight_variance", "bias_variance", "residual_scale"] + ["keep_rate"] * (architecture.keep_rate < 1.0)
    parts = [theme.plain(architecture.activation), architecture.kind + (", pooled" if architecture.pooling else "")]
    parts += [f"{AXES[name].symbol} = {values[name]:.4g}" for name in own if is_number(values[name])]
    known = {"χ<sub>1</sub>": limits.chi_1, "ξ<sub>1</sub>": limits.xi_1, "ξ<sub>*</sub>": limits.xi_star}
    phase = [f"{limits.phase} phase"] if limits.phase else []
    phase += [f"{symbol} = {value:.3g}" for symbol, value in known.items() if value is not None]
    return f"The kernel over depth<br><sup>{', '.join(parts)}<br>{', '.join(phase)}</sup>"
