"""The kinds of wrappers, one entry each: what makes them, and what a suite lacks that lets one live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from grader.authoring.mutating.wrappers import arguments, gradients, parameters, training, values
from grader.authoring.mutating.wrappers.calls import Seen
from grader.authoring.mutating.wrappers.change import Change


@dataclass(frozen=True)
class Kind:
    """A kind: all changes of one entry point that it makes, and the word to an author for those that live."""

    name: str
    changes: Callable[[Seen], Iterator[Change]]
    hint: str


KINDS = (
    Kind("changed argument", arguments.changes, "no test looks whether the argument is as it was after the call"),
    Kind("contiguous", arguments.contiguous, "no test hands over a transposed, sliced or flipped one"),
    Kind("modes", arguments.modes, "no test compares its results in both modes"),
    Kind("sizes", arguments.sizes, "no test has as many of them"),
    Kind("names", arguments.names, "no test has labels or ids as large: names may be any integers"),
    Kind("clamped", values.clamps, "no test asks for a number that far from 0"),
    Kind("float32", values.single, "no test compares float64 results closely enough"),
    Kind("first answer", values.first_answer, "no test calls it twice with other numbers of the same shapes"),
    Kind("later calls", values.later_calls, "no test compares results of as many calls"),
    Kind("repeated rows", values.repeated_rows, "no test has the same row twice"),
    Kind("boundaries", values.boundaries, "no test goes to that boundary"),
    Kind("cut gradient", gradients.cuts, "no test compares that gradient"),
    Kind("cut in time", gradients.cuts_beyond, "no test compares gradients over as many steps"),
    Kind("far inputs", gradients.far, "no test asks for gradients, or values, at inputs beyond 50"),
    Kind("later steps", training.later_steps, "no test compares the losses, or weights, of as many steps"),
    Kind("stopped", training.stops, "no test compares the last of as many steps"),
    Kind("shared memory", parameters.shares, "no test sets, or trains, both parameters and compares"),
    Kind("first values", parameters.first_values, "no test looks at the distribution of these first values"),
)
