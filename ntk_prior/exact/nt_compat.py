"""neural-tangents 0.6.5 on today's JAX.

Its modules import names that JAX has moved or removed, and TensorFlow, which only its experimental front end uses. The
names are lent to JAX's modules while neural-tangents is imported and taken back at once; what its functions look up
later, they find in proxies of their own. The few functions that relied on removed behaviour are replaced.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from threading import Lock
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import jax.core
import jax.extend.core
import jax.interpreters.ad
import jax.numpy
import scipy.linalg
from jax.interpreters.ad import UndefinedPrimal, Zero

VERSION = "0.6.5"
"""The release whose internals are known here; there has been none since December 2023."""

_LOCK = Lock()


def neural_tangents() -> ModuleType:
    """The package ``neural_tangents``, imported so that it works; a plain import finds it afterwards.

    Raises:
        ImportError: If it is not installed, is another release, or does not work with this JAX.
    """
    with _LOCK:
        return _imported()


@lru_cache(maxsize=1)
def _imported() -> ModuleType:
    try:
        found = importlib.metadata.version("neural-tangents")
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError(_message("none installed")) from error
    if found != VERSION:
        raise ImportError(_message(found))
    if "neural_tangents" in sys.modules:
        return sys.modules["neural_tangents"]
    try:
        with _lent(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = importlib.import_module("neural_tangents")
        _mend()
    except Exception as error:
        for name in [name for name in sys.modules if name.partition(".")[0] == "neural_tangents"]:
            del sys.modules[name]
        raise ImportError(f"{_message(found)}; it failed with {type(error).__name__}: {error}") from error
    return package


def _message(found: str) -> str:
    return (
        f"neural-tangents: expected {VERSION}, working, received {found} with JAX {jax.__version__}: "
        "install it with pip install 'ntk-prior[exact]' (the README says how to do so without TensorFlow)"
    )


class _Removed:
    """A type of which JAX has no values any more."""


_CORE = {name: getattr(jax.extend.core, name) for name in ("Jaxpr", "JaxprEqn", "Literal", "Primitive", "Var")} | {
    "DShapedArray": _Removed,
    "Value": Any,
    "eval_context": jax.ensure_compile_time_eval,
}
"""Names that were in ``jax.core``."""

_AD = {
    "config": SimpleNamespace(jax_enable_checks=False),
    "source_info_util": SimpleNamespace(transform_name_stack=lambda _: nullcontext()),
    # An operation that JAX traces no more; neural-tangents files a rule under it.
    "zeros_like_p": jax.extend.core.Primitive("zeros_like"),
}
"""Names that were in ``jax.interpreters.ad``."""


def _safe_map(function: Callable[..., Any], *lists: Any) -> list[Any]:
    return [function(*entries) for entries in zip(*lists, strict=True)]


def _safe_zip(*lists: Any) -> list[tuple[Any, ...]]:
    return list(zip(*lists, strict=True))


@contextmanager
def _lent() -> Iterator[None]:
    """JAX with the names that neural-tangents imports, and an empty ``neural_tangents.experimental``."""
    util = ModuleType("jax.util")
    util.__dict__.update(safe_map=_safe_map, safe_zip=_safe_zip)
    before = sys.modules.get("jax.util")
    lent = [
        (module, name, value)
        for module, names in ((jax.core, _CORE), (jax.interpreters.ad, _AD))
        for name, value in names.items()
        if name not in vars(module)
    ]
    # Its own content needs TensorFlow.
    sys.modules["neural_tangents.experimental"] = ModuleType("neural_tangents.experimental")
    sys.modules["jax.util"] = util
    for module, name, value in lent:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, _ in lent:
            delattr(module, name)
        del sys.modules["jax.util"]
        if before is not None:
            sys.modules["jax.util"] = before


class _Proxy(ModuleType):
    """A module with some names of its own, and all of another module's."""

    def __init__(self, module: ModuleType, names: Mapping[str, Any]) -> None:
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _mend() -> None:
    """Give neural-tangents' modules the names that JAX has no more, and functions that work without them."""
    core, ad = _Proxy(jax.core, _CORE), _Proxy(jax.interpreters.ad, _AD)
    for name in ("empirical", "predict", "stax.linear", "utils.rules", "utils.utils"):
        module: Any = importlib.import_module(f"neural_tangents._src.{name}")
        module.jax = _Proxy(jax, {"core": core})
        module.core, module.ad = core, ad
    _mend_empirical(importlib.import_module("neural_tangents._src.empirical"))
    predict: Any = importlib.import_module("neural_tangents._src.predict")
    predict.sp = SimpleNamespace(linalg=SimpleNamespace(eigvalsh=_eigvalsh))


def _eigvalsh(matrix: Any, eigvals: tuple[int, int]) -> Any:
    """``scipy.linalg.eigvalsh`` with the argument that SciPy has renamed."""
    return scipy.linalg.eigvalsh(matrix, subset_by_index=eigvals)


def _mend_empirical(empirical: Any) -> None:
    """Replace what relied on ``ad.linearize``, ``map_primitive`` and the old shape of a cost analysis."""
    # JAX is about to refuse shapes without an array.
    empirical.jnp = _Proxy(jax.numpy, {"size": lambda x: math.prod(x.shape), "shape": lambda x: x.shape})
    empirical._get_primals_out_and_pullback = _pullback_by(empirical._backward_pass)
    empirical._eqn_vjp_fn = _eqn_vjp
    empirical._get_flops = _flops


def _pullback_by(backward_pass: Callable[..., Any]) -> Callable[..., Any]:
    """A function's values and its pullback, which ``backward_pass`` evaluates on the linearized program."""
    undefined_primal: Callable[[Any], Any] = UndefinedPrimal  # untyped in JAX

    def primals_out_and_pullback(
        fn: Callable[..., Any], mode: Any, j_rules: bool, s_rules: bool, fwd: bool | None, *primals: Any
    ) -> tuple[Any, Callable[..., Any]]:
        leaves, tree = jax.tree.flatten(primals)

        def flat(*leaves: Any) -> Any:
            return fn(*jax.tree.unflatten(tree, leaves))

        with jax.disable_jit():  # structure is found in programs without nested calls only
            result, tangent_map = jax.linearize(flat, *leaves)
            linear = jax.make_jaxpr(lambda *tangents: jax.tree.leaves(tangent_map(*tangents)))(*leaves)

        def pullback(*cotangents: Any) -> Any:
            undefined = [undefined_primal(var.aval) for var in linear.jaxpr.invars]
            found = backward_pass(
                linear.jaxpr,
                mode=mode,
                consts=linear.consts,
                primals_in=undefined,
                cotangents_in=tuple(jax.tree.leaves(cotangents)),
                _j_rules=j_rules,
                _s_rules=s_rules,
                _fwd=fwd,
            )
            return jax.tree.unflatten(tree, found)

        return result, pullback

    return primals_out_and_pullback


def _eqn_vjp(eqn: Any, cotangent: Any, *values: Any) -> Any:
    """The cotangents of an equation's linear operands."""
    if eqn is None:
        return (cotangent,)
    open_at = [index for index, value in enumerate(values) if isinstance(value, UndefinedPrimal)]
    found: list[Any] = [None] * len(values)
    if isinstance(cotangent, Zero):
        pulled: tuple[Any, ...] = tuple(Zero(values[index].aval) for index in open_at)
    else:

        def apply(*args: Any) -> Any:
            filled = dict(zip(open_at, args, strict=True))
            operands = [filled.get(index, value) for index, value in enumerate(values)]
            return eqn.primitive.bind(*operands, **eqn.params)

        shapes = [values[index].aval for index in open_at]
        pulled = jax.linear_transpose(apply, *shapes)(cotangent)
    for index, value in zip(open_at, pulled, strict=True):
        found[index] = value
    return found


def _flops(function: Callable[..., Any], optimize: bool, *args: Any, **kwargs: Any) -> float:
    """Floating-point operations of a call, as the compiler estimates them."""
    lowered = jax.jit(function).lower(*args, **kwargs)
    analysis: Any = (lowered.compile() if optimize else lowered).cost_analysis()
    return float((analysis[0] if isinstance(analysis, list) else analysis)["flops"])
