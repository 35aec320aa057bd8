"""A run on a simulated cluster of three nodes that loses one in the middle: ``ray_cluster.py FOLDER``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import ray
from ray import tune
from ray.cluster_utils import Cluster

from ntk_prior_ray import NTKPriorSearch
from tests.support import ray_local
from tests.support.priors import likes_small_x
from tests.support.ray_trainables import SPACE, recorded

FOLDER = Path(sys.argv[1])


class LosesANode(tune.Callback):
    """Removes a node that is not the head once a trial runs on it."""

    # A Tuner pickles its callbacks, which a cluster would not survive.
    cluster: ClassVar[Cluster]
    nodes: ClassVar[dict[str, Any]]
    removed: ClassVar[str | None] = None
    launched: ClassVar[set[str]] = set()

    def on_step_end(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        self.launched.update(trial.trial_id for trial in trials)
        path = FOLDER / "starts.jsonl"
        if self.removed is not None or not path.exists():
            return
        for line in path.read_text().splitlines():
            node = json.loads(line)["node"]
            if node in self.nodes:
                LosesANode.removed = node
                self.cluster.remove_node(self.nodes[node], allow_graceful=False)
                return


def main() -> None:
    node = {"num_cpus": 1, "object_store_memory": ray_local.OBJECT_STORE}
    # No trial fits on the head, which has the driver and must stay.
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0})
    nodes = [cluster.add_node(**node) for _ in range(2)]
    ray_local.start(cluster.address)
    cluster.wait_for_nodes()
    search = NTKPriorSearch(likes_small_x, epsilon=0.0, seed=0)
    LosesANode.cluster, LosesANode.nodes = cluster, {node.node_id: node for node in nodes}
    tuner = tune.Tuner(
        recorded,
        param_space={**SPACE, "folder": str(FOLDER)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=6, search_alg=search, reuse_actors=True),
        run_config=tune.RunConfig(
            name="experiment",
            storage_path=str(FOLDER),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=3),
            callbacks=[LosesANode()],
        ),
    )
    results = tuner.fit()
    told = {
        "removed": LosesANode.removed,
        "launched": sorted(LosesANode.launched),
        "statuses": [trial.status for trial in results._experiment_analysis.trials],
        "iterations": [result.metrics["training_iteration"] for result in results],
        "refused": len(search.refusals()),
    }
    (FOLDER / "told.json").write_text(json.dumps(told))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    # As a module of its own name, whose classes are pickled without what they hold.
    from tests.support import ray_cluster

    ray_cluster.main()
