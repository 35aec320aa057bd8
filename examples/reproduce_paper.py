"""Reproduce the paper's results on CIFAR-10: phase diagram, depth scales, NTK spectra, accuracy maps, claims.

    python examples/reproduce_paper.py --data-dir DIR --output FOLDER

Each section of the notebook beside this file is a module of ``paper``:

    setting         data, networks, what a claim is
    phase_diagram   figure 1
    depth_scales    figure 2
    large_depth     figures 3 and 4, the table of large depths
    spectra         figures 5 and 6
    mean_predictor  figure 7
    accuracy_maps   figures 8 to 10
    relu            figure 11
    pooling         figures 12 and 13
    dropout         figure 14
    claims          the table of the paper's claims

``python -m paper.notebook``, in this folder, makes the notebook again.
"""

from importlib import import_module

from paper import SECTIONS

for section in SECTIONS:
    import_module(f"paper.{section}")
