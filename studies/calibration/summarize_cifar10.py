"""Recompute the CIFAR-10 summary that ships with the package (``ntk_prior/cifar10.json``).

    python -m studies.calibration.summarize_cifar10 DIR

DIR holds CIFAR-10 in the official binary layout. Images are standardised per channel, as a training script
does. The whole-input spectrum is measured on up to 4,096 images; the summary describes the measured number and
``Task.cifar10`` carries it to any other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ntk_prior import Task
from ntk_prior.datasets import load_cifar10, standardize

SAMPLES = 4096
GROUPS = 256


def main() -> None:
    """Read the images, summarise them, and write the JSON file into the package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="folder with the CIFAR-10 batches")
    target = Path(__file__).parents[2] / "ntk_prior" / "task" / "cifar10.json"
    parser.add_argument("--output", type=Path, default=target, help="file to write")
    arguments = parser.parse_args()
    images = standardize(load_cifar10(arguments.directory))
    task = Task.from_arrays(
        images.x_train, images.y_train, n_test=10_000, max_samples=SAMPLES, n_train=SAMPLES, groups=GROUPS
    )
    task.save(arguments.output, views=task.views)
    print(f"wrote {arguments.output}: {task.n_train} images, {arguments.output.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
