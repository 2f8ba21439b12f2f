"""Kinds that are right in value: gradients that do not arrive, or arrive as NaN."""

from __future__ import annotations

from collections.abc import Iterator

from grader.authoring.mutating.wrappers.calls import Call, Seen
from grader.authoring.mutating.wrappers.change import Change


def cuts(seen: Seen) -> Iterator[Change]:
    """No gradient reaches an argument, or a parameter."""
    for name in seen.reached:
        body = f"{name} = _cut({name})\nreturn {{right}}"
        yield Change(f"cuts-gradient-of-{name}", f"lets no gradient reach {name}", body)
    made = {name for call in seen.calls for name in call.parameters}
    for name in seen.reached_parameters if seen.entry.function == "forward" else ():
        if not made or name in made:
            body = f'with _frozen(self, "{name}"):\n    return {{right}}'
            yield Change(f"cuts-gradient-of-{name}", f"lets no gradient reach the parameters {name}", body)


def cuts_beyond(seen: Seen) -> Iterator[Change]:
    """No gradient reaches what lies further back in time: in an argument, or through a state that is handed on."""
    entry = seen.entry
    for name in seen.reached:
        axis = entry.axis(name, entry.steps)
        for steps in (8, 32) if axis is not None else ():

            def bent(call: Call, name: str = name, axis: int = axis or 0, steps: int = steps) -> bool:
                return name in call.arguments and call.arguments[name].along(axis) > steps

            body = f"{name} = _cut_beyond({name}, {axis}, {steps})\nreturn {{right}}"
            says = f"lets no gradient reach {name} further back than {steps} steps"
            yield Change(f"cuts-gradient-of-{name}-beyond-{steps}", says, body, matters=bent)
    for name in _states(seen):  # truncated where the caller's loop is at its 8th, 16th, 24th step
        for calls in (8, 32):
            body = f"if _in_a_row(_calls) % {calls} == 0:\n    {name} = _cut({name})\nreturn {{right}}"
            says = f"lets no gradient reach {name} in one of {calls} calls in a row"
            yield Change(f"cuts-gradient-of-{name}-beyond-{calls}", says, body, "_calls = []")
    if "backward" in entry.function:
        timed = [name for name in seen.arrays if entry.axis(name, entry.steps) == 1]
        for steps in (8, 32) if timed else ():
            change = f"lambda each: _zero_beyond(each, {timed[0]}.shape[1], {steps})"
            says = f"gives no gradient further back than {steps} steps"
            yield Change(f"cuts-gradient-beyond-{steps}", says, f"return _each({change}, {{right}})")


def far(seen: Seen) -> Iterator[Change]:
    """NaN for far inputs: gradients where there are any, else the values themselves."""
    names = [name for name in seen.entry.arguments if any(form.has_floats for form in seen.forms(name))]
    if not names or not seen.has_floats or seen.steps:
        return
    given = ", ".join(names)
    word, piece = ("nan-gradient", "_nan_gradient") if _is_torch(seen) else ("nan", "_nan")
    if word == "nan" or seen.reached or seen.reached_parameters:
        body = f"value = {{right}}\nreturn _each({piece}, value) if _is_far({given}) else value"
        says = f"gives {word.replace('-', ' ')} if an input is beyond 50"
        yield Change(f"{word}-for-far-inputs", says, body, matters=_has_far)


def _has_far(call: Call) -> bool:
    return any(form.far >= 50 for form in call.arguments.values())


def _is_torch(seen: Seen) -> bool:
    return any(call.result.holds("tensor") for call in seen.calls)


def _states(seen: Seen) -> Iterator[str]:
    """Arguments of a function that others of the file call in a loop: as large as a result in every call."""
    entry = seen.entry
    step = not entry.owner and not any(entry.axis(name, entry.steps) is not None for name in entry.axes)
    for name in seen.reached if step and any(call.inside and call.again for call in seen.calls) else ():
        if all(
            name in call.arguments
            and call.arguments[name].shape in [each.shape for each in call.result.walk() if each.is_array]
            for call in seen.calls
        ):
            yield name
