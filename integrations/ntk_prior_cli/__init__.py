"""The command ``ntk-prior``."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command; without the libraries that it is made of, say which extra brings them and end with code 1."""
    try:
        from ntk_prior_cli import application
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("rich", "typer", "yaml"):
            raise
        sys.exit(f"ntk-prior: the command needs {missing}, which is not installed: pip install 'ntk-prior[cli]'")
    application.main()
