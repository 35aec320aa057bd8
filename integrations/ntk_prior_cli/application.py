"""The command ``ntk-prior``: its subcommands, and what it says of errors."""

from __future__ import annotations

import os
import sys

import typer

from ntk_prior_cli.commands.map import map_
from ntk_prior_cli.commands.preview import preview
from ntk_prior_cli.commands.report import report
from ntk_prior_cli.commands.review import review
from ntk_prior_cli.commands.score import score
from ntk_prior_cli.commands.tune import tune
from ntk_prior_cli.console import INTERRUPTED, PlainGroup, errors, print_traceback
from ntk_prior_cli.options import name_options

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
app.command()(name_options(score))
app.command("map")(name_options(map_))
app.command()(name_options(preview))
app.command()(name_options(tune))
app.command()(name_options(report))
app.command()(name_options(review))


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
        errors.print(f"ntk-prior: {explain(error)}", soft_wrap=True)
        sys.exit(2)
    except Exception:
        print_traceback()
        sys.exit(1)


def explain(error: Exception) -> str:
    """What to tell the user about an error: its message, or the extra that is missing."""
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing in EXTRAS:
        return f"this needs {missing}, which is not installed: pip install 'ntk-prior[{EXTRAS[missing]}]'"
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror
    return str(error)
