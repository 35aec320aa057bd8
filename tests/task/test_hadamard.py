"""The data's summary, on matrices whose spectrum is chosen beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ntk_prior.task.cosines import POWERS, gauss_nodes, polynomial_fit, weights_on
from ntk_prior.task.hadamard import extrapolate, one_hot, sketch

Array = NDArray[np.float64]

SIZE = 60
LABELS = np.arange(SIZE) % 3


def with_spectrum(eigenvalues: Array, rng: np.random.Generator) -> Array:
    """A symmetric matrix that annihilates the uniform vector and has these eigenvalues besides."""
    size = len(eigenvalues) + 1
    basis = np.linalg.qr(np.column_stack([np.ones(size), rng.normal(size=(size, size - 1))]))[0]
    return np.asarray(basis[:, 1:] * eigenvalues @ basis[:, 1:].T)


def test_the_spectrum_that_was_chosen_comes_back_centred_and_sorted() -> None:
    chosen = np.geomspace(20.0, 0.01, SIZE - 1)
    matrix = with_spectrum(chosen, np.random.default_rng(0))
    powers = np.stack([matrix / k + 0.3 for k in POWERS])  # + 0.3: the mean that centring removes
    found = sketch(powers, one_hot(LABELS), groups=10_000)
    assert found.counts.sum() == SIZE
    for row, k in zip(found.eigenvalues, POWERS, strict=True):
        assert np.repeat(row, found.counts.astype(int)) == pytest.approx(np.append(chosen / k, 0.0), abs=1e-10)
    assert found.energy.sum() == pytest.approx(1.0)
    assert found.diagonals == pytest.approx([np.mean(np.diagonal(power)) for power in powers])


def test_powers_that_do_not_commute_add_up_to_the_spectrum_of_their_sum() -> None:
    rng = np.random.default_rng(0)
    powers = np.stack([with_spectrum(np.geomspace(20.0 / k**2, 0.01, SIZE - 1), rng) for k in POWERS])
    found = sketch(powers, one_hot(LABELS), groups=10_000)
    for falloff, error in ((0.3, 1e-9), (0.2, 0.1), (0.4, 0.1)):
        mixture = falloff ** np.arange(len(POWERS))
        exact = np.linalg.eigvalsh(np.tensordot(mixture, powers, 1))[::-1]
        assert mixture @ found.eigenvalues[:, :-1] == pytest.approx(exact[:-1], rel=error)


def test_groups_keep_the_trace_and_the_leading_eigenvalues() -> None:
    chosen = np.geomspace(20.0, 0.01, SIZE - 1)
    powers = np.stack([with_spectrum(chosen, np.random.default_rng(0)) for k in POWERS])
    found = sketch(powers, one_hot(LABELS), groups=12)
    assert len(found.counts) <= 12
    assert found.eigenvalues @ found.counts == pytest.approx([chosen.sum()] * len(POWERS))
    assert found.eigenvalues[:, 0] == pytest.approx([chosen[0]] * len(POWERS))


def test_labels_along_one_eigenvector_have_all_their_energy_there() -> None:
    labels = np.repeat([0, 1], SIZE // 2)
    direction = np.where(labels == 0, 1.0, -1.0) / np.sqrt(SIZE)
    rest = with_spectrum(np.linspace(1.0, 2.0, SIZE - 1), np.random.default_rng(0))
    projector = np.eye(SIZE) - np.outer(direction, direction)
    matrix = projector @ rest @ projector + 50.0 * np.outer(direction, direction)
    found = sketch(np.stack([matrix] * len(POWERS)), one_hot(labels), groups=10_000)
    assert found.energy[0] == pytest.approx(1.0)


def test_the_leading_block_holds_the_top_of_every_power_and_the_uniform_vector() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(SIZE, 200)) + 0.4
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosine = features @ features.T
    powers = np.stack([cosine**k for k in POWERS])
    found = sketch(powers, one_hot(LABELS))
    assert np.linalg.norm(found.uniform) == pytest.approx(1.0)
    for block, power in zip(found.leading, powers, strict=True):
        exact = np.linalg.eigvalsh(power - np.eye(SIZE))[-1]
        assert SIZE * np.linalg.eigvalsh(block)[-1] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.4])
@pytest.mark.parametrize("n_features", [1, 3, 200, 20_000])
def test_the_leading_block_is_that_of_whole_eigendecompositions(shift: float, n_features: int) -> None:
    features = np.random.default_rng(0).normal(size=(SIZE, n_features)) + shift
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    powers = np.stack([(features @ features.T) ** k for k in POWERS])
    tops = [np.linalg.eigh(power)[1][:, -1] for power in powers]
    left, singular, _ = np.linalg.svd(np.stack([np.ones(SIZE), *tops], axis=1), full_matrices=False)
    basis = left[:, singular > 1e-5]
    for block, power in zip(sketch(powers, one_hot(LABELS)).leading, powers, strict=True):
        exact = basis.T @ (power - np.diag(np.diagonal(power))) @ basis / SIZE
        top = [np.linalg.eigvalsh(matrix)[-1] for matrix in (block, exact)]
        assert top[0] == pytest.approx(top[1], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("matrix", [np.zeros((SIZE, SIZE)), np.eye(SIZE), np.ones((SIZE, SIZE))], ids=["0", "1", "J"])
def test_matrices_without_a_leading_eigenvalue_have_a_sketch_too(matrix: Array) -> None:
    found = sketch(np.stack([matrix] * len(POWERS)), one_hot(LABELS))
    for array in found:
        assert np.all(np.isfinite(array))


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_the_smallest_samples_foretell_larger_ones(size: int) -> None:
    features = np.random.default_rng(0).normal(size=(size, 9))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    found = extrapolate(
        sketch(np.stack([(features @ features.T) ** k for k in POWERS]), one_hot(np.arange(size) % 2)), 1_000
    )
    assert found.counts.sum() == 1_000
    assert found.energy.sum() == pytest.approx(1.0)
    assert np.all(np.isfinite(found.eigenvalues))


def test_nodes_that_can_hardly_be_told_apart_have_finite_weights_on_any_part() -> None:
    samples = np.array([0.0, 1e-13, -1.0, 1.0, 1e-20])
    for size in range(2, 9):
        nodes = gauss_nodes(samples, size)
        assert np.all(np.isfinite(weights_on(*nodes, samples[:2], samples)))


def test_a_sample_foretells_the_spectrum_of_twice_as_many() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(800, 300)) * np.arange(1, 301) ** -0.5
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = (features[:, 0] > 0).astype(np.int64)

    def summary(size: int, groups: int) -> Array:
        cosine = features[:size] @ features[:size].T
        return sketch(np.stack([cosine**k for k in POWERS]), one_hot(labels[:size]), groups)

    foretold, exact = extrapolate(summary(400, 400), 800), extrapolate(summary(800, 800), 800)
    assert foretold.counts == pytest.approx(exact.counts)
    resolved = np.cumsum(exact.counts) <= 200
    assert foretold.eigenvalues[0, resolved] == pytest.approx(exact.eigenvalues[0, resolved], rel=0.2)
    assert foretold.eigenvalues @ foretold.counts == pytest.approx(exact.eigenvalues @ exact.counts, rel=0.03)


SAMPLES = arrays(np.float64, st.integers(20, 80), elements=st.floats(-1, 1))


@given(SAMPLES, st.integers(2, 8))
def test_gauss_nodes_integrate_what_their_number_allows(samples: Array, size: int) -> None:
    nodes, weights, _ = gauss_nodes(samples, size)
    assert weights.sum() == pytest.approx(1.0)
    assert samples.min() - 1e-9 <= nodes.min() <= nodes.max() <= samples.max() + 1e-9
    if len(nodes) == size:
        for degree in range(2 * size):
            assert weights @ nodes**degree == pytest.approx(np.mean(samples**degree), abs=1e-7)


@given(SAMPLES)
def test_parts_of_a_sample_share_its_nodes_and_keep_their_own_moments(samples: Array) -> None:
    nodes, weights, polynomials = gauss_nodes(samples, 5)
    part = samples[::2]
    own = weights_on(nodes, weights, polynomials, part, samples)
    if len(nodes) == 5:
        for degree in range(5):
            assert own @ nodes**degree == pytest.approx(np.mean(part**degree), abs=1e-6)


def test_the_fit_returns_the_coefficients_of_a_polynomial() -> None:
    nodes, weights, _ = gauss_nodes(np.random.default_rng(0).uniform(-0.6, 0.9, 4000), 8)
    coefficients = np.array([0.5, -1.0, 0.25, 2.0, -0.75, 0.125])
    values = np.polynomial.polynomial.polyval(nodes, coefficients)
    assert polynomial_fit(nodes, weights) @ values == pytest.approx(coefficients, abs=1e-9)
