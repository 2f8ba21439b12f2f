"""Kinds that turn on how long a training lasts: right for some steps, then another rate, other weights, or no step at all."""

from __future__ import annotations

from collections.abc import Iterator

from grader.authoring.mutating.wrappers.calls import Call, Seen
from grader.authoring.mutating.wrappers.change import Change

_LATER = (
    ("rate-drifts", "_slower", "lowers the rate"),
    ("weights-decay", "_decayed", "shrinks the weights"),
    ("optimiser-made-anew", "_made_anew", "makes its optimiser anew"),
)


def later_steps(seen: Seen) -> Iterator[Change]:
    """After some steps of its optimiser, or calls with a rate, it goes on otherwise."""
    for steps in (3, 10):
        for words, piece, says in _LATER if seen.steps else ():
            body = f"with _at_steps({piece}, {steps}):\n    return {{right}}"

            def later(call: Call, steps: int = steps) -> bool:
                return seen.steps == 1 or call.steps > steps

            yield Change(f"{words}-after-{steps}", f"{says} after {steps} steps", body, matters=later)
        for name in seen.of_kind("float") if not seen.steps else ():
            if "rate" in name and seen.entry.function != "__init__":
                body = f"_calls.append(1)\nif len(_calls) > {steps}:\n    {name} = {name} * 0.99\nreturn {{right}}"
                yield Change(f"{name}-drifts-after-{steps}", f"lowers {name} after {steps} calls", body, "_calls = []")


def stops(seen: Seen) -> Iterator[Change]:
    """Fewer steps than were asked for, and a result that does not show it."""
    for words, says, keep in (
        (
            (
                "stops-one-early",
                "leaves out the last step, and repeats the result of the one before",
                "max(1, count - 1)",
            ),
            ("stops-after-10", "stops after 10 steps, and repeats the last result", "min(count, 10)"),
        )
        if seen.counting
        else ()
    ):
        first = seen.counting[0]
        form = next(iter(seen.forms(first)))
        count = first if form.kind == "int" else f"len({first})"
        shorter = "".join(f"{name} = _shorter({name}, keep)\n" for name in seen.counting)
        body = f"count = {count}\nkeep = {keep}\n{shorter}return _padded({{right}}, keep, count)"
        least = 10 if words.endswith("10") else 1

        def longer(call: Call, first: str = first, least: int = least) -> bool:
            return (call.arguments[first].size or 0) > least if first in call.arguments else False

        yield Change(words, says, body, matters=longer)
