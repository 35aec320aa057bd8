# %% [markdown]
# # Keep hopeless networks from being launched
#
# Whether a deep network can be trained, and whether what it learns carries over to test inputs, is largely fixed before
# training starts. This page tunes fully connected tanh networks on scikit-learn's digits twice, without and with
# **ntk-prior**, and shows what the prior refused and why. It takes less than two minutes on two cores. Most of that
# time goes into training networks that a tuner without a prior launches in vain.

# %%
"""Tune networks on digits with and without the prior, and look at what it refused.

    python examples/quickstart.py --output FOLDER

Needs pip install 'ntk-prior[optuna,train,plot]'. These commands, run in the folder of the examples, make the notebook
beside this file from it:

    export PLOTLY_RENDERER=png PYTHONWARNINGS='ignore:IProgress not found'
    jupytext --to ipynb --set-kernel python3 --execute quickstart.py
    jupyter nbconvert --to notebook --inplace --ClearMetadataPreprocessor.enabled=True quickstart.ipynb
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import optuna
import plotly.graph_objects as go

import ntk_prior as ntp
from ntk_prior.datasets import load_digits, prepare
from ntk_prior_flax import train
from ntk_prior_optuna import NTKPriorSampler, finished_trials
from ntk_prior_optuna.visualization import plot_calibration, plot_feasibility

IN_NOTEBOOK = "ipykernel" in sys.modules

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--output", default="quickstart-figures", help="folder for the figures, as HTML")
parser.add_argument("--n-train", type=int, default=256, help="training images")
parser.add_argument("--steps", type=int, default=100, help="training steps of each trial")
parser.add_argument("--width", type=int, default=64, help="units of each hidden layer")
parser.add_argument("--trials", type=int, default=10, help="of each study")
args, unknown = parser.parse_known_args()
if unknown and not IN_NOTEBOOK:
    parser.error(f"unknown options: {' '.join(unknown)}")

optuna.logging.set_verbosity(optuna.logging.WARNING)


def show(figure: go.Figure, name: str) -> None:
    """Show a figure in a notebook; save it elsewhere."""
    if IN_NOTEBOOK:
        figure.show()
        return
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    figure.write_html(folder / f"{name}.html")


# %% [markdown]
# ## 1. Describe the data and the budget
#
# The prior sees a summary of the inputs and labels, and what a trial may spend. The width matters: the narrower and
# deeper a network, the more its kernel fluctuates.

# %%
images = prepare(load_digits(), n_train=args.n_train, n_test=300)
x_train, x_test = (x.reshape(len(x), -1) for x in (images.x_train, images.x_test))
task = ntp.Task.from_arrays(x_train, images.y_train)
budget = ntp.Budget(steps=args.steps, width=args.width)
prior = ntp.NTKPrior(task, budget, lambda config: {**config, "activation": "tanh"})
print(f"{task.n_train} images of {task.n_classes} classes, {budget.steps} steps, width {budget.width}")

# %% [markdown]
# ## 2. Ask before you spend anything
#
# The prior gives two probabilities, each with a reason: that the network trains within the budget, and that it
# generalizes if it trains. Deep networks of small weight variance are *ordered*: they make all inputs alike, so
# gradient descent cannot tell them apart. Deep networks of large variance are *chaotic*: they make all inputs unlike,
# so they fit anything and generalize to nothing.

# %%
for weight_variance, depth in ((1.5, 4), (0.6, 24), (4.0, 24)):
    found = prior({"weight_variance": weight_variance, "bias_variance": 0.05, "depth": depth})
    print(f"weight variance {weight_variance}, depth {depth}: {found.verdict}")
    print(f"    {found.reason}")

# %%
ranges = {"weight_variance": (0.4, 6.0), "depth": (2, 32)}
at = {"activation": "tanh", "bias_variance": 0.05}
show(ntp.plot_phase_diagram(task, budget, fixed=at, ranges=ranges), "phase_diagram")

# %% [markdown]
# ## 3. Tune without the prior
#
# This study draws at random from the whole space, as a first exploration would. Each network is trained at half of its
# largest stable learning rate, so that none fails because of a badly chosen one.

# %%
SPACE = {
    "weight_variance": optuna.distributions.FloatDistribution(0.4, 6.0, log=True),
    "bias_variance": optuna.distributions.FloatDistribution(0.0, 0.3),
    "depth": optuna.distributions.IntDistribution(2, 32),
}


def objective(trial: optuna.Trial) -> float:
    """Test accuracy of one trained network."""
    architecture = ntp.Architecture(
        weight_variance=trial.suggest_float("weight_variance", 0.4, 6.0, log=True),
        bias_variance=trial.suggest_float("bias_variance", 0.0, 0.3),
        depth=trial.suggest_int("depth", 2, 32),
        activation="tanh",
    )
    result = train(architecture, budget, x_train, images.y_train, x_test, images.y_test, task=task, seed=trial.number)
    trial.set_user_attr("train_accuracy", result.train_accuracy)
    return result.test_accuracy


def tuned(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """A finished study."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=args.trials)
    return study


without = tuned(optuna.samplers.RandomSampler(seed=1))

# %% [markdown]
# ## 4. Tune with it
#
# This study wraps the same random sampler. A draw that the prior refuses is replaced by another one before anything is
# launched. A few trials, the audits, bypass the prior, so that a wrong prior is found out.

# %%
sampler = NTKPriorSampler(prior, optuna.samplers.RandomSampler(seed=1), search_space=SPACE, seed=1)
with_prior = tuned(sampler)

# %% [markdown]
# ## 5. Compare
#
# A launch counts as in vain if its network covered less than half of the way from chance to the best accuracy of all.

# %%
chance = task.chance
half_way = (chance + max(without.best_value, with_prior.best_value)) / 2
print(f"{'':15}{'launched':>8}{'in vain':>9}{'median':>8}{'best':>6}")
for name, study in (("without prior", without), ("with prior", with_prior)):
    values = sorted(trial.value for trial in study.trials)
    in_vain = sum(value < half_way for value in values)
    print(f"{name:15}{len(values):8}{in_vain:9}{values[len(values) // 2]:8.2f}{values[-1]:6.2f}")

# %% [markdown]
# ## 6. What was refused, and why
#
# Each trial stores what the prior said about it. `plain` trials are the audits.

# %%
for trial in with_prior.trials:
    note = trial.user_attrs["ntk_prior"]
    print(f"{trial.number:3} accuracy {trial.value:.2f}  {note['drawn']:9} {note['verdict']:15} {note['reason']}")

# %%
show(plot_feasibility(with_prior, target_name="test accuracy"), "feasibility")

# %% [markdown]
# ## 7. Was it right?
#
# The trials of both studies show how well the prior's probabilities predicted the outcomes. `fit` then learns from
# these trials. A few trials change little.

# %%
show(plot_calibration(with_prior, target_name="test accuracy"), "calibration")

# %%
both = [one for study in (without, with_prior) for one in finished_trials(study, train_accuracy="train_accuracy")]
report = prior.fit(both)
for name, side in (("trains", report.trains), ("generalizes", report.generalizes)):
    print(f"{name}: {side.share:.0%} of {side.n} trials did, AUROC {side.auroc:.2f}, Brier score {side.brier:.2f}")

# %% [markdown]
# The documentation continues from here: mapping a search space with names of your own, Ray Tune, and what the prior
# does when it is wrong.
