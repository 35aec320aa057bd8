"""Simulated studies on the table of trainings, one row appended per finished study; stop, kill and restart at will.

    python -m studies.simulated.run --space wide narrow --seeds 50 --trials 200 --output studies.csv
    python -m studies.simulated.report studies.csv

A second run goes on where the first one ended. Several processes share the work with ``--shard 0/2``, ``--shard 1/2``,
each into a file of its own; ``report.py`` takes all of them. Set ``OMP_NUM_THREADS=1`` then.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from optuna.samplers._tpe import _truncnorm
from scipy.special import log_ndtr

from studies.simulated.arms import ARMS, missing
from studies.simulated.landscape import SPACES, Landscape, landscapes
from studies.simulated.studies import CLOSE, COSTS, Finished, Limits, run
from studies.trainings.journal import Journal

HERE = Path(__file__).parent

LAUNCHED_PER_TRIAL = 2
"""Studies end after so many launched trials for each that they may pay for, however cheap these were."""

COLUMNS = (
    *("id", "space", "arm", "seed", "trials", "table", "commit"),
    *("target_best", "unit", "best", "hopeless", "spare", *COSTS),
    *(f"{target}_{cost}" for target in CLOSE for cost in COSTS),
    *("curve", "seconds"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the missing studies."""
    options = parser().parse_args(arguments)
    for arm in options.arms:
        if reason := missing(arm):
            print(f"{arm}: left out, {reason}", file=sys.stderr)
    with Journal(options.output, COLUMNS) as journal:
        todo = [task for task in tasks(options) if identity(*task) not in journal.done]
        if not todo:
            print("nothing is missing", file=sys.stderr)
            return
        found = landscapes(options.table, options.split)
        commit = revision()
        for i, (space, arm, seed) in enumerate(todo, 1):
            limits = Limits(options.trials, LAUNCHED_PER_TRIAL * options.trials)
            finished = run(ARMS[arm], found[space], seed, limits)
            named = {"id": identity(space, arm, seed), "space": space, "arm": arm, "seed": str(seed)}
            row = {**named, "trials": str(options.trials), "table": found[space].table, "commit": commit}
            journal.append({**row, **described(finished, found[space])})
            if i % 50 == 0:
                print(f"{i} of {len(todo)} studies", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--space", nargs="+", choices=sorted(SPACES), default=sorted(SPACES))
    made.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM", help=", ".join(ARMS))
    made.add_argument("--seeds", type=int, default=50)
    made.add_argument("--first-seed", type=int, default=0)
    made.add_argument(
        "--trials", type=int, default=200, help="compute of a study, in trainings of an average uniform draw"
    )
    made.add_argument("--output", type=Path, required=True)
    made.add_argument("--shard", default="0/1", metavar="I/N", help="every N-th study only")
    made.add_argument("--table", type=Path, nargs="+", help="files of the table; default: the one that is shipped")
    made.add_argument("--split", choices=("fit", "held_out"), help="fit the surrogate on these rows only; default: all")
    return made


def tasks(options: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Space, arm and seed of this shard's studies, all arms of one seed before the next."""
    index, count = (int(part) for part in options.shard.split("/"))
    every = [
        (space, arm, seed)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for space in options.space
        for arm in options.arms
        if not missing(arm)
    ]
    yield from every[index::count]


def identity(space: str, arm: str, seed: int) -> str:
    """What a row is called."""
    return f"{space}/{arm}/{seed}"


def described(finished: Finished, landscape: Landscape) -> dict[str, str]:
    """Cells of a finished study; empty where a target was not reached."""
    ledger = finished.ledger
    cells = {
        "target_best": f"{ledger.best:.6g}",
        "unit": f"{landscape.unit:.6g}",
        "best": f"{ledger.found:.6g}",
        "hopeless": str(ledger.hopeless),
        "spare": str(ledger.spare),
        **{cost: f"{ledger.spent[cost]:.6g}" for cost in COSTS},
    }
    for target in CLOSE:
        spent = ledger.reached.get(target)
        cells.update({f"{target}_{cost}": "" if spent is None else f"{spent[cost]:.6g}" for cost in COSTS})
    cells["curve"] = ";".join(f"{value:.4f}" for value in finished.curve)
    cells["seconds"] = f"{finished.seconds:.3g}"
    return cells


def revision() -> str:
    """The commit of the checkout, with a plus where the package differs from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()

    top = HERE.parents[1]
    changed = git("status", "--porcelain", "--", str(top / "ntk_prior"), str(top / "integrations"))
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+" if changed else "")


if __name__ == "__main__":
    # Most of a simulated study is spent in this function of TPE's, a loop in Python; SciPy's halves its time. Only in
    # a process of the benchmark's own: other code must get Optuna as it is.
    _truncnorm._log_ndtr = log_ndtr
    main()
