"""Which engine tunes: the one that the options name."""

from __future__ import annotations

from ntk_prior_cli.tuning.options import TuneOptions


def run(options: TuneOptions) -> int:
    """Tune with the engine that the options name; returns the exit code.

    Raises:
        ValueError: If an option does not fit the engine.
    """
    require_options(options)
    # Each engine needs an extra of its own.
    if options.engine == "ray":
        from ntk_prior_cli.tuning import ray_engine

        return ray_engine.run(options)
    from ntk_prior_cli.tuning import optuna_engine

    return optuna_engine.run(options)


def require_options(options: TuneOptions) -> None:
    """Refuse options that the engine would ignore.

    Raises:
        ValueError: If there is one.
    """
    if options.engine == "ray":
        ignored: dict[str, object] = {"--storage": options.storage}
        advice = "use --storage-path, or --engine optuna"
    else:
        ignored = {
            "--address": options.address,
            "--gpus-per-trial": options.gpus_per_trial,
            "--storage-path": options.storage_path,
        }
        advice = "leave it out, or use --engine ray"
    for option, value in ignored.items():
        if value is not None:
            raise ValueError(
                f"{option}: expected none with --engine {options.engine}, received {str(value)!r}: {advice}"
            )
