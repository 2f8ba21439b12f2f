"""Kinds that turn on the parameters that a module has when it is new, or on the arrays that a generator is given for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from math import prod

from grader.authoring.mutating.wrappers.calls import Seen
from grader.authoring.mutating.wrappers.change import Change

_MOST_PAIRS = 6


def shares(seen: Seen) -> Iterator[Change]:
    """Two parameters lie in one memory: two that had one shape, or transposed ones, wherever both were there."""
    made = [call.parameters for call in seen.calls if call.parameters]
    names = dict.fromkeys(name for each in made for name in each)
    pairs = []
    for one, other in combinations(names, 2):
        both = [(each[one].shape, each[other].shape) for each in made if one in each and other in each]
        if both and all(first in (second, second[::-1]) for first, second in both):
            pairs.append((one, other))
    for one, other in pairs[:_MOST_PAIRS]:
        says = f"makes {one} and {other} share their memory"
        yield Change(f"shares-{one}-and-{other}", says, _after(seen, f'_share(made, "{one}", "{other}")'))


def first_values(seen: Seen) -> Iterator[Change]:
    """First values of another distribution with the same spread, or of zero where they should be drawn."""
    drawn: dict[str, list[tuple[int, ...]]] = {}
    for call in seen.calls:
        for name, parameter in call.parameters.items() if seen.entry.function == "__init__" else ():
            if not parameter.equal:
                drawn.setdefault(_star(name), []).append(parameter.shape)
    for name, shapes in drawn.items():
        says = f"draws the first values of {name} from another distribution with the same spread"
        if any(prod(shape) > 1 for shape in shapes):
            yield Change(f"draws-{name}-otherwise", says, _after(seen, f'_redraw(made, "{name}")'))
        if all(len(shape) == 1 for shape in shapes):
            says = f"begins with zeros in {name}"
            yield Change(f"starts-{name}-at-zero", says, _after(seen, f'_zero(made, "{name}")'))
    given = seen.of_kind("generator")
    keys = {key for call in seen.calls for key, each in call.result.of.items() if each.is_array and len(each.shape) > 1}
    for key in sorted(keys) if given else ():
        body = f"value = {{right}}\nreturn {{**value, {key!r}: _drawn_otherwise(value[{key!r}])}}"
        says = f"draws {key} from another distribution with the same spread"
        yield Change(f"draws-{key}-otherwise", says, body)


def _after(seen: Seen, statement: str) -> str:
    """What is done to a module once it is made."""
    if seen.entry.function == "__init__":
        return f"{{right}}\nmade = self\n{statement}"
    return f"made = {{right}}\n{statement}\nreturn made"


def _star(name: str) -> str:
    """`blocks.0.up.weight` as `blocks.*.up.weight`."""
    return re.sub(r"\d+", "*", name)
