"""The state of an `nn.Module` that exists twice, in the judge and in a worker: what changed here, and what changed there.

Both sides hold a `Twin` over modules of the same structure. Parameters and buffers are numbered *slots* (a tied weight is one
slot), submodules are numbered in the order of `Module.modules()`. Only what changed crosses: a slot counts as changed when its
contents, dtype or shape differ from what both sides last agreed on, however the change was made (`p.data -= ...` leaves no other trace).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

Changes = tuple[list[tuple[int, Any, bool]], list[tuple[int, bool]]]  # slots (index, tensor, requires_grad), modes (index, training)


@dataclass(slots=True)
class _Slot:
    """One parameter or buffer: where it hangs, and the value that both sides know."""

    owner: dict[str, Any]
    name: str
    known: torch.Tensor
    requires_grad: bool

    def tensor(self) -> torch.Tensor:
        return self.owner[self.name]  # type: ignore[no-any-return]  # of nn.Module's own dict


class Twin:
    """One side of a module that exists twice."""

    def __init__(self, module: nn.Module) -> None:
        self.modules = list(module.modules())
        self._modes = [one.training for one in self.modules]
        self._slots: list[_Slot] = []
        self.index: dict[int, int] = {}  # id of a tensor -> its slot
        for one in self.modules:
            for owner in (one._parameters, one._buffers):
                for name, tensor in owner.items():
                    if tensor is not None and id(tensor) not in self.index:
                        self.index[id(tensor)] = len(self._slots)
                        self._slots.append(_Slot(owner, name, tensor.detach().clone(), tensor.requires_grad))

    def tensors(self) -> list[torch.Tensor]:
        """Every slot's tensor as it is now, in order."""
        return [slot.tensor() for slot in self._slots]

    def differentiable(self) -> list[torch.Tensor]:
        """The slots that take part in autograd: leaves that require grad, in order."""
        return [tensor for tensor in self.tensors() if tensor.requires_grad]

    def changes(self) -> Changes | None:
        """What changed on this side since the two last agreed; from now on it counts as known."""
        import torch

        slots: list[tuple[int, Any, bool]] = []
        for index, slot in enumerate(self._slots):
            tensor = slot.tensor()
            plain = tensor.detach()
            same = plain.dtype == slot.known.dtype and torch.equal(plain, slot.known)
            if not same or tensor.requires_grad != slot.requires_grad:
                slots.append((index, plain, tensor.requires_grad))
                slot.requires_grad = tensor.requires_grad
                if not same:
                    slot.known = plain.clone()
        modes = [
            (index, module.training)
            for index, module in enumerate(self.modules)
            if module.training != self._modes[index]
        ]
        for index, training in modes:
            self._modes[index] = training
        return (slots, modes) if slots or modes else None

    def apply(self, changes: Any) -> None:
        """Take over what changed on the other side. Raises ValueError where the changes do not fit."""
        import torch

        try:
            slots, modes = changes
            for index, new, requires_grad in slots:
                slot = self._slots[index]
                tensor = slot.tensor()
                if type(new) is not torch.Tensor or index < 0:
                    raise TypeError("no tensor")
                with torch.no_grad():
                    if tensor.dtype == new.dtype and tensor.shape == new.shape:
                        tensor.copy_(new)
                    else:
                        tensor.data = new.clone()
                if tensor.is_leaf:
                    tensor.requires_grad_(bool(requires_grad))
                slot.known, slot.requires_grad = new.clone(), tensor.requires_grad
            for index, training in modes:
                self.modules[index].training = self._modes[index] = bool(training)
        except (TypeError, ValueError, IndexError, RuntimeError) as error:
            raise ValueError(f"the state of a module that does not fit it: {error}") from None
