"""An experiment in a process of its own, to be killed and restored: ``ray_worker.py FOLDER fit|restore``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ray import tune

from ntk_prior_ray import NTKPriorCallback, NTKPriorSearch
from tests.support import ray_local
from tests.support.priors import likes_small_x
from tests.support.ray_trainables import SPACE, recorded

FOLDER = Path(sys.argv[1])
TRIALS = 10


def fit(tuner: tune.Tuner) -> None:
    results = tuner.fit()
    assert results.num_errors == 0
    rows = [
        {"trial_id": one.metrics["trial_id"], "x": one.config["x"], "iterations": one.metrics["training_iteration"]}
        for one in results
    ]
    (FOLDER / "results.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "0"
    ray_local.start_two_cpus()
    if sys.argv[2] == "restore":
        fit(tune.Tuner.restore(str(FOLDER / "experiment"), recorded, resume_unfinished=True))
    else:
        search = NTKPriorSearch(likes_small_x, epsilon=0.0, seed=0)
        settings = tune.TuneConfig(metric="loss", mode="min", num_samples=TRIALS, search_alg=search, reuse_actors=True)
        callbacks = [NTKPriorCallback(search)]
        place = tune.RunConfig(name="experiment", storage_path=str(FOLDER), verbose=0, callbacks=callbacks)
        fit(tune.Tuner(recorded, param_space={**SPACE, "folder": str(FOLDER)}, tune_config=settings, run_config=place))
