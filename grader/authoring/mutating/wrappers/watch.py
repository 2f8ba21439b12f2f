"""Notes how a suite calls a file: which of its functions and methods, with what, and what they give.

This text is pasted at the end of the reference, and the suite is run on that in plain pytest. What is seen goes where
checks put their comparisons, so that it comes back, and is stored, as every other outcome is.
"""

# No `from __future__` here: it may only stand at the top of a file, and this is pasted at the end of one.
import copy
import functools
import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WORD = "call"  # the name of the check that these observations go by
_MOST = 60  # different calls of one function that are noted, and probed for gradients, in one test
_PROBED = 4
_FAR = (5, 30, 50)  # bounds of which is noted whether a number is beyond them
_PIECE = 300  # characters: a longer name of a comparison would be cut


def _far(value: Any) -> int:
    """The largest bound that a float in the value is beyond; 0 for none."""
    if isinstance(value, Mapping | list | tuple):
        return max(map(_far, value.values() if isinstance(value, Mapping) else value), default=0)
    if "float" not in str(getattr(value, "dtype", type(value).__name__)):
        return 0
    size = getattr(value, "numel", lambda: getattr(value, "size", 1))()
    most = abs(float(value) if isinstance(value, float) else float(abs(value).max())) if size else 0.0
    return max((bound for bound in _FAR if most > bound), default=0)


def _form(value: Any) -> dict[str, Any]:
    """What a value is, without its numbers, and how far these go from 0."""
    return _kind(value) | {"far": _far(value)}


def _kind(value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, bool | int | float | str):
        plain = not isinstance(value, str) and (not isinstance(value, float) or math.isfinite(value))
        return {"is": type(value).__name__, "value": value if plain else None}
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        kind = "tensor" if hasattr(value, "detach") else "array"
        straight = value.is_contiguous() if kind == "tensor" else getattr(value.flags, "c_contiguous", True)
        dtype = str(value.dtype).removeprefix("torch.")
        return {"is": kind, "dtype": dtype, "shape": list(value.shape), "straight": bool(straight)}
    if hasattr(value, "named_parameters") and hasattr(value, "training"):
        return {"is": "module", "training": value.training}
    if isinstance(value, Mapping):
        return {"is": "dict", "of": {str(key): _form(each) for key, each in list(value.items())[:12]}}
    if isinstance(value, list | tuple):
        of = {str(place): _form(each) for place, each in enumerate(value[:3])}
        return {"is": "tuple" if isinstance(value, tuple) else "list", "of": of, "length": len(value)}
    if "Generator" in type(value).__name__ and hasattr(type(value), "__module__"):
        return {"is": "generator"} if type(value).__module__.startswith(("numpy", "torch")) else {"is": "object"}
    held = {name: _form(each) for name, each in getattr(value, "__dict__", {}).items() if hasattr(each, "training")}
    return {"is": "object", "of": held}


def _parameters(value: Any, home: Mapping[str, Any]) -> dict[str, Any]:
    """Of a module the parameters that belong to no other class of the file, each once: shapes, and whether all entries are equal."""
    own = tuple(kind for kind in home.values() if isinstance(kind, type))
    deeper = [f"{name}." for name, each in value.named_modules() if name and type(each) in own]
    found: dict[str, Any] = {}
    for name, parameter in value.named_parameters():
        if not name.startswith(tuple(deeper)):
            equal = bool((parameter == parameter.flatten()[:1]).all()) and (
                parameter.numel() > 1 or not parameter.any()
            )
            found[name] = {"shape": list(parameter.shape), "equal": equal}
    return found


def _versions(values: Mapping[str, Any]) -> dict[str, int]:
    """How often the parameters of modules, and of modules that objects hold, were written to."""
    found = {}
    for name, value in values.items():
        held = [value, *getattr(value, "__dict__", {}).values()]
        modules = [each for each in held if hasattr(each, "named_parameters")]
        if modules:
            found[name] = sum(parameter._version for each in modules for parameter in each.parameters())
    return found


def _floats(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [found for each in value for found in _floats(each)]
    if isinstance(value, dict):
        return _floats(list(value.values()))
    return [value] if hasattr(value, "requires_grad") and value.is_floating_point() else []


def _reached(right: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """The arguments, and the parameters of `self`, to which gradients of the result flow."""
    import torch

    mine, leaves = {}, {}
    for name, value in given.items():
        if hasattr(value, "requires_grad"):
            mine[name] = value.detach().clone()
            if value.is_floating_point():
                leaves[name] = mine[name].requires_grad_()
        else:
            mine[name] = copy.deepcopy(value)
    if hasattr(mine.get("self"), "named_parameters"):
        named = mine["self"].named_parameters(remove_duplicate=False)
        leaves |= {f"self.{name}": parameter for name, parameter in named if parameter.requires_grad}
    with torch.enable_grad():
        results = [each for each in _floats(right(**mine)) if each.requires_grad]
        if not results or not leaves:
            return []
        gradients = torch.autograd.grad(sum(each.sum() for each in results), list(leaves.values()), allow_unused=True)
    return [name for name, gradient in zip(leaves, gradients, strict=True) if gradient is not None]


class _Watch:
    """What has been noted, and which calls are under way."""

    def __init__(self, home: dict[str, Any]) -> None:
        self._home = home
        self._noted: dict[str, set[str]] = {}
        self._running: list[dict[str, Any]] = []
        self._callers: dict[str, Any] = {}  # the frame from which each was called last
        self._probing = False
        self._told = 0
        if "torch" in sys.modules:
            from torch.optim.optimizer import register_optimizer_step_post_hook

            register_optimizer_step_post_hook(self._stepped)

    def put(self, owner: str, function: str, names: Sequence[str]) -> None:
        """Watch a function of the file, or a method of one of its classes."""
        place = self._home[owner] if owner else self._home
        right = vars(place)[function] if owner else self._home[function]
        entry = f"{owner}.{function}" if owner else function

        @functools.wraps(right)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = dict(zip(names, args, strict=False)) | kwargs
            return self._call(entry, right, given)

        if owner:
            setattr(place, function, call)
        else:
            self._home[function] = call

    def _call(self, entry: str, right: Callable[..., Any], given: dict[str, Any]) -> Any:
        if self._probing:
            return right(**given)
        making = entry.endswith(".__init__")
        forms = {name: _form(value) for name, value in given.items() if not (making and name == "self")}
        noted = self._noted.setdefault(entry, set())
        key = json.dumps(forms)
        caller = sys._getframe(2)
        again = self._callers.get(entry) is caller
        self._callers[entry] = caller
        key += f"{bool(self._running)} {again}"
        new = key not in noted and len(noted) <= _MOST
        noted |= {key} if new else set()
        note: dict[str, Any] = {"entry": entry, "arguments": forms, "steps": 0, "inside": bool(self._running)}
        note["again"] = again
        before = {} if making else _versions(given)
        self._running.append(note)
        try:
            value = right(**given)
        finally:
            self._running.pop()
        form = _form(value)
        key += f"{form['far']} {note['steps']}"  # what only the result shows
        if new or (key not in noted and len(noted) <= _MOST):
            noted.add(key)
            note["last"] = len(noted) > _MOST
            after = {} if making else _versions(given)
            note["changed"] = [name for name in before if after[name] != before[name]]
            note["result"] = form
            made = given["self"] if making else value
            note["parameters"] = _parameters(made, self._home) if hasattr(made, "named_parameters") else {}
            note["reached"] = self._probe(right, given) if len(noted) <= _PROBED and not note["changed"] else []
            self._tell(json.dumps(note))
        return value

    def _tell(self, text: str) -> None:
        from grader.checks.observations import observe  # where it runs, in a judge, numpy is there already

        self._told += 1
        for start in range(0, len(text), _PIECE):
            observe(WORD, f"{self._told}.{start} {text[start : start + _PIECE]}", 0.0, 0.0)

    def _probe(self, right: Callable[..., Any], given: dict[str, Any]) -> list[str]:
        if "torch" not in sys.modules or not any(hasattr(value, "requires_grad") for value in given.values()):
            return []
        self._probing = True
        try:
            return [re.sub(r"\d+", "*", name) if "." in name else name for name in _reached(right, given)]
        except (RuntimeError, TypeError):  # what cannot be copied, or gives no gradient, is not probed
            return []
        finally:
            self._probing = False

    def _stepped(self, optimiser: Any, args: Any, kwargs: Any) -> None:
        for note in self._running:
            note["steps"] += 1
