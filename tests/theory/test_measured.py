"""Spectra that were measured on real inputs, and the verdicts that follow from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, Task
from ntk_prior.datasets import load_digits, prepare
from ntk_prior.theory.recursion import kernel

IMAGES = prepare(load_digits(), n_train=256, n_test=128, side=None)
Y, Y_TEST = IMAGES.y_train, IMAGES.y_test
LABELS = np.repeat([0, 1], 4)


def unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = x.reshape(len(x), -1)
    return flat / np.sqrt(np.mean(flat**2, axis=1, keepdims=True))


X, X_TEST = unit(IMAGES.x_train), unit(IMAGES.x_test)
TASK = Task.from_arrays(X, Y)


def theta(architecture: Architecture, x: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The infinite-width kernel, entry by entry from the recursion."""
    found = kernel(architecture, np.clip(x @ other.T / x.shape[1], -1.0, 1.0).ravel())
    entries = found.diagonal * math.exp(found.log_scale) - found.gaps * math.exp(found.log_gap_scale)
    return np.asarray(entries.reshape(len(x), len(other)))


def with_eigenvalues(values: list[float], seed: int = 0) -> NDArray[np.float64]:
    """A kernel with the uniform vector's eigenvalue first, and the others along random directions."""
    size = len(values)
    basis = np.random.default_rng(seed).normal(size=(size, size))
    basis[:, 0] = 1.0
    vectors = np.linalg.qr(basis)[0]
    return np.asarray(vectors * values @ vectors.T)


def test_the_spectrum_is_that_of_a_kernel_built_from_it() -> None:
    chosen = [100.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    found = ntp.measured_spectrum(with_eigenvalues(chosen), LABELS)
    assert found.lambda_max == pytest.approx(100.0)
    np.testing.assert_allclose(found.eigenvalues[:-1], chosen[1:], rtol=1e-9)
    assert found.eigenvalues[-1] > 0.0  # the uniform vector's, which centring removes
    assert found.lambda_bulk == pytest.approx(4.0)  # the fourth of eight
    assert found.kappa == pytest.approx(25.0)
    assert found.max_rate_of_summed_loss == pytest.approx(0.02)
    assert found.diagonal == pytest.approx(sum(chosen) / 8)
    assert found.phase is None


def test_labels_along_one_eigenvector_have_all_their_energy_there_and_align_with_its_kernel() -> None:
    direction = np.where(LABELS == 0, 1.0, -1.0) / math.sqrt(8)
    found = ntp.measured_spectrum(0.5 * np.eye(8) + 3.0 * np.outer(direction, direction), LABELS)
    assert found.energy[0] == pytest.approx(1.0)
    only = ntp.measured_spectrum(np.outer(direction, direction) + 1e-9 * np.eye(8), LABELS)
    assert only.alignment == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("weight_variance", [1.0, 1.75, 3.0])
@pytest.mark.parametrize("depth", [3, 16])
def test_a_kernel_assembled_entry_by_entry_is_judged_like_its_architecture(weight_variance: float, depth: int) -> None:
    """The predictor sees only the task's summary, this the kernel itself."""
    architecture = Architecture(weight_variance, 0.18, depth)
    measured = ntp.measured_spectrum(theta(architecture, X, X), Y, architecture=architecture)
    predicted = ntp.spectrum(architecture, TASK)
    assert measured.phase == predicted.phase
    assert measured.lambda_max == pytest.approx(predicted.lambda_max, rel=0.03)
    assert measured.kappa == pytest.approx(predicted.kappa, rel=0.2)
    assert measured.mean_predictor == pytest.approx(predicted.mean_predictor, abs=0.02)
    for budget in (Budget(300), Budget(300, width=256), Budget(300, learning_rate=0.5, width=256)):
        exact = ntp.feasibility_from_spectrum(measured, TASK, budget, architecture=architecture)
        fast = ntp.feasibility(architecture, TASK, budget)
        assert exact.estimates.trainability == pytest.approx(fast.estimates.trainability, abs=0.05)
        assert exact.estimates.generalization == pytest.approx(fast.estimates.generalization, abs=0.12)
        assert exact.spectrum is measured


def test_gradient_descent_step_by_step_gives_the_learning_curve() -> None:
    architecture = Architecture(1.5, 0.1, 4)
    train, held_out = theta(architecture, X, X), theta(architecture, X_TEST, X)
    rate, m = 0.7 * len(X) / float(np.linalg.eigvalsh(train)[-1]), len(X)
    targets = np.eye(10)[Y]
    mean = targets.mean(axis=0)
    outputs, unseen, found = np.zeros((m, 10)), np.zeros((len(X_TEST), 10)), []
    for step in range(101):
        if step in (1, 10, 100):
            found.append((np.mean(np.argmax(outputs + mean, 1) == Y), np.mean(np.argmax(unseen + mean, 1) == Y_TEST)))
        residual = targets - mean - outputs
        outputs, unseen = outputs + rate / m * train @ residual, unseen + rate / m * held_out @ residual
    curve = ntp.learning_curve(train, held_out, Y, Y_TEST, [1, 10, 100], rate)
    np.testing.assert_allclose(curve.train_accuracy, [row[0] for row in found], atol=1e-12)
    np.testing.assert_allclose(curve.test_accuracy, [row[1] for row in found], atol=1e-12)
    assert np.all(np.diff(curve.mean_predictor) > 0.0)


@given(scale=st.floats(1e-30, 1e30), steps=st.integers(1, 10**6))
def test_at_its_own_rate_nothing_depends_on_the_kernels_scale(scale: float, steps: int) -> None:
    built, task = with_eigenvalues([100.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]), Task.equicorrelated(8, n_classes=2)
    one, other = (
        ntp.feasibility_from_spectrum(ntp.measured_spectrum(kernel, LABELS), task, Budget(steps))
        for kernel in (built, scale * built)
    )
    assert one.verdict is other.verdict
    assert one.trainability == pytest.approx(other.trainability, rel=1e-6)
    assert one.generalization == pytest.approx(other.generalization, rel=1e-6, abs=1e-9)


def test_a_networks_own_kernel_tells_its_largest_learning_rate() -> None:
    measured = ntp.measured_spectrum(theta(Architecture(1.5, 0.1, 4), X, X), Y)
    limit = 2 * len(X) / measured.lambda_max
    # Some networks that overshoot settle where the kernel is smaller; beyond four times the limit none does.
    below, above = (
        ntp.feasibility_from_spectrum(measured, TASK, Budget(500, learning_rate=factor * limit)) for factor in (0.95, 5)
    )
    assert below.verdict is ntp.Verdict.FEASIBLE
    assert above.verdict is ntp.Verdict.DIVERGES
    assert f"> {limit:.3g} = 2 / lambda_max" in above.reason
    assert above.suggestion is None


def test_the_reason_says_how_many_steps_are_needed() -> None:
    # Labels without any order: nothing of them lies along the leading eigenvectors.
    labels = np.random.default_rng(0).permutation(Y)
    measured = ntp.measured_spectrum(theta(Architecture(0.8, 0.1, 40), X, X), labels)
    short = ntp.feasibility_from_spectrum(measured, TASK, Budget(1))
    assert short.verdict is ntp.Verdict.UNTRAINABLE
    needed = int(float(short.reason.split("needs ")[1].split(" steps")[0]) * 1.1)
    enough = ntp.feasibility_from_spectrum(measured, TASK, Budget(needed))
    assert enough.trainability >= ntp.DEFAULT_THRESHOLD


def test_more_samples_than_were_measured_are_easier_to_generalize_from() -> None:
    measured = ntp.measured_spectrum(theta(Architecture(3.0, 0.1, 12), X, X), Y)
    few, many = (ntp.feasibility_from_spectrum(measured, TASK.at(n), Budget(1000)) for n in (256, 4096))
    assert many.generalization > few.generalization


def test_adam_needs_the_number_of_parameters_and_mup_is_outside_the_theory() -> None:
    built = theta(Architecture(1.5, 0.1, 4), X, X)
    adam = Budget(1000, learning_rate=1e-3, optimizer="adam")
    with pytest.raises(ValueError, match="n_parameters: expected a number for optimizer='adam'"):
        ntp.feasibility_from_spectrum(ntp.measured_spectrum(built, Y), TASK, adam)
    known = ntp.measured_spectrum(built, Y, n_parameters=100_000)
    assert ntp.feasibility_from_spectrum(known, TASK, adam).score is None
    hopeless = ntp.feasibility_from_spectrum(known, TASK, Budget(5, learning_rate=1e-9, optimizer="adam"))
    assert hopeless.verdict is ntp.Verdict.UNTRAINABLE
    silent = ntp.feasibility_from_spectrum(known, TASK, Budget(1000, parametrization="mup"))
    assert silent.verdict is ntp.Verdict.OUTSIDE_THEORY


@pytest.mark.parametrize(
    ("kernel_", "labels", "message"),
    [
        (np.eye(8)[:4], LABELS, r"kernel: expected shape \(m, m\)"),
        (np.eye(8), LABELS[:5], "y: expected one label for each of the 8 inputs"),
        (np.full((8, 8), np.nan), LABELS, "kernel: expected finite numbers"),
        (np.triu(np.ones((8, 8))), LABELS, "kernel: expected a symmetric matrix"),
        (np.eye(8), np.zeros(8), "y: expected at least 2 classes"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel_: NDArray[np.float64], labels: NDArray[np.int64], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ntp.measured_spectrum(kernel_, labels)


def test_classes_and_shapes_must_agree() -> None:
    measured = ntp.measured_spectrum(np.eye(8), LABELS)
    with pytest.raises(ValueError, match="task: expected 2 classes, as the spectrum has, received 10"):
        ntp.feasibility_from_spectrum(measured, TASK, Budget(10))
    with pytest.raises(ValueError, match=r"kernel_test: expected shape \(3, 8\)"):
        ntp.learning_curve(np.eye(8), np.ones((3, 7)), LABELS, [0, 1, 1], [1])
    with pytest.raises(ValueError, match="y_test: expected labels among"):
        ntp.learning_curve(np.eye(8), np.ones((3, 8)), LABELS, [0, 1, 7], [1])
