"""The sections of ``reproduce_paper.py``: each reads what those before it have measured."""

SECTIONS = (
    "setting",
    "phase_diagram",
    "depth_scales",
    "large_depth",
    "spectra",
    "mean_predictor",
    "accuracy_maps",
    "relu",
    "pooling",
    "dropout",
    "claims",
)
"""The modules in the order in which they run."""
