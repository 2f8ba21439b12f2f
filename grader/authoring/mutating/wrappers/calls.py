"""What a suite was seen to do with an entry point: the calls of it, in which tests, with what, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from grader.authoring.mutating.wrappers.entries import Entry
from grader.authoring.proving.outcome import Outcome, Ran

_WORD = "call"  # as in `watch`, which is no module here: it imports what a judge has


class Form(msgspec.Struct, frozen=True):
    """What one value was, without its numbers. `of`: the first of what it holds.

    far: the largest of the bounds 5, 30 and 50 that a float in it is beyond; straight: whether an array is contiguous.
    """

    kind: str = msgspec.field(name="is")
    value: Any = None  # of a number
    dtype: str = ""
    shape: tuple[int, ...] = ()
    length: int = 0
    training: bool | None = None
    straight: bool = True
    far: int = 0
    of: dict[str, Form] = {}

    @property
    def is_array(self) -> bool:
        return self.kind in ("tensor", "array")

    @property
    def size(self) -> int | None:
        """How many entries a list or an array has, or the number that an integer is."""
        if self.is_array and self.shape:
            return self.shape[0]
        return self.length if self.kind == "list" else self.value if self.kind == "int" else None

    def along(self, axis: int) -> int:
        """How long an array, or a list, is along an axis; -1 where it has none such. An integer is as long as it says."""
        sizes = self.shape if self.is_array else (self.value if self.kind == "int" else self.length,)
        return sizes[axis] if axis < len(sizes) else -1

    def walk(self) -> Iterator[Form]:
        """The value itself, and everything that it holds."""
        yield self
        for each in self.of.values():
            yield from each.walk()

    def holds(self, *kinds: str) -> bool:
        return any(each.kind in kinds for each in self.walk())

    @property
    def has_floats(self) -> bool:
        return any(each.kind == "float" or (each.is_array and "float" in each.dtype) for each in self.walk())


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a module that was made; equal: whether all its entries are."""

    shape: tuple[int, ...]
    equal: bool


class Call(msgspec.Struct, frozen=True):
    """One call. `reached`: to what gradients flowed; `changed`: the arguments whose modules were trained."""

    entry: str
    arguments: dict[str, Form]
    result: Form
    inside: bool  # from another function of the file
    steps: int  # of optimisers, while it lasted
    changed: tuple[str, ...]
    reached: tuple[str, ...]
    parameters: dict[str, Parameter]
    again: bool  # by the same run of the function that calls it, as in a loop
    last: bool  # of those that are noted in its test: more may have come


@dataclass(frozen=True)
class Seen:
    """One entry point, and the calls of it."""

    entry: Entry
    notes: tuple[tuple[str, Call], ...]  # with the test that made the call

    @cached_property
    def calls(self) -> list[Call]:
        return [call for _, call in self.notes]

    def tests(self, matters: Callable[[Call], bool] = lambda call: True) -> frozenset[str]:
        """Those in which a call matters, or calls came that were not noted."""
        return frozenset(test for test, call in self.notes if call.last or matters(call))

    def forms(self, argument: str) -> list[Form]:
        return [call.arguments[argument] for call in self.calls if argument in call.arguments]

    def given(self, argument: str) -> str:
        """What a test of the argument begins with: nothing, unless it may be None."""
        none = argument in self.entry.optional or any(form.kind == "NoneType" for form in self.forms(argument))
        return f"{argument} is not None and " * none

    def of_kind(self, *kinds: str) -> list[str]:
        """The arguments that came as one of these at least once."""
        return [name for name in self.entry.arguments if any(form.kind in kinds for form in self.forms(name))]

    @cached_property
    def arrays(self) -> list[str]:
        return self.of_kind("tensor", "array")

    @cached_property
    def with_modules(self) -> list[str]:
        """The arguments, `self` too, that are modules or objects which hold some."""
        return [name for name in self.entry.names if any(form.holds("module") for form in self.forms(name))]

    @cached_property
    def trained(self) -> frozenset[str]:
        return frozenset(name for call in self.calls for name in call.changed)

    @cached_property
    def reached(self) -> list[str]:
        """The arguments that gradients reach."""
        found = {name for call in self.calls for name in call.reached}
        return [name for name in self.entry.arguments if name in found]

    @cached_property
    def reached_parameters(self) -> list[str]:
        """Those of `self` that gradients reach, and that belong to no other class of the file."""
        found = {name.removeprefix("self.") for call in self.calls for name in call.reached if name.startswith("self.")}
        return sorted(found)

    @cached_property
    def counting(self) -> list[str]:
        """The arguments that say how many steps there are: as many as the result has entries, in every call."""
        calls = [call for call in self.calls if call.result.kind in ("list", "tuple", "tensor", "array")]
        found = [
            name
            for name in self.entry.arguments
            if calls
            and all(name in call.arguments for call in calls)
            and all(call.arguments[name].size in _sizes(call.result) for call in calls)
        ]
        whole = self.steps > 1 or any(form.kind == "int" for name in found for form in self.forms(name))
        return found if whole and len({form.size for name in found for form in self.forms(name)}) > 1 else []

    @property
    def asked(self) -> bool:
        """Whether the suite itself calls it, and not only other functions of the file."""
        return any(not call.inside for call in self.calls)

    @property
    def steps(self) -> int:
        return max((call.steps for call in self.calls), default=0)

    @property
    def has_floats(self) -> bool:
        """Whether a result holds a float."""
        return any(call.result.has_floats for call in self.calls)

    @property
    def gives(self) -> bool:
        """Whether a result is anything that can be bent."""
        return any(call.result.kind not in ("NoneType", "object", "generator") for call in self.calls)


def watching(reference: str, entries: list[Entry]) -> str:
    """The reference, with what notes the calls of its entry points behind it."""
    text = Path(__file__).with_name("watch.py").read_text(encoding="utf-8")
    puts = "\n".join(f"_watch.put({each.owner!r}, {each.function!r}, {each.names!r})" for each in entries)
    return f"{reference.rstrip()}\n\n\n{text}\n\n_watch = _Watch(globals())\n{puts}\n"


def seen(outcome: Outcome, entries: list[Entry]) -> list[Seen]:
    """What a run of the suite on that file showed of each entry point; no calls where no test reaches it."""
    noted = [(ran.name, call) for ran in outcome.tests for call in _calls(ran)]
    found = []
    for entry in entries:
        found.append(Seen(entry, tuple((test, call) for test, call in noted if call.entry == entry.name)))
    return found


def _sizes(result: Form) -> set[int]:
    """How many entries a result has, or each part of a tuple."""
    parts = [*result.of.values()] if result.kind == "tuple" else [result]
    return {part.size for part in parts if part.kind != "int" and part.size is not None}


def _calls(ran: Ran) -> Iterator[Call]:
    """What was noted in one test: each note in pieces `3.600 <text>`, of the third note that from character 600 on."""
    texts: dict[str, str] = {}
    for each in ran.comparisons:
        if each.check == _WORD:
            place, _, piece = each.name.partition(" ")
            number = place.partition(".")[0]
            texts[number] = texts.get(number, "") + piece
    return (msgspec.json.decode(text, type=Call) for text in texts.values())
