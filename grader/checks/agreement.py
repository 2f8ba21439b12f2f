"""A learner's function or module against an oracle that autograd runs through too: values, gradients, modes and views.

Central differences say that a gradient belongs to the values, at sizes where they can be afforded. An oracle of the suite's
own says what both must be, at any size: over a hundred steps, at inputs a hundred times as large, for one row and for a
thousand, in training and in evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.checks.close import assert_close
from grader.checks.failure import AuthorFault, CheckFailure
from grader.checks.results import assert_parts
from grader.checks.slopes import fail_unreached
from grader.checks.state import tensors_of
from grader.messages import Message, Value, said, text

if TYPE_CHECKING:
    import torch


def assert_agrees(
    learner: Callable[..., Any],
    oracle: Callable[..., Any],
    inputs: Mapping[str, Any],
    rng: np.random.Generator,
    *,
    modules: tuple[torch.nn.Module, torch.nn.Module] | None = None,
    parameters: Iterable[str] | Mapping[str, str] = (),
    fixed: Sequence[str] = (),
    gradients: bool = True,
    tol: float = 1e-6,
    name: Value | Sequence[Value] = "the result",
    help: Value = "",
) -> None:
    """learner(**inputs) and oracle(**inputs) are the same, and so are their gradients by every input and parameter.

    Both return a tensor, or a tuple of tensors with their names in `name`. Gradients are those of floating-point tensors
    that are not in `fixed`, under one random upstream gradient. modules: the learner's and the oracle's, where there are
    any: values are compared in training and in evaluation, and no call may change the mode; `parameters` are their names
    in both, or from the learner's to the oracle's. Values are compared once more where every tensor is a view that is
    not contiguous.
    """
    __tracebackhide__ = True
    import torch

    names = [name] if isinstance(name, str | Message) else list(name)
    with torch.no_grad():
        for mode in _modes(modules):
            for given, how in (
                (inputs, "{value}"),
                ({key: as_view(value) for key, value in inputs.items()}, _OF_VIEWS),
            ):
                want = _outputs(oracle(**inputs), names, oracle=True)  # as often as the learner's: batch norm counts
                got = _outputs(learner(**given), names)
                _assert_mode(modules, help)
                for one, expected, actual in zip(names, want, got, strict=True):
                    assert_close(actual, expected, tol=tol, name=_named(one, mode, how), help=help)
    if gradients:
        _compare_gradients(learner, oracle, inputs, rng, modules, parameters, fixed, tol, names, help)


_OF_VIEWS = text("{value} of inputs that are views")


def _named(value: Value, *how: Value) -> Value:
    """The name of a value, with how it was made."""
    for template in how:
        value = value if template == "{value}" else text(template.code, value=said(value))
    return value


def as_view(value: Any) -> Any:
    """A tensor of the same numbers that is a view and not contiguous, where it has two numbers; all else is itself."""
    import torch

    if not isinstance(value, torch.Tensor) or value.numel() < 2:
        return value
    room = value.new_zeros(*value.shape[:-1], value.shape[-1] + 1, 2)  # so that no two axes can be joined
    room[..., :-1, 0] = value
    return room[..., :-1, 0]


def _modes(modules: tuple[torch.nn.Module, torch.nn.Module] | None) -> Iterable[Value]:
    """Both modes, the present one last, and what is said of a value in each."""
    if modules is None:
        yield "{value}"
        return
    before = modules[1].training
    for training in (not before, before):
        for module in modules:
            module.train(training)
        yield text("{value} in training mode") if training else text("{value} in evaluation mode")


def _assert_mode(modules: tuple[torch.nn.Module, torch.nn.Module] | None, help: Value) -> None:
    """After a call the learner's module is in the mode that the oracle's is in, and so is all that it holds."""
    __tracebackhide__ = True
    if modules is None:
        return
    learner, oracle = modules
    if flipped := [key for key, module in learner.named_modules() if module.training != oracle.training]:
        code = "mode.evaluation" if oracle.training else "mode.training"
        raise CheckFailure(code, name=flipped[0] or "the model", help=help)


def _compare_gradients(
    learner: Callable[..., Any],
    oracle: Callable[..., Any],
    inputs: Mapping[str, Any],
    rng: np.random.Generator,
    modules: tuple[torch.nn.Module, torch.nn.Module] | None,
    parameters: Iterable[str] | Mapping[str, str],
    fixed: Sequence[str],
    tol: float,
    names: list[Value],
    help: Value,
) -> None:
    __tracebackhide__ = True
    import torch

    pairs = parameters if isinstance(parameters, Mapping) else {key: key for key in parameters}
    if pairs and modules is None:
        raise AuthorFault("parameters need the modules that they belong to")
    upstream: list[torch.Tensor] = []
    found = []
    for side, function in enumerate((oracle, learner)):
        leaves = {key: _leaf(value, key not in fixed) for key, value in inputs.items()}
        targets = {key: value for key, value in leaves.items() if _requires_grad(value)}
        if modules is not None:
            keys = list(pairs) if side else list(pairs.values())
            targets |= dict(zip(pairs, tensors_of(modules[1 - side], keys).values(), strict=True))
        outputs = _outputs(function(**leaves), names, oracle=not side)
        if not side:
            upstream = [torch.from_numpy(np.asarray(rng.standard_normal(y.shape))).to(y.dtype) for y in outputs]
        chosen = [(y, u) for y, u in zip(outputs, upstream, strict=True) if y.requires_grad]
        if not chosen:
            fail_unreached(list(targets), help, names[0])
        ys, us = zip(*chosen, strict=True)
        products = torch.autograd.grad(ys, list(targets.values()), us, allow_unused=True)
        found.append(dict(zip(targets, products, strict=True)))
    for key, want in found[0].items():
        if want is None or not want.any():
            continue
        got = found[1][key]
        if got is None:
            fail_unreached([key], help, names[0])
        assert_close(
            got,
            want,
            tol=tol,
            name=text("gradient of {results} by {key}", results=[said(one) for one in names], key=key),
            help=help,
        )


def _leaf(value: Any, differentiable: bool) -> Any:
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    return value.detach().clone().requires_grad_(differentiable and value.is_floating_point())


def _requires_grad(value: Any) -> bool:
    return bool(getattr(value, "requires_grad", False))


def _outputs(result: Any, names: list[Value], *, oracle: bool = False) -> list[Any]:
    __tracebackhide__ = True
    if len(names) == 1:
        return [result]
    if oracle and len(result) != len(names):
        raise AuthorFault(f"the oracle returns {len(result)} results, and there are {len(names)} names")
    return list(assert_parts(result, names, name="the call"))
