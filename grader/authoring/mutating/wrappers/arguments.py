"""Kinds that turn on the arguments: how they are handed over, and that they stay as they were."""

from __future__ import annotations

from collections.abc import Iterator

from grader.authoring.mutating.wrappers.calls import Call, Form, Seen
from grader.authoring.mutating.wrappers.change import Change


def changes(seen: Seen) -> Iterator[Change]:
    """Arguments are not as they were: arrays, containers at any depth, modules."""
    guard = "if _asked(globals()):\n    " if seen.asked else ""
    for name in seen.entry.arguments:
        forms = seen.forms(name)

        def after(words: str, says: str, statement: str, name: str = name) -> Change:
            body = f"value = {{right}}\n{guard}{statement}\nreturn value"
            return Change(words.format(name), says.format(name), body)

        if any(form.is_array for form in forms):
            yield after("changes-{}", "changes {} in place", f"_spoil({name})")
        if any(form.is_array for form in _inside(seen, name)):
            yield after("changes-inside-{}", "changes arrays that {} holds", f"_spoil({name})")
        if any(form.kind == "list" for form in forms):
            yield after("pops-{}", "takes the last entry off {}", f"del ({name} or [])[-1:]")
        if any(form.kind in ("list", "dict") and form.of for form in forms):
            keys = f"{name} if isinstance({name}, dict) else range(len({name} or ()))"
            statement = f"for key in list({keys})[:1]: {name}[key] = _off({name}[key])"
            yield after("replaces-in-{}", "puts something else in the place of the first entry of {}", statement)
        if any(form.kind == "dict" for form in forms):
            statement = f"({name} or {{}}).update({{'one more': next(iter(({name} or {{}}).values()), None)}})"
            yield after("grows-{}", "adds an entry to {}", statement)
    for name in seen.with_modules:
        if name not in seen.trained:
            body = f"value = {{right}}\n{guard}_nudge({name})\nreturn value"
            yield Change(f"changes-weights-of-{name}", f"changes the weights of {name}", body)
        body = f"value = {{right}}\n{guard}_flip({name})\nreturn value"
        yield Change(f"flips-mode-of-{name}", f"leaves {name} in its other mode", body)


def contiguous(seen: Seen) -> Iterator[Change]:
    """As by `.view`: a transposed or sliced argument is refused."""
    guard = "_asked(globals()) and " if seen.asked else ""
    for name in seen.arrays:
        if any(len(form.shape) > 1 for form in seen.forms(name)):
            body = (
                f"if {guard}not _is_straight({name}):\n"
                f"    raise RuntimeError('view size is not compatible with the size and stride of {name}')\n"
                "return {right}"
            )

            def bent(call: Call, name: str = name) -> bool:
                return not (seen.asked and call.inside) and name in call.arguments and not call.arguments[name].straight

            yield Change(f"needs-contiguous-{name}", f"refuses {name} where it is not contiguous", body, matters=bent)


def modes(seen: Seen) -> Iterator[Change]:
    """Something else in eval mode, or in training mode."""
    if seen.with_modules and seen.gives:
        for words, test in (("eval", "not any"), ("training", "any")):

            def bent(call: Call, training: bool = words == "training") -> bool:
                given = [
                    each for name in seen.with_modules if name in call.arguments for each in call.arguments[name].walk()
                ]
                return training == any(each.training for each in given)

            modules = ", ".join(seen.with_modules)
            body = (
                f"bent = {test}(each.training for each in _modules({modules}))\n"
                "value = {right}\n"
                "return _off(value) if bent else value"
            )
            yield Change(f"differs-in-{words}-mode", f"is off in {words} mode", body, matters=bent)


def sizes(seen: Seen) -> Iterator[Change]:
    """Too many rows or steps are refused; where there is no model, 5,000 cost no more than can be asked for."""
    if seen.entry.function == "__init__":
        return
    thresholds = (64, 1100) if seen.with_modules or seen.steps else (64, 1100, 5000)
    counts = [(name, name, name, 0) for name in seen.counting if not seen.arrays and name in seen.of_kind("int")]
    for letter, argument, size, axis in [*lengths(seen), *counts]:
        for most in thresholds:

            def bent(call: Call, argument: str = argument, axis: int = axis, most: int = most) -> bool:
                return argument in call.arguments and call.arguments[argument].along(axis) > most

            body = f"if {seen.given(argument)}{size} > {most}:\n    raise ValueError('{letter} is above {most}')\n"
            says = f"refuses {letter} beyond {most}"
            yield Change(f"refuses-{letter}-beyond-{most}", says, body + "return {right}", matters=bent)


def names(seen: Seen) -> Iterator[Change]:
    """Integers are taken for small numbers, where they are names: a table of them is too short."""
    if seen.with_modules:
        return
    for name in seen.arrays:
        if all("int" in form.dtype for form in seen.forms(name) if form.is_array):
            body = (
                f"if {seen.given(name)}(abs({name}) > 1100).any():\n"
                f"    raise IndexError('{name} beyond 1100')\nreturn {{right}}"
            )
            yield Change(f"refuses-{name}-beyond-1100", f"refuses numbers beyond 1100 in {name}", body)


def lengths(seen: Seen) -> Iterator[tuple[str, str, str, int]]:
    """The rows and the steps of an entry point: a letter, an argument that has it, the expression of its size, the axis."""
    entry = seen.entry
    given = [name for name in entry.arguments if name in seen.arrays and any(form.shape for form in seen.forms(name))]
    told: set[str] = set()
    if given:
        axes = entry.axes.get(given[0], ())
        letter = axes[0] if axes and axes[0].isalnum() and not axes[0].isdigit() else "rows"
        told.add(letter)
        yield letter, given[0], f"{given[0]}.shape[0]", 0
    for name in given:
        axis = entry.axis(name, entry.steps - told)
        if axis is not None:
            letter = entry.axes[name][axis]
            told.add(letter)
            yield letter, name, f"{name}.shape[{axis}]", axis
    for name in seen.of_kind("list"):
        if not given:
            yield name, name, f"len({name})", 0


def _inside(seen: Seen, name: str) -> Iterator[Form]:
    for form in seen.forms(name):
        for each in form.of.values() if form.kind in ("dict", "list", "tuple") else ():
            yield from each.walk()
