"""Gradients by value: autograd's, or those that the learner wrote by hand, against the function's own differences.

Both checks show that a gradient belongs to the values that the function returns; that the values are right is for
assert_close to say, best in the same test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.checks.close import assert_finite, check_tolerance, wrong_kind
from grader.checks.failure import AuthorFault, CheckFailure, NotFinite
from grader.checks.reading import describe, is_tensor, read
from grader.checks.slopes import Probe, compare_slopes, fail_unreached
from grader.messages import Message, Value, message, said

if TYPE_CHECKING:
    import torch


def assert_gradients(
    function: Callable[..., Any],
    inputs: Mapping[str, torch.Tensor],
    rng: np.random.Generator,
    *,
    parameters: Mapping[str, torch.Tensor] | None = None,
    tol: float = 1e-6,
    eps: float = 1e-5,
    name: Value = "gradient",
    help: Value = "",
) -> None:
    """Autograd's gradients of function(**inputs) by every input and parameter are right.

    function returns a tensor or a tuple of tensors, the same at each call; inputs are float64 tensors. parameters
    are those that the function uses: they are moved in place and put back exactly. The upstream gradient is random.
    Every output and input must be reached; a parameter without a gradient is a parameter with gradient zero.
    """
    __tracebackhide__ = True
    import torch

    parameters = parameters or {}
    _check_arguments(inputs, parameters, "tensor", tol, eps)
    for key, parameter in parameters.items():
        _check_parameter(key, parameter, help)
    leaves = {key: value.detach().clone().requires_grad_() for key, value in inputs.items()}
    targets = {**leaves, **parameters}
    outputs = _outputs(function(**leaves))
    base = _values(outputs, help)
    for i, output in enumerate(outputs):
        if not output.requires_grad:
            fail_unreached(targets, help, _name(i, outputs))
    upstream = [np.asarray(rng.standard_normal(y.shape)) for y in base]
    given = [torch.from_numpy(u).to(output.dtype) for u, output in zip(upstream, outputs, strict=True)]
    found = dict(zip(targets, torch.autograd.grad(outputs, [*targets.values()], given, allow_unused=True), strict=True))
    missing = [key for key, gradient in found.items() if gradient is None]
    if unreached := [key for key in missing if key in inputs]:
        fail_unreached(unreached, help)
    claimed = {key: _claim(_of(name, key), found[key], target, help) for key, target in targets.items()}

    def evaluate(key: str, offset: np.ndarray) -> list[np.ndarray]:
        step = torch.from_numpy(offset)
        with torch.no_grad():
            arguments = {k: value + step if k == key else value.clone() for k, value in inputs.items()}
            with _displaced(parameters.get(key), step):
                return _values(_outputs(function(**arguments)), help, like=base)

    narrow = next((output.dtype for output in outputs if output.dtype != torch.float64), None)
    note = message("gradient.narrow", dtype=str(narrow)[6:]) if narrow else None
    probe = Probe(evaluate, upstream, base, eps)
    compare_slopes("assert_gradients", probe, claimed, rng, tol=tol, name=name, help=help, missing=missing, note=note)


def assert_numpy_gradients(
    loss: Callable[..., Any],
    inputs: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    *,
    tol: float = 1e-6,
    eps: float = 1e-5,
    name: Value = "gradient",
    help: Value = "",
) -> None:
    """The claimed gradient of loss(**inputs) by every input is right; inputs are float64 arrays, a loss is a number."""
    __tracebackhide__ = True
    _check_arguments(inputs, {}, "array", tol, eps)
    if not isinstance(gradients, dict):
        raise wrong_kind(name, gradients, message("gradient.dicts", count=len(inputs)), help)
    if absent := [key for key in inputs if key not in gradients]:
        raise CheckFailure("gradient.missing", name=name, key=absent[0], keys=list(inputs), help=help)
    claimed = {key: _claim(_of(name, key), gradients[key], value, help) for key, value in inputs.items()}

    def evaluate(key: str, offset: np.ndarray) -> list[np.ndarray]:
        arguments = {k: value + offset if k == key else value.copy() for k, value in inputs.items()}
        return _values([loss(**arguments)], help, like=[np.zeros(())])

    base = evaluate("", np.zeros(()))
    probe = Probe(evaluate, [np.ones(())], base, eps)
    compare_slopes("assert_numpy_gradients", probe, claimed, rng, tol=tol, name=name, help=help)


def _check_arguments(
    inputs: Mapping[str, Any], parameters: Mapping[str, Any], family: str, tol: float, eps: float
) -> None:
    check_tolerance(tol)
    if not 0 < eps < 1:
        raise AuthorFault(f"eps must be > 0 and < 1, found {eps}")
    if not inputs and not parameters:
        raise AuthorFault("nothing to differentiate by: inputs and parameters are empty")
    if both := sorted(set(inputs) & set(parameters)):
        raise AuthorFault(f"the names of inputs and parameters must differ, found {both} in both")
    for key, value in inputs.items():
        got = read(value)
        if got is None or (got.family, got.dtype) != (family, "float64"):
            found = describe(value) if got is None else f"{describe(value)} and dtype {got.dtype}"
            raise AuthorFault(f"inputs[{key!r}] must be a float64 {family}, found {found}")
        if got.first_non_finite() is not None:
            raise NotFinite(f"inputs[{key!r}] must be finite")


def _check_parameter(key: str, parameter: Any, help: Value) -> None:
    """The parameters come from the learner's module, so their faults are the learner's."""
    __tracebackhide__ = True
    got = read(parameter)
    if got is None or got.family != "tensor":
        raise wrong_kind(message("gradient.parameter", key=key), parameter, message("a.tensor"), help)
    if got.dtype != "float64":
        raise CheckFailure(
            "value.dtype", name=message("gradient.parameter", key=key), expected="float64", got=got.dtype, help=help
        )
    if not (parameter.requires_grad and parameter.is_leaf):
        raise CheckFailure("gradient.untrainable", key=key, help=help)
    assert_finite(got, message("gradient.parameter", key=key), help)


def _outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _name(index: int, outputs: list[Any]) -> Message:
    return message("the.result") if len(outputs) == 1 else message("the.output", index=index)


def _of(name: Value, key: str) -> Message:
    return message("gradient.of", name=said(name), key=key)


def _values(outputs: list[Any], help: Value, like: list[np.ndarray] | None = None) -> list[np.ndarray]:
    """The outputs as float64 arrays; of the shapes of an earlier call where `like` gives them."""
    __tracebackhide__ = True
    if not outputs:
        raise CheckFailure("gradient.empty", help=help)
    values = []
    for i, output in enumerate(outputs):
        name, got = _name(i, outputs), read(output)
        if got is None or got.kind != "float" or (like is None and not is_tensor(output)):
            found = describe(output)
            found = message("a.of_dtype", kind=found, dtype=got.dtype) if got else found
            kind = message("a.float_tensor" if like is None else "a.floats")
            raise CheckFailure("gradient.kind", name=name, expected=kind, got=found, help=help)
        assert_finite(got, name, help)
        values.append(got.data)
    if like is not None and [v.shape for v in values] != [v.shape for v in like]:
        shapes = [[list(v.shape) for v in some] for some in (like, values)]
        raise CheckFailure("gradient.shapes", expected=shapes[0], got=shapes[1], help=help)
    return values


def _claim(name: Value, gradient: Any, target: Any, help: Value) -> np.ndarray:
    """A claimed gradient as float64: of the family and shape of what it is the gradient of; zeros for none."""
    __tracebackhide__ = True
    want = read(target)
    assert want is not None
    if gradient is None and want.family == "tensor":
        return np.zeros(want.shape)
    got = read(gradient)
    if got is None or not got.passes_for(want.family, want.shape):
        raise wrong_kind(name, gradient, describe(target), help)
    if got.shape != want.shape:
        raise CheckFailure("value.shape", name=name, expected=want.shape, got=got.shape, help=help)
    if got.kind != "float":
        raise CheckFailure("value.dtype", name=name, expected=message("a.floats"), got=got.dtype, help=help)
    assert_finite(got, name, help)
    return got.data


@contextmanager
def _displaced(parameter: torch.Tensor | None, step: torch.Tensor) -> Iterator[None]:
    """Move a parameter in place, and put its very bits back; for an input there is nothing to do."""
    if parameter is None:
        yield
        return
    before = parameter.clone()
    parameter.add_(step)
    try:
        yield
    finally:
        parameter.copy_(before)
