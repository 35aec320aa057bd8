"""The prior that several tests of mistakes ask."""

from __future__ import annotations

import pytest

from ntk_prior import Budget, NTKPrior, Task
from tests.support.small_prior import X, Y


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.from_arrays(X, Y)


@pytest.fixture(scope="module")
def prior(task: Task) -> NTKPrior:
    return NTKPrior(task, Budget(100, width=64))
