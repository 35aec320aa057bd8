"""What a first hour with the package costs, as ratios within one run (a shared machine has no steady clock).

    python benchmarks/first_contact.py [--only SECTION] [--longest TRIALS] [--repeats N]

start: a verdict in a new process, and 5,000, without and with compiled code on disk, and importing Optuna.
data: a verdict from 50,000 CIFAR-sized images, and their standardisation, which any training begins with.
trials: what the sampler and the gate add to a trial, in studies of several lengths; what TPE's first trials take.
activations: configurations a second of activations without a closed form, and of erf.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from rich.console import Console
from rich.table import Table

import ntk_prior as ntp
from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible

Space = dict[str, BaseDistribution]
PLAIN: Space = {
    "weight_variance": FloatDistribution(1.0, 2.5),
    "bias_variance": FloatDistribution(0.0, 0.5),
    "depth": IntDistribution(1, 12),
    "activation": CategoricalDistribution(["erf", "relu"]),
}
REFUSED: Space = {**PLAIN, "weight_variance": FloatDistribution(0.5, 8.0), "depth": IntDistribution(1, 128)}
WIDE: Space = {**PLAIN, **{f"x{i}": FloatDistribution(0.0, 1.0) for i in range(59)}}
SPACES = {"a plain space": PLAIN, "a space of which most is refused": REFUSED, "63 parameters": WIDE}
LENGTHS = (100, 1_000, 10_000)
WINDOW = 50
"""Trials before each length over which a trial's time is taken, as a median."""

IMPORT = "import optuna"
VERDICT = (
    "import ntk_prior as ntp; print(ntp.feasibility("
    "ntp.Architecture(1.5, .05, 8), ntp.Task.cifar10(1000), ntp.Budget(300, width=256)).verdict)"
)
MANY = (
    "import numpy as np, ntk_prior as ntp; ntp.NTKPrior(ntp.Task.cifar10(1000), ntp.Budget(300)).score_many({"
    "'weight_variance': np.full(5000, 1.5), 'bias_variance': np.full(5000, .05), 'depth': np.arange(5000) % 64 + 1})"
)
IMAGES = """
import resource, time
import numpy as np
rng, n = np.random.default_rng(0), 50_000
labels = rng.integers(0, 10, n)
patterns = np.cumsum(np.cumsum(rng.standard_normal((10, 32, 32, 3), dtype=np.float32), axis=1), axis=2) / 16
images = np.empty((n, 32, 32, 3), dtype=np.float32)
for start in range(0, n, 1000):  # no more memory than the images themselves
    images[start : start + 1000] = patterns[labels[start : start + 1000]]
    images[start : start + 1000] += rng.standard_normal((1000, 32, 32, 3), dtype=np.float32)
before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
{what}
seconds = time.perf_counter() - begin
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6)
"""
STANDARDISED = "standardised = (images - images.mean(axis=0)) / images.std(axis=0)"
FROM_IMAGES = """
import ntk_prior as ntp
task = ntp.Task.from_arrays(images, labels)
print(ntp.feasibility(ntp.Architecture(1.5, 0.05, 8), task, ntp.Budget(300, width=256)).verdict)
"""


class Line(NamedTuple):
    """One figure beside what it is measured against."""

    what: str
    figure: str
    peer: str
    ratio: float
    asked: str


def process(code: str, **environment: str) -> tuple[float, str]:
    """Seconds of a new process, and what it prints."""
    begin = time.perf_counter()
    finished = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, **environment}
    )
    return time.perf_counter() - begin, finished.stdout


def start(options: argparse.Namespace) -> Iterator[Line]:
    """A verdict in a new process."""
    rows = []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as cache:
            rows.append([process(code, NUMBA_CACHE_DIR=cache)[0] for code in (IMPORT, VERDICT, MANY, VERDICT, MANY)])
    own, first, many, later, many_later = map(float, np.median(rows, axis=0))
    peer = f"import optuna {own:.2f} s"
    yield Line("the first verdict ever", f"{first:.2f} s", peer, first / own, "<= 6")
    yield Line("a verdict with compiled code on disk", f"{later:.2f} s", peer, later / own, "<= 1.5")
    yield Line("the first 5,000 verdicts ever, which compile", f"{many:.2f} s", peer, many / own, "")
    yield Line("5,000 verdicts with compiled code on disk", f"{many_later:.2f} s", peer, many_later / own, "")


def data(_: argparse.Namespace) -> Iterator[Line]:
    """A verdict from images."""
    standard, more = map(float, process(IMAGES.format(what=STANDARDISED))[1].split())
    with tempfile.TemporaryDirectory() as cache:
        *_, seconds, memory = process(IMAGES.format(what=FROM_IMAGES), NUMBA_CACHE_DIR=cache)[1].split()
    peers = f"standardisation {standard:.2f} s", f"{more:.2f} GB"
    yield Line("a verdict from 50,000 images", f"{float(seconds):.2f} s", peers[0], float(seconds) / standard, "<= 4")
    yield Line("  its additional memory", f"{float(memory):.2f} GB", peers[1], float(memory) / more, "<= 0.8 GB")


def asked(study: optuna.Study, space: Space) -> tuple[optuna.Trial, float]:
    """A trial with all its parameters drawn, and the milliseconds it took."""
    begin = time.perf_counter()
    trial = study.ask(space)
    return trial, 1e3 * (time.perf_counter() - begin)


def gated(trial: optuna.Trial, prior: ntp.NTKPrior) -> float:
    """Milliseconds of the gate."""
    begin = time.perf_counter()
    with contextlib.suppress(optuna.TrialPruned):
        prune_if_infeasible(trial, prior, epsilon=0.0)
    return 1e3 * (time.perf_counter() - begin)


def studied(prior: ntp.NTKPrior, space: Space, lengths: list[int]) -> Iterator[tuple[int, float, float, float]]:
    """Milliseconds of a trial alone, and what the sampler and the gate add to it, at each length of a study.

    The three studies take turns, so that all of them see the same machine.
    """
    alone, gate = (optuna.create_study(sampler=RandomSampler(seed=0)) for _ in range(2))
    sampler = optuna.create_study(sampler=NTKPriorSampler(prior, RandomSampler(seed=0), seed=0))
    times = []
    for number in range(1, max(lengths) + 1):
        row = []
        for study in (alone, sampler, gate):
            trial, milliseconds = asked(study, space)
            row.append(gated(trial, prior) if study is gate else milliseconds)
            study.tell(trial, trial.params["bias_variance"])
        times.append(row)
        if number in lengths:
            own, wrapped, after = np.median(times[-WINDOW:], axis=0)
            yield number, float(own), float(wrapped - own), float(after)


def startup(sampler: BaseSampler) -> float:
    """Milliseconds of the ten trials that TPE draws at random, with 63 parameters."""
    study, total = optuna.create_study(sampler=sampler), 0.0
    for _ in range(10):
        trial, milliseconds = asked(study, WIDE)
        study.tell(trial, trial.params["bias_variance"])
        total += milliseconds
    return total


def trials(options: argparse.Namespace) -> Iterator[Line]:
    """What the sampler and the gate add to a trial."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    prior = ntp.NTKPrior(ntp.Task.cifar10(5_000), ntp.Budget(steps=5_000, width=512))
    for depth in range(1, 201):  # compiled before any clock runs
        prior({"weight_variance": 1.7, "bias_variance": 0.1, "depth": 1 + depth % 20})
    lengths = [length for length in LENGTHS if length <= options.longest]
    for name, space in SPACES.items():
        for number, own, added, gate in studied(prior, space, lengths):
            peer = f"random alone {own:.2f} ms"
            yield Line(f"the sampler adds, {name}, trial {number:,}", f"{added:.2f} ms", peer, added / own, "<= 3 ms")
            yield Line(f"  the gate adds, {name}, trial {number:,}", f"{gate:.2f} ms", peer, gate / own, "<= 1.5 ms")
    times = [
        (startup(TPESampler(seed=seed)), startup(NTKPriorSampler(prior, TPESampler(seed=seed), seed=seed)))
        for seed in range(options.repeats)
    ]
    own, wrapped = np.median(times, axis=0)
    peer = f"TPE alone {own:.0f} ms"
    yield Line("TPE's 10 random trials, 63 parameters", f"{wrapped:.0f} ms", peer, float(wrapped / own), "+ 30 ms")


def mish(x: np.ndarray) -> np.ndarray:
    """An activation of one's own."""
    return np.asarray(x * np.tanh(np.logaddexp(0.0, x)))


def activations(options: argparse.Namespace) -> Iterator[Line]:
    """Configurations a second."""
    n, rng = 40_960, np.random.default_rng(0)
    prior = ntp.NTKPrior(ntp.Task.cifar10(10_000), ntp.Budget(1000, width=512))
    columns = {
        "weight_variance": rng.uniform(0.5, 4, n),
        "bias_variance": rng.uniform(0, 0.5, n),
        "depth": rng.integers(1, 65, n),
        "learning_rate": 10 ** rng.uniform(-3, 1, n),
    }
    named = {name: np.full(n, name) for name in ("erf", "tanh", "silu")}
    named["a callable"] = np.full(n, mish, dtype=object)
    # Processor time, because other work on the machine takes no part in it; the first round compiles and tabulates.
    times: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(1 + 3 * options.repeats):
        for name, column in named.items():
            begin = time.process_time()
            prior.score_many({**columns, "activation": column})
            times[name].append(time.process_time() - begin)
    rates = {name: n * (os.cpu_count() or 1) / float(np.median(found[1:])) for name, found in times.items()}
    for name in list(rates)[1:]:
        peer, ratio = f"erf {rates['erf']:,.0f} / s", rates[name] / rates["erf"]
        yield Line(f"configurations scored, {name}", f"{rates[name]:,.0f} / s", peer, ratio, ">= 0.77")


SECTIONS: dict[str, Callable[[argparse.Namespace], Iterator[Line]]] = {
    "start": start,
    "data": data,
    "trials": trials,
    "activations": activations,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SECTIONS, help="one section alone")
    parser.add_argument("--longest", type=int, default=LENGTHS[-1], help="trials of the longest study")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    table = Table(title="First contact")
    for heading in Line._fields:
        table.add_column(heading, justify="left" if heading == "what" else "right", no_wrap=heading == "what")
    for name, section in SECTIONS.items():
        if options.only in (None, name):
            for line in section(options):
                table.add_row(line.what, line.figure, line.peer, f"{line.ratio:.2f}", line.asked)
            table.add_section()
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
