"""The exact tier: kernels of infinitely wide networks by neural-tangents, and those of any JAX model as it is.

Slower than the predictor by factors of a thousand and more, and free of its approximations: ``kernel``, ``spectrum``
and ``regression`` on real inputs for an ``Architecture``, ``empirical``, ``over_seeds`` and ``top_eigenvalues`` for a
model of one's own, whose kernel ``ntk_prior.measured_spectrum`` and ``ntk_prior.feasibility_from_spectrum`` turn into a
verdict. ``Refinement`` lets a prior ask for exact spectra where its own answer is close.
"""

try:
    from ntk_prior.exact.finite_width import (
        EmpiricalKernel,
        KernelOverSeeds,
        TopEigenvalues,
        empirical,
        over_seeds,
        top_eigenvalues,
    )
    from ntk_prior.exact.infinite_width import Cost, Kernels, cost, kernel
    from ntk_prior.exact.nt_network import network
    from ntk_prior.exact.refinement import Refinement
    from ntk_prior.exact.spectra import regression, spectrum
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("jax", "jaxlib", "platformdirs"):
        raise
    raise ImportError(
        f"ntk_prior.exact needs {error.name}, which is not installed: pip install 'ntk-prior[exact]' (the README says "
        "how to do so without TensorFlow)"
    ) from error

__all__ = [
    "Cost",
    "EmpiricalKernel",
    "KernelOverSeeds",
    "Kernels",
    "Refinement",
    "TopEigenvalues",
    "cost",
    "empirical",
    "kernel",
    "network",
    "over_seeds",
    "regression",
    "spectrum",
    "top_eigenvalues",
]
