"""A call of the learner's code as lines to paste into a Python shell: what it was given, to the last digit, and the call."""

from __future__ import annotations

import inspect
import math
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_LONG = 400  # numbers from which an array stands in a file, and a line reads it


class Call(NamedTuple):
    """One call, with what it was given as it was then. owner: the learner's object whose method it is, if it is one."""

    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    owner: Any = None
    made: Any = None  # the object that a call of a class gave


class Pasted:
    """Writes calls of one learner's file; what is too long for a line is saved in `folder`, which is made for it."""

    def __init__(self, module: str, source: Path, folder: Path, before: Sequence[Call] = ()) -> None:
        self._module = module
        self._source = source
        self._folder = folder
        self._before = before
        self._lines: list[str] = []
        self._heads: dict[str, None] = {}
        self._names: dict[int, str] = {}

    def lines(self, call: Call) -> list[str]:
        """The lines of one call, and before them those that make what it takes."""
        self._heads = dict.fromkeys(["import sys", f"sys.path.insert(0, {str(self._source.parent)!r})"])
        self._heads[f"import {self._module}"] = None
        asked = self._call(call)
        return [*self._heads, *self._lines, asked]

    def _call(self, call: Call) -> str:
        """The expression of a call, whose arguments have lines of their own."""
        args = [self._argument(name, value) for name, value in zip(_parameters(call), call.args, strict=True)]
        args += [f"{name}={self._argument(name, value)}" for name, value in call.kwargs.items()]
        name = getattr(call.function, "__name__", "")
        if call.owner is None:
            return f"{self._module}.{name}({', '.join(args)})"
        owner = self._object("model", call.owner)
        return f"{owner}({', '.join(args)})" if name == "forward" else f"{owner}.{name}({', '.join(args)})"

    def _argument(self, name: str, value: Any) -> str:
        """The name that holds an argument; what is short stands for itself."""
        if value is None or type(value) in (bool, int, float, str):
            return self._value(name, value)
        if id(value) in self._names:
            return self._names[id(value)]
        made = self._value(name, value)
        if made.isidentifier():
            return made
        free = self._free(name)
        shape = getattr(value, "shape", None)
        self._lines.append(f"{free} = {made}" + (f"  # {tuple(shape)}" if shape else ""))
        self._names[id(value)] = free
        return free

    def _free(self, name: str) -> str:
        taken = {*self._names.values(), self._module}
        name = name if name.isidentifier() else "argument"
        return next(each for each in (name, *(f"{name}_{number}" for number in range(2, 1000))) if each not in taken)

    def _value(self, name: str, value: Any) -> str:
        """An expression that gives the value again."""
        kind = type(value)
        if kind is float and not math.isfinite(value):
            return f'float("{value}")'
        if value is None or kind in (bool, int, float, complex, str, bytes, slice):
            return repr(value)
        if isinstance(value, dict):
            pairs = ", ".join(f"{self._value(name, key)}: {self._value(name, each)}" for key, each in value.items())
            return f"{{{pairs}}}"
        if isinstance(value, list | tuple | deque):
            return self._sequence(name, value)
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
            return self._array(name, value)
        if numpy is not None and isinstance(value, numpy.random.Generator):
            return self._numpy_generator(name, value)
        if torch is not None and isinstance(value, torch.Tensor):
            return self._tensor(name, value)
        if torch is not None and isinstance(value, torch.Generator):
            return self._torch_generator(name, value)
        if torch is not None and isinstance(value, torch.dtype):
            self._heads["import torch"] = None
            return str(value)
        return self._object(name, value)

    def _sequence(self, name: str, value: Any) -> str:
        items = [self._value(name, each) for each in value]
        if isinstance(value, deque):
            self._heads["from collections import deque"] = None
            return f"deque([{', '.join(items)}], maxlen={value.maxlen})"
        if isinstance(value, list):
            return f"[{', '.join(items)}]"
        return f"({', '.join(items)}{',' * (len(items) == 1)})"

    def _array(self, name: str, value: Any) -> str:
        self._heads["import numpy as np"] = None
        array = sys.modules["numpy"].asarray(value)
        if array.size > _LONG:
            return f"np.load({self._saved(name, array)!r})"
        if not array.size:
            return f"np.zeros({array.shape}, dtype=np.{array.dtype})"
        return f"np.array({self._numbers(array.tolist())}, dtype=np.{array.dtype})"

    def _tensor(self, name: str, value: Any) -> str:
        self._heads["import torch"] = None
        torch, plain = sys.modules["torch"], value.detach()
        end = ".requires_grad_()" if value.requires_grad else ""
        if not plain.numel():
            return f"torch.zeros({tuple(plain.shape)}, dtype={plain.dtype}){end}"
        if plain.numel() <= _LONG:
            return f"torch.tensor({self._numbers(plain.tolist())}, dtype={plain.dtype}){end}"
        path = self._path(name, ".pt")
        torch.save(plain.clone(), path)
        return f"torch.load({str(path)!r}){end}"

    def _numbers(self, value: Any) -> str:
        """Nested lists of numbers, with those that are not finite as Python reads them."""
        if isinstance(value, list):
            return f"[{', '.join(map(self._numbers, value))}]"
        return f'float("{value}")' if isinstance(value, float) and not math.isfinite(value) else repr(value)

    def _numpy_generator(self, name: str, value: Any) -> str:
        self._heads["import numpy as np"] = None
        kind, free = type(value.bit_generator).__name__, self._free(name)
        self._lines.append(f"{free} = np.random.Generator(np.random.{kind}())")
        self._lines.append(f"{free}.bit_generator.state = {value.bit_generator.state!r}")
        self._names[id(value)] = free
        return free

    def _torch_generator(self, name: str, value: Any) -> str:
        self._heads["import torch"] = None
        torch, fresh = sys.modules["torch"], f"torch.Generator().manual_seed({value.initial_seed()})"
        if torch.equal(torch.Generator().manual_seed(value.initial_seed()).get_state(), value.get_state()):
            return fresh
        path, free = self._path(name, ".pt"), self._free(name)
        torch.save(value.get_state(), path)
        self._lines += [f"{free} = torch.Generator()", f"{free}.set_state(torch.load({str(path)!r}))"]
        self._names[id(value)] = free
        return free

    def _object(self, name: str, value: Any) -> str:
        """An object of the learner's, made as the suite made it, with the numbers that it held."""
        if id(value) in self._names:
            return self._names[id(value)]
        making = next((call for call in reversed(self._before) if call.made is value), None)
        if making is None:
            return f"...  # {type(value).__name__}: the suite's own"
        made, free = self._call(making), self._free(name)
        self._lines.append(f"{free} = {made}")
        self._names[id(value)] = free
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.nn.Module):
            path = self._path(free, ".pt")
            torch.save(value.state_dict(), path)
            self._lines.append(f"{free}.load_state_dict(torch.load({str(path)!r}))")
            self._lines.append(f"{free}.train({value.training})")
            self._heads["import torch"] = None
        return free

    def _saved(self, name: str, array: Any) -> str:
        path = self._path(name, ".npy")
        sys.modules["numpy"].save(path, array)
        return str(path)

    def _path(self, name: str, suffix: str) -> Path:
        """A file for what is too long for a line; `.grade/` is ignored by git."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return next(
            path
            for number in range(1, 1000)
            if not (path := self._folder / f"{name if name.isidentifier() else 'argument'}_{number}{suffix}").exists()
        )


def _parameters(call: Call) -> list[str]:
    """The names of the arguments that were given without one."""
    try:
        parameters = list(inspect.signature(call.function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return (names + [f"argument_{place}" for place in range(len(names) + 1, len(call.args) + 1)])[: len(call.args)]
