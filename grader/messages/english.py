"""What each code says, in English: the sentence, and the rows under it. Catalogues translate from here.

A row is left out where one of its fields has no value. Fields are worded by `grader.messages.message`: `{index:at}` is a
place in an array, `{shape}` a shape; numbers take Python's format specs.
"""

from __future__ import annotations

from typing import NamedTuple


class Says(NamedTuple):
    """The wording of one code."""

    head: str
    where: str = ""
    got: str = ""
    expected: str = ""


SAYS = {
    # comparisons
    "value.off": Says(
        "{name} is off by {error:.3g} (relative {relative:.2g}, allowed {allowed:.2g}){slip}",
        "index {index:at}, the largest of {wrong} errors in {size} entries",
        "{got}",
        "{expected}",
    ),
    "value.unequal": Says(
        "{name} is not equal to what is expected",
        "index {index:at}, the largest of {wrong} errors in {size} entries",
        "{got}",
        "{expected}",
    ),
    "value.not_finite": Says("{name} is not finite", "index {index:at}", "{got}", "a finite number"),
    "value.kind": Says("{name} is the wrong kind of object{forgotten}", "", "{got}", "{expected}"),
    "value.shape": Says("{name} has the wrong shape{swapped}", "", "{got}", "{expected}"),
    "value.dtype": Says("{name} has the wrong dtype", "", "{got}", "{expected}"),
    "value.parts": Says("{name} must return the tuple ({parts})", "", "{got}", "a tuple of length {count}"),
    "slip.zero": Says(": it is zero everywhere"),
    "slip.factor": Says(": it is {factor:.4g} times what is expected, everywhere"),
    "slip.forgotten": Says(": is a return missing?"),
    "slip.swapped": Says(": the right sizes in the wrong order"),
    # what things are
    "a.tensor": Says("a tensor"),
    "a.array": Says("an array"),
    "a.number": Says("a number"),
    "a.tensor_or_array": Says("a tensor or an array"),
    "a.tensor_array_or_number": Says("a tensor, an array or a number"),
    "a.of_shape": Says("{kind} of shape {shape}"),
    "a.of_dtype": Says("{kind} and dtype {dtype}"),
    "a.bool": Says("True or False"),
    "a.integer": Says("a whole number"),
    "a.float": Says("a float"),
    "a.complex": Says("a complex number"),
    "a.none": Says("None"),
    "a.other_tensor": Says("a tensor of another form than dense on the CPU ({dtype}, {form})"),
    "a.large_integer": Says("a whole number of {bits} bits"),
    "a.array_of": Says("an array of dtype {dtype}"),
    "a.container": Says("a {type} of length {length}"),
    "a.object": Says("an object of type {type}"),
    "a.float_tensor": Says("a float tensor"),
    "a.floats": Says("floats"),
    "a.module": Says("an nn.Module"),
    "a.parameter": Says("a parameter"),
    "a.buffer": Says("a buffer"),
    "a.any_tensor": Says("a tensor"),
    "a.frozen_parameter": Says("a parameter that does not require grad"),
    # training
    "steps.count": Says("{name} has the wrong number of steps", "", "{got}", "{expected}"),
    "steps.departs_at_first": Says(
        "{name} departs at step {step} of {steps}, already at the first (relative error {relative:.2g}, allowed {allowed:.2g})",
        "step {step}",
        "{got}",
        "{expected}",
    ),
    "steps.departs": Says(
        "{name} departs at step {step} of {steps}, and the steps before it agree (relative error {relative:.2g}, allowed {allowed:.2g})",
        "step {step}",
        "{got}",
        "{expected}",
    ),
    "steps.kind": Says("{name} is not a list of numbers", "", "{got}", "a list of numbers"),
    "steps.item": Says("{name} holds something that is not a plain number", "position {index}", "{got}", "a number"),
    "steps.item_tensor": Says(
        "{name} holds something that is not a plain number (a 0-d tensor becomes a number with .item())",
        "position {index}",
        "{got}",
        "a number",
    ),
    "bar.more": Says("{name} reached {got}; more than {bar} is needed", "", "{got}", "more than {bar}"),
    "bar.less": Says("{name} reached {got}; less than {bar} is needed", "", "{got}", "less than {bar}"),
    "bar.kind_more": Says("{name} is not a number", "", "{got}", "more than {bar}"),
    "bar.kind_less": Says("{name} is not a number", "", "{got}", "less than {bar}"),
    # behaviour
    "arguments.changed": Says(
        "an argument was changed in place: {changed}", "", "", "arguments as they were before the call"
    ),
    "raises.text": Says(
        "{function} raised {exception}, but its text does not say what is wrong",
        "",
        "{got}",
        "a text that matches {match!r}",
    ),
    "raises.nothing": Says("{function} did not raise {exception}", "", "it returned {got}", "{exception}"),
    "the.call": Says("the call"),
    "no.text": Says("no text"),
    "and": Says(", "),  # between the parts of a list
    "lines": Says("{lines:lines}"),
    # what a suite leaves unnamed, and what it may call so itself
    "gradient": Says("gradient"),
    "loss": Says("loss"),
    # gradients
    "gradient.wrong": Says(
        "{name} of {key} is wrong{slip} (relative error {relative:.2g}, allowed {allowed:.2g}){note}",
        "{where}",
        "{got}",
        "{expected}",
    ),
    "gradient.direction": Says("along a random direction of {key}"),
    "gradient.entry": Says("index {index:at} of {key}"),
    "gradient.also": Says("{place}; also wrong: {keys}"),
    "gradient.narrow": Says("; the result is {dtype} though the inputs are float64, which loses digits"),
    "gradient.unsteady": Says("{name} cannot be checked: two calls with the same arguments give different results"),
    "gradient.nothing": Says("{name} is zero everywhere: the result does not depend on {keys}"),
    "gradient.unreached": Says(
        "no gradient reaches {keys} from {source}: is something detached?", "", "none", "a gradient"
    ),
    "gradient.missing": Says("{name} of {key} is missing", "", "", "{keys}"),
    "gradient.of": Says("{name} of {key}"),
    "gradient.empty": Says("the result is empty", "", "", "a float tensor"),
    "gradient.kind": Says("{name} cannot be differentiated", "", "{got}", "{expected}"),
    "gradient.shapes": Says("the shape of the result changed", "", "{got}", "{expected}"),
    "gradient.parameter": Says("parameter {key}"),
    "gradient.untrainable": Says("parameter {key} cannot be trained: is it an nn.Parameter?", "{key}"),
    "gradient.dicts": Says("a dict of {count} arrays"),
    "the.result": Says("the result"),
    "the.output": Says("output {index}"),
    # modules
    "state.kind": Says("{name} must be an nn.Module", "", "{got}", "an nn.Module"),
    "state.tensor": Says("{key} of {name}"),
    "state.extra": Says(
        "{name} has a parameter that the statement does not name: {key}",
        "",
        "beside them {extra}",
        "the {count} named parameters and no others",
    ),
    "state.untied": Says(
        "{key} and {other} of {name} are two parameters",
        "",
        "two, each of which an optimiser moves by itself",
        "one parameter under both names",
    ),
    "state.form": Says("{key} of {name} is no dense tensor", "", "", "{expected}"),
    "state.frozen": Says("{key} of {name} cannot be trained", "", "{got}", "a parameter"),
    "state.trained": Says("{key} of {name} would be trained", "", "a parameter", "a buffer"),
    "state.missing": Says("{name} has no {key}", "", "{found}", "{key}, {expected}"),
    "state.none": Says("neither parameters nor buffers"),
    "state.shared": Says(
        "{key} and {other} of {name} share memory",
        "",
        "what is written into {other} appears in {key}",
        "a tensor of its own under each name",
    ),
    "state.stiff": Says("{key} of {name} cannot be written to: {reason}"),
    "mode.training": Says("a call puts {name} into training mode", "", "training mode", "evaluation mode, as it was"),
    "mode.evaluation": Says(
        "a call puts {name} into evaluation mode", "", "evaluation mode", "training mode, as it was"
    ),
    # first values
    "drawn.again": Says("two new models have the same {key}", "", "", "{key} drawn anew for each"),
    "drawn.constant": Says(
        "{key} of {name} does not start as the statement says", "index {index:at}", "{got}", "{law}"
    ),
    "drawn.not_finite": Says("{key} of {name} is not finite", "", "", "{law}"),
    "drawn.otherwise": Says(
        "{key} of {name} is not drawn as the statement says: {count} values from {least:.3g} to {most:.3g}, mean {mean:.3g}, "
        "standard deviation {std:.3g}",
        "",
        "{share:.0f} % of them below {value:.3g}, where {should:.0f} % should be",
        "{law}",
    ),
    "drawn.repeats": Says(
        "{key} of {name} repeats its values: of {count}, {again} were there before",
        "",
        "",
        "a draw of its own for each entry",
    ),
    "drawn.alike": Says(
        "{key} and {other} of {name} start with the same values", "", "", "draws of their own for each"
    ),
    "law.uniform": Says("uniform between {low} and {high}"),
    "law.normal": Says("normal with standard deviation {std}"),
    "law.constant": Says("{value} everywhere"),
    # how a test ended
    "missing": Says("{file} defines no {name}: the suite asks for just this name"),
    "raised": Says("your code raised {error}"),
    "raised.out_of_memory": Says("out of memory: {error}"),
    "raised.exit": Says("your code ends the process ({error})"),
    "forbidden.used": Says("your code uses {what}, which this kata is written without"),
    "forbidden.import": Says("this kata is written without {what}"),
    "to_do": Says("{text}"),
    "import.exit": Says("{file} exited while it was being imported"),
    "import.syntax": Says("{file} is not Python yet: {error}"),
    "import.raised": Says("{file} does not import: {error}"),
    "import.gone": Says("{file} was being imported: {how}"),
    "test.cannot_go_on": Says("the test cannot go on with what your code returned: {error}"),
    "test.cannot_use": Says("the test cannot use what your code returned: {error}"),
    "test.claim": Says("{claim}"),
    "test.claim_of_none": Says("{claim}: {function} returned None, is a return missing?"),
    "test.does_not_hold": Says("this does not hold"),
    "test.none": Says("{function} returned None: is a return missing?"),
    "suite.fault": Says("the suite is at fault: {error}"),
    "suite.no_worker": Says("it ended without a worker"),
    "overdue.running": Says("still running {limit}"),
    "overdue.at": Says("still in {file}:{line} ({function}) {limit}"),
    "overdue.wall": Says("after {seconds} s on the wall clock"),
    "overdue.processor": Says("after {seconds} s of processor time"),
    "overdue.kata": Says(
        "when the kata's time was up: after a test that runs out of time all others share {seconds} s"
    ),
    "overdue.spent": Says("your code used up its processor time"),
    "not_run.closed": Says("not begun {limit}"),
    "not_run.stopped": Says("because the run was stopped"),
    "not_run.first": Says("because the kata was left at its first test that does not pass"),
    "not_run.unchosen": Says("because it was not chosen"),
    "gone.protocol": Says("your process broke the protocol: {why}"),
    "gone.hung_up": Says("your code closed the line to the judge and ran on"),
    "gone.signal": Says("your code crashed the process ({signal})"),
    "gone.exit": Says("your code ended the process (exit {code})"),
    "gone.memory": Says("out of memory: your code held more than this kata allows"),
    "gone.generator": Says("your code set the random generator that it was given: draw from it"),
    # how a kata ended
    "kata.to_do": Says("{count} of {tests} tests still to do"),
    "kata.chosen": Says("{count} of {tests} tests were chosen: the kata as a whole is not judged by them"),
    "kata.absent": Says("left out of your file, since nothing in it uses them and they are not installed: {packages}"),
    "kata.changed": Says("changed since you passed on {date}"),
    "kata.count": Says("the suite ran {ran} tests, its manifest says {tests}"),
    "kata.kinds": Says("suite and manifest disagree about tests of kind {kinds}"),
}
