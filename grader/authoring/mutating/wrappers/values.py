"""Kinds that turn on the numbers: far ones, those of an earlier call, those at a boundary."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from grader.authoring.mutating.wrappers.arguments import lengths
from grader.authoring.mutating.wrappers.calls import Call, Seen
from grader.authoring.mutating.wrappers.change import Change

_BEND = "value = {right}\nreturn _off(value) if bent else value"
_ONCE = 2  # optimiser steps from which on a call is a whole training


def clamps(seen: Seen) -> Iterator[Change]:
    """Numbers end at a bound."""
    if seen.has_floats:
        for bound in (5, 30):

            def bent(call: Call, bound: int = bound) -> bool:
                return call.result.far >= bound

            body = f"return _each(lambda each: _clipped(each, {bound}), {{right}})"
            yield Change(f"clamps-at-{bound}", f"gives no number beyond {bound}", body, matters=bent)


def single(seen: Seen) -> Iterator[Change]:
    """float32 somewhere inside; a training, whose weights are elsewhere, is left alone."""
    if seen.has_floats and not seen.steps:
        names = [name for name in seen.entry.arguments if any(form.has_floats for form in seen.forms(name))]
        rounds = "".join(f"{name} = _each(_single, {name})\n" for name in names)
        yield Change("in-float32", "works in float32 inside", rounds + "return _each(_single, {right})")


def first_answer(seen: Seen) -> Iterator[Change]:
    """What was answered once is answered again, where numbers come that do not tell one call from another."""
    numbers = any(form.holds("tensor", "array", "float") for name in seen.entry.arguments for form in seen.forms(name))
    if seen.gives and numbers:
        key = ", ".join(seen.entry.names)
        body = (
            f"key, value = _shapes(({key},)), {{right}}\n"
            "return _earlier(value, _known.setdefault(key, _each(_cut, value)))"
        )
        yield Change(
            "first-answer-for-equal-shapes", "looks at shapes alone, once it has answered", body, "_known = {}"
        )


def later_calls(seen: Seen) -> Iterator[Change]:
    """Right at first, then slightly off."""
    if seen.gives and seen.entry.arguments and seen.steps < _ONCE:
        body = f"_calls.append(1)\nbent = len(_calls) > 10\n{_BEND}"
        yield Change("off-after-10-calls", "is slightly off after 10 calls", body, "_calls = []")


def repeated_rows(seen: Seen) -> Iterator[Change]:
    """Equal rows count once: in a number that is made of all rows, and in the batches of a training."""
    rows = _rows(seen)
    if rows and seen.steps < _ONCE and any(_is_number(call.result.kind, call.result.shape) for call in seen.calls):
        first = ", ".join(rows)
        body = (
            f"kept = _first_of_each({first})\nif len(kept) < len({rows[0]}):\n"
            f"    {first} = {', '.join(f'{name}[kept]' for name in rows)}\nreturn {{right}}"
        )
        yield Change("repeated-rows-once", "counts rows that are equal in all arguments once", body)
    for name in seen.counting if seen.steps else ():
        if all("int" in form.dtype and len(form.shape) == 2 for form in seen.forms(name)):
            body = (
                f"once = [_once(rows) for rows in {name}]\n"
                f"if any(len(rows) < {name}.shape[1] for rows in once):\n    {name} = once\nreturn {{right}}"
            )
            yield Change(f"repeated-rows-once-in-{name}", f"takes a number that {name} repeats once", body)


def boundaries(seen: Seen) -> Iterator[Change]:
    """Each argument at its end: the least number that may come, one row, one step, a mask of all ones, k = V."""
    if not seen.gives:
        return
    entry, ends = seen.entry, list[tuple[str, str, str, Callable[[Call], bool]]]()
    for name in seen.of_kind("int"):
        if name == "seed":
            continue
        values = {form.value for form in seen.forms(name) if form.kind == "int"}
        least = entry.least.get(name, 0 if 0 in values else 1)
        ends.append((f"{name}-at-{least}", f"{name} is {least}", f"{name} == {least}", _is(name, least)))
        first = next((each for each in seen.arrays if any(form.shape for form in seen.forms(each))), None)
        if first and not seen.steps:
            test = f"{seen.given(name)}{name} in ({first}.shape[0], {first}.shape[-1])"
            ends.append((f"{name}-at-a-size", f"{name} is as long as an axis of {first}", test, _any))
            test = f"{seen.given(name)}{name} > {first}.shape[-1]"
            ends.append((f"{name}-beyond-a-size", f"{name} is above the last axis of {first}", test, _any))
    for name in seen.of_kind("float"):
        if name not in entry.positive:
            ends.append((f"{name}-at-0", f"{name} is 0", f"{name} == 0", _is(name, 0)))
    for letter, name, size, axis in lengths(seen):
        least = entry.least.get(letter, 1)

        def shortest(call: Call, name: str = name, axis: int = axis, least: int = least) -> bool:
            return name in call.arguments and call.arguments[name].along(axis) == least

        test = f"{seen.given(name)}{size} == {least}"
        ends.append((f"{letter}-at-{least}", f"{letter} is {least}", test, shortest))
    for name in seen.arrays:
        if all(form.dtype == "bool" for form in seen.forms(name) if form.is_array):
            ends.append((f"all-of-{name}", f"{name} is True everywhere", f"{seen.given(name)}bool({name}.all())", _any))
    for name in seen.of_kind("list", "str"):
        ends.append((f"one-of-{name}", f"{name} has one entry", f"{seen.given(name)}len({name}) == 1", _any))
    for name in seen.of_kind("list"):
        if any(each.kind == "float" for form in seen.forms(name) for each in form.of.values()):
            ends.append((f"0-in-{name}", f"{name} holds 0", f"0.0 in {name}", _any))
    told: set[str] = set()
    for words, when, test, bent in ends:
        if words not in told:
            told.add(words)
            yield Change(f"bends-{words}", f"is off where {when}", f"bent = {test}\n{_BEND}", matters=bent)


def _any(call: Call) -> bool:
    return True


def _is(name: str, value: int) -> Callable[[Call], bool]:
    """Whether the argument has the value: it may, where it was left out."""
    return lambda call: name not in call.arguments or call.arguments[name].value == value


def _rows(seen: Seen) -> list[str]:
    """The arrays that have as many rows as the first one, in every call; if the suite makes any, in every one of its own."""
    arrays = [name for name in seen.arrays if all(form.is_array and form.shape for form in seen.forms(name))]
    asked = [call for call in seen.calls if not (call.inside and seen.asked)]
    calls = [call for call in asked if arrays and arrays[0] in call.arguments]
    return [
        name
        for name in arrays
        if all(name in call.arguments for call in calls)
        and all(call.arguments[name].shape[0] == call.arguments[arrays[0]].shape[0] for call in calls)
    ]


def _is_number(kind: str, shape: tuple[int, ...]) -> bool:
    return kind == "float" or (kind in ("tensor", "array") and shape == ())
