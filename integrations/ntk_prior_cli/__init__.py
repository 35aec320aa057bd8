"""The command ``ntk-prior``."""

from __future__ import annotations

import os
import sys

import typer

from ntk_prior_cli.console import INTERRUPTED, PlainGroup, errors, print_traceback
from ntk_prior_cli.map import map_
from ntk_prior_cli.options import naming_options
from ntk_prior_cli.preview import preview
from ntk_prior_cli.report import report
from ntk_prior_cli.review import review
from ntk_prior_cli.score import score
from ntk_prior_cli.tune import tune

__all__ = ["app", "main"]

EXTRAS = {
    "flax": "train",
    "jax": "train",
    "jinja2": "report",
    "optax": "train",
    "optuna": "optuna",
    "plotly": "plot",
    "ray": "ray",
}
"""The extras that bring libraries which only some commands need."""

app = typer.Typer(
    name="ntk-prior",
    cls=PlainGroup,
    help="Keep hopeless neural networks from being launched.",
    epilog="Exit codes: 0 done, 1 nothing was launched or the run failed, 2 wrong usage or input, 130 stopped by "
    "Ctrl-C with everything so far kept. 'ntk-prior --install-completion' makes the shell complete commands and "
    "options.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(naming_options(score))
app.command("map")(naming_options(map_))
app.command()(naming_options(preview))
app.command()(naming_options(tune))
app.command()(naming_options(report))
app.command()(naming_options(review))


def main() -> None:
    """Run the command.

    Exit codes: 0 done, 1 nothing was launched or the run failed, 2 wrong usage or input, 130 stopped by Ctrl-C with
    everything so far kept.
    """
    try:
        app()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            # An interrupted XLA compilation or computation can crash the interpreter while it is taken down.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise
    except (ValueError, TypeError, ImportError, OSError) as error:
        errors.print(f"ntk-prior: {explained(error)}", soft_wrap=True)
        sys.exit(2)
    except Exception:
        print_traceback()
        sys.exit(1)


def explained(error: Exception) -> str:
    """What an error says, or which extra it lacks."""
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing in EXTRAS:
        return f"this needs {missing}, which is not installed: pip install 'ntk-prior[{EXTRAS[missing]}]'"
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror
    return str(error)
