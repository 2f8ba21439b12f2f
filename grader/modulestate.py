"""The state of an `nn.Module` that exists twice, in the judge and in a worker: what changed here, what changed there.

Both sides hold a `Twin` over modules of the same structure. Parameters and buffers are numbered *slots* (a tied
weight is one slot), submodules are numbered in the order of `Module.modules()`. Only what changed crosses: a slot
counts as changed when its bits, dtype or shape differ from what both sides last agreed on, however the change was
made (`p.data -= ...` leaves no other trace). Small slots of one dtype are compared, sent and taken over as one flat
tensor: so a training step stays cheap.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

# What crosses; an empty list where nothing of its kind changed.
Changes = tuple[
    list[tuple[list[int], Any]],  # parts: slots of one dtype, and their elements in one flat tensor
    list[Any],  # whole: every slot's tensor or None, once a dtype or a shape changed
    list[bool],  # every slot's requires_grad
    list[bool],  # every module's training
]


_LARGE = 1 << 15  # elements of a tensor that is a group of its own


class Twin:
    """One side of a module that exists twice."""

    def __init__(self, module: nn.Module) -> None:
        self.modules = list(module.modules())
        self.index: dict[int, int] = {}  # id of a tensor -> its slot
        self._slots: list[tuple[dict[str, Any], str]] = []  # where each tensor hangs
        empty = []
        for one in self.modules:
            for owner in (one._parameters, one._buffers):
                for name, tensor in owner.items():
                    if tensor is None:
                        empty.append((owner, name))
                    elif id(tensor) not in self.index:
                        self.index[id(tensor)] = len(self._slots)
                        self._slots.append((owner, name))
        self._slots += empty  # last, so that the numbers of the others are the same with and without them
        now = self._now()
        self._modes = [one.training for one in self.modules]
        self._grads = _grads(now)
        self._forms = _forms(now)
        self._groups = _groups(now)

    def tensors(self) -> list[torch.Tensor]:
        """Every slot's tensor as it is now, in order."""
        return [tensor for tensor in self._now() if tensor is not None]

    def differentiable(self) -> list[torch.Tensor]:
        """The slots that take part in autograd, in order."""
        return [tensor for tensor in self.tensors() if tensor.requires_grad]

    def changes(self) -> Changes | None:
        """What changed on this side since the two last agreed; from now on it counts as known."""
        now = self._now()
        parts: list[tuple[list[int], Any]] = []
        whole: list[Any] = []
        if _forms(now) != self._forms:
            whole = [None if tensor is None else tensor.detach() for tensor in now]
            self._forms, self._groups = _forms(now), _groups(now)
        else:
            parts = [part for group in self._groups if (part := group.changed(now)) is not None]
        grads, modes = _grads(now), [one.training for one in self.modules]
        said = (parts, whole, grads if grads != self._grads else [], modes if modes != self._modes else [])
        self._grads, self._modes = grads, modes
        return said if any(said) else None

    def apply(self, changes: Any) -> None:
        """Take over what changed on the other side. Raises ValueError where the changes do not fit."""
        try:
            parts, whole, grads, modes = changes
            if whole:
                self._replace(whole)
            for slots, flat in parts:
                self._take_over(slots, flat)
            for tensor, requires_grad in zip(self._now(), grads, strict=True) if grads else ():
                if tensor is not None and tensor.is_leaf:
                    tensor.requires_grad_(bool(requires_grad))
            for module, training in zip(self.modules, modes, strict=True) if modes else ():
                module.training = bool(training)
        except (TypeError, ValueError, LookupError, RuntimeError, AttributeError) as error:
            raise ValueError(f"the state of a module that does not fit it: {error}") from None
        if grads:
            self._grads = _grads(self._now())
        if modes:
            self._modes = [one.training for one in self.modules]

    def _now(self) -> list[torch.Tensor | None]:
        return [owner.get(name) for owner, name in self._slots]

    def _take_over(self, slots: list[int], flat: torch.Tensor) -> None:
        """Copy a flat tensor into slots of one dtype, and remember that both sides know it."""
        import torch
        from torch._utils import _unflatten_dense_tensors

        (group,) = (group for group in self._groups if group.places.keys() >= set(slots))
        now = self._now()
        targets: Any = [now[slot] for slot in slots]
        size = sum(target.numel() for target in targets)
        if type(flat) is not torch.Tensor or flat.shape != (size,) or any(one.dtype != flat.dtype for one in targets):
            raise ValueError("elements of other slots")
        with torch.no_grad():
            torch._foreach_copy_(targets, _unflatten_dense_tensors(flat, targets))
        group.learn(slots, flat)

    def _replace(self, whole: list[Any]) -> None:
        """Give every slot its new tensor: the old one's contents if dtype and shape fit, else its data."""
        import torch

        for (owner, name), new in zip(self._slots, whole, strict=True):
            old = owner.get(name)
            if new is None:
                owner[name] = None
            elif type(new) is not torch.Tensor:
                raise TypeError("no tensor")
            elif old is None:
                is_parameter = any(owner is one._parameters for one in self.modules)
                owner[name] = torch.nn.Parameter(new.clone(), requires_grad=False) if is_parameter else new.clone()
            elif (old.dtype, old.shape) == (new.dtype, new.shape):
                with torch.no_grad():
                    old.copy_(new)
            else:
                old.data = new.clone()
        now = self._now()
        self._forms, self._groups = _forms(now), _groups(now)


class _Group:
    """Slots of one dtype, and their bits as both sides know them."""

    def __init__(self, slots: list[int], tensors: list[torch.Tensor]) -> None:
        self._known = _bits(_flat(tensors)).copy()
        words = len(self._known) // (sum(tensor.numel() for tensor in tensors) or 1)  # two for a complex128
        ends = list(accumulate((words * tensor.numel() for tensor in tensors), initial=0))
        self.places = {slot: slice(*place) for slot, place in zip(slots, pairwise(ends), strict=True)}
        self._starts = ends[:-1]

    def changed(self, now: list[Any]) -> tuple[list[int], torch.Tensor] | None:
        """The slots whose bits are not known, and their elements; from now on they are."""
        import numpy

        flat = _flat([now[slot] for slot in self.places])
        bits = _bits(flat)
        different = bits != self._known
        if not different.any():
            return None
        anew = numpy.logical_or.reduceat(different, self._starts)
        slots = [slot for slot, new in zip(self.places, anew.tolist(), strict=True) if new]
        self._known[:] = bits
        return slots, flat if len(slots) == len(self.places) else _flat([now[slot] for slot in slots])

    def learn(self, slots: list[int], flat: torch.Tensor) -> None:
        """These slots hold these elements on both sides."""
        bits, at = _bits(flat), 0
        for slot in slots:
            place = self.places[slot]
            end = at + place.stop - place.start
            self._known[place] = bits[at:end]
            at = end


def _groups(now: list[Any]) -> list[_Group]:
    slots: dict[Any, list[int]] = {}
    for slot, tensor in enumerate(now):
        if tensor is not None and tensor.numel():
            key = tensor.dtype if tensor.numel() < _LARGE else slot  # to join many is cheap while they are small
            slots.setdefault(key, []).append(slot)
    return [_Group(same, [now[slot] for slot in same]) for same in slots.values()]


def _forms(now: list[Any]) -> list[Any]:
    return [tensor is not None and (tensor.dtype, tensor.shape) for tensor in now]


def _grads(now: list[Any]) -> list[bool]:
    return [tensor is not None and tensor.requires_grad for tensor in now]


def _flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    """The elements of tensors of one dtype, as one."""
    import torch
    from torch._utils import _flatten_dense_tensors

    with torch.no_grad():
        flat: torch.Tensor = _flatten_dense_tensors(tensors)
    return flat.resolve_conj().resolve_neg()


def _bits(flat: torch.Tensor) -> Any:
    """The same as integers of numpy, which are equal only where every bit is."""
    import torch

    words = {1: torch.uint8, 2: torch.int16, 4: torch.int32}
    return flat.view(words.get(flat.element_size(), torch.int64)).numpy()
