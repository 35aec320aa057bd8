"""Flax networks and their training, built from the same ``Architecture`` and ``Budget`` that the prior judges."""

try:
    import flax  # noqa: F401
    import jax  # noqa: F401
    import optax  # noqa: F401
except ImportError as error:
    raise ImportError(f"ntk_prior_flax needs {error.name}: pip install 'ntk-prior[train]'") from error

from ntk_prior_flax.networks import Network
from ntk_prior_flax.training import Report, TrainingResult, train, training_flops

__all__ = ["Network", "Report", "TrainingResult", "train", "training_flops"]
