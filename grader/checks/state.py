"""What a learner's module holds: the tensors that the statement names, and no parameters beyond them.

One rule for every suite. The named tensors are there, with shape and dtype; parameters beyond them only where the
statement says so. Buffers and attributes are free, and a parameter may be reached under a second name too, as a layer
is that also stands in an `nn.Sequential`: so names are looked up among all of a module's, and values are written into
the tensors themselves, never by a strict `load_state_dict`, which one more buffer would break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from grader.checks.failure import AuthorFault, CheckFailure, cut
from grader.checks.reading import describe, is_tensor, of_shape
from grader.messages import Message, Value, message, said

if TYPE_CHECKING:
    import torch

Shapes = Mapping[str, tuple[int, ...]]


def assert_state(
    module: object,
    shapes: Shapes,
    *,
    dtype: torch.dtype | None = None,
    buffers: Shapes | None = None,
    tied: Mapping[str, str] | None = None,
    name: Value = "the model",
) -> Any:
    """The module has the named parameters (shapes) and buffers, and no other parameters; it is returned.

    dtype is that of every named tensor but whole-number buffers, such as batch norm's count. Every named parameter
    requires grad. No two of them share memory, except that each key of `tied` is one parameter with its value.
    """
    __tracebackhide__ = True
    import torch

    buffers, tied = buffers or {}, tied or {}
    if unknown := [each for pair in tied.items() for each in pair if each not in shapes]:
        raise AuthorFault(f"tied must name parameters in shapes, found {unknown[0]!r}")
    if not isinstance(module, torch.nn.Module):
        raise CheckFailure("state.kind", name=name, got=describe(module))
    found = _tensors(module)
    for key, shape in {**shapes, **buffers}.items():
        _hold(found, key, tuple(shape), dtype, key in shapes, name)
    named = {id(found[key]) for key in shapes}
    parameters = {key: tensor for key, tensor in found.items() if _is_parameter(tensor)}
    if extra := [key for key in _once(parameters) if id(found[key]) not in named]:
        raise CheckFailure(
            "state.extra",
            name=name,
            key=cut(extra[0], 80),
            count=len(named),
            extra=cut(", ".join(f"{key} {tuple(found[key].shape)}" for key in extra)),
            help="what is not trained belongs in a buffer or in an attribute, which are free",
        )
    for key, other in tied.items():
        if found[key] is not found[other]:
            raise CheckFailure("state.untied", key=key, other=other, name=name)
    _assert_apart(module, {key: found[key] for key in {**shapes, **buffers} if key not in tied}, name)
    return module


def load_state(module: Any, values: Mapping[str, torch.Tensor], *, name: Value = "the model") -> Any:
    """Write values into the named tensors of a module, whatever else it holds; the module is returned."""
    __tracebackhide__ = True
    import torch

    found = _tensors(module)
    with torch.no_grad():
        for key, value in values.items():
            _hold(found, key, tuple(value.shape), None, None, name)
            _write(found[key], value, key, name)
    return module


def tensors_of(module: Any, names: Iterable[str], *, name: Value = "the model") -> dict[str, torch.Tensor]:
    """The module's own tensors of these names, which take part in autograd, in this order."""
    __tracebackhide__ = True
    found, names = _tensors(module), list(names)
    if missing := [key for key in names if key not in found]:
        raise _missing(found, missing[0], message("a.any_tensor"), name)
    return {key: found[key] for key in names}


def state_of(module: Any, names: Iterable[str], *, name: Value = "the model") -> dict[str, torch.Tensor]:
    """Copies of the tensors of these names as they are now, in this order."""
    __tracebackhide__ = True
    return {key: tensor.detach().clone() for key, tensor in tensors_of(module, names, name=name).items()}


def renamed(oracle: torch.nn.Module, changes: Mapping[str, str]) -> dict[str, str]:
    """The statement's names of an oracle's parameters to the oracle's own: each part of a name in `changes` is replaced."""
    names = {}
    for theirs, _ in oracle.named_parameters():
        mine = theirs
        for old, new in changes.items():
            mine = mine.replace(old, new)
        names[mine] = theirs
    return names


def _tensors(module: Any) -> dict[str, Any]:
    """Every parameter and buffer of a module by every name under which it is reached."""
    from torch.nn import Module  # its own methods, in case that the learner's class has others of these names

    buffers = Module.named_buffers(module, remove_duplicate=False)
    return {**dict(Module.named_parameters(module, remove_duplicate=False)), **dict(buffers)}


def _once(found: Mapping[str, Any]) -> list[str]:
    """A name for each tensor, the shortest where it has several: whatever else the module's author called it, and when."""
    names: dict[int, str] = {}
    for name, tensor in found.items():
        names[id(tensor)] = min(names.get(id(tensor), name), name, key=lambda each: (len(each), each))
    return [*names.values()]


def _is_parameter(tensor: Any) -> bool:
    import torch

    return isinstance(tensor, torch.nn.Parameter)


def _hold(
    found: Mapping[str, Any],
    key: str,
    shape: tuple[int, ...],
    dtype: torch.dtype | None,
    trained: bool | None,
    name: Value,
) -> None:
    """One named tensor is there, of this shape and dtype; a parameter, a buffer or (None) either."""
    __tracebackhide__ = True
    kind = of_shape({True: "parameter", False: "buffer", None: "any_tensor"}[trained], shape)
    if key not in found:
        raise _missing(found, key, kind, name)
    tensor = found[key]
    if not is_tensor(tensor) or tensor.layout != _strided() or tensor.device.type != "cpu":
        raise CheckFailure("state.form", key=key, name=name, expected=kind)
    if tuple(tensor.shape) != shape:
        swapped = message("slip.swapped") if sorted(tensor.shape) == sorted(shape) else None
        raise CheckFailure("value.shape", name=_of(key, name), swapped=swapped, expected=shape, got=tuple(tensor.shape))
    whole = trained is False and not tensor.is_floating_point()
    if dtype is not None and tensor.dtype != dtype and not whole:
        shown = [str(each).removeprefix("torch.") for each in (dtype, tensor.dtype)]
        raise CheckFailure("value.dtype", name=_of(key, name), expected=shown[0], got=shown[1])
    if trained and not (_is_parameter(tensor) and tensor.requires_grad):
        got = message("a.frozen_parameter" if _is_parameter(tensor) else "a.buffer")
        raise CheckFailure("state.frozen", key=key, name=name, got=got)
    if trained is False and _is_parameter(tensor):
        raise CheckFailure("state.trained", key=key, name=name)


def _of(key: str, name: Value) -> Message:
    return message("state.tensor", key=key, name=said(name))


def _missing(found: Mapping[str, Any], key: str, expected: Message, name: Value) -> CheckFailure:
    return CheckFailure(
        "state.missing",
        name=name,
        key=key,
        expected=expected,
        found=cut(", ".join(_once(found))) or message("state.none"),
        help="names are part of the task; an optimiser finds an nn.Parameter or an nn.Module that is an attribute, "
        "and nothing that stands in a plain list or dict",
    )


def _assert_apart(module: Any, tensors: Mapping[str, Any], name: Value) -> None:
    """No two tensors share memory: what is written into each of them can be read back, and is put back as it was."""
    __tracebackhide__ = True
    import torch

    before = {key: tensor.detach().clone() for key, tensor in tensors.items()}
    with torch.no_grad():
        for number, (key, tensor) in enumerate(tensors.items(), 1):
            _write(tensor, torch.full_like(before[key], number), key, name)
        _settle(module)
        for number, (key, tensor) in enumerate(tensors.items(), 1):
            changed = tensor[tensor != number]
            if changed.numel():
                other = list(tensors)[int(changed[0]) - 1]
                raise CheckFailure(
                    "state.shared",
                    key=key,
                    other=other,
                    name=name,
                    help="a view such as .t(), .data or detach() shares memory: clone() makes a tensor of its own",
                )
        for key, tensor in tensors.items():
            tensor.copy_(before[key])


def _settle(module: Any) -> None:
    """Where the module lives in another process, let it take in what was written here, and show what that changed."""
    settle = getattr(type(module), "_settle", None)
    if settle is not None:
        settle(module)


def _write(tensor: Any, value: torch.Tensor, key: str, name: Value) -> None:
    __tracebackhide__ = True
    try:
        tensor.copy_(value)
    except RuntimeError as error:
        help = "a tensor made by expand() has one number for many entries"
        raise CheckFailure("state.stiff", key=key, name=name, reason=cut(str(error)), help=help) from None


def _strided() -> Any:
    import torch

    return torch.strided
