"""The bridge: a learner's module, living in a worker, as plain Python objects in the judge.

Every call travels by value. Tensors that require grad, and the parameters of every module that the judge knows of,
take part in autograd on both sides. What comes back is checked before it is used; whatever does not fit is the
worker's crash.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from grader.judge.clock import NEVER, Clock, Closing
from grader.judge.generators import moved_on
from grader.judge.gone import LearnerError, WorkerGone, learner_error
from grader.judge.hooks import Hooks
from grader.judge.proxies import Remote, remote_object
from grader.judge.trace import MOST_BYTES
from grader.judge.workers import Worker
from grader.limits import MAX_OBJECTS, MAX_RAW_BYTES
from grader.messages import message
from grader.modulestate import Twin
from grader.scorecard import Verdict
from grader.wire import BadFrame, Decoder, Encoder, Shadows, Unsendable, decode, type_name
from grader.wire.message import ROOT, Kind


class Bridge:
    """One test's conversation with one worker."""

    def __init__(
        self,
        worker: Worker,
        filename: str,
        seconds: float,
        closing: Closing = NEVER,
        kata: str = "",
        lines: Sequence[bytes] = (),
    ) -> None:
        self.filename = filename
        self.kata = kata
        self.nothing = ""  # what the last call was of, where it returned None
        self.mutated: list[str] = []
        self.absent: list[str] = []  # packages that the file was run without, since nothing in it uses them
        self.forbidden: list[str] = []
        self.todo: tuple[str, int | None] | None = None
        self.gone: WorkerGone | None = None
        self.counting = False  # whether calls are to say how many operations they spend, as torch counts them
        self.operations = 0  # those of the last such call
        self.hooks = Hooks()
        self.line: int | None = None  # where the learner's code last raised
        self.freed: list[int] = []
        self.transcript = hashlib.sha256()
        self.returned: list[Any] = []  # by its calls, for a trace
        self.called: set[str] = set()  # functions of the learner's file, and classes of its objects
        self._kept = 0  # bytes of these
        self._lines = lines  # of the learner's file
        self._worker = worker
        self._seconds = seconds
        self._closing = closing
        self.clock = Clock(math.inf)
        self._calls = 0
        self._answered = True  # whether the last call's answer has been taken in
        self._objects: dict[int, Any] = {}
        self._shadows = Shadows()
        self._twins: dict[int, Twin] = {}
        self._held = 0  # bytes of the modules that were described

    def start_clock(self) -> None:
        """From here on the test's seconds count: for the import of the file and for all calls together."""
        self.clock = Clock.of_test(self._seconds, self._worker.spent(), self._closing)

    def load(self, spec: dict[str, Any]) -> dict[str, bool]:
        """Import the learner's file; returns its names, and whether each can be called."""
        self._worker.ready()
        self.start_clock()
        told = self._ask(Kind.LOAD, (spec,))[0]
        if type(told) is not tuple or [*map(type, told)] != [dict, list]:
            self._broken("a module without names")
        names: dict[str, bool] = told[0]
        self.absent = [str(name)[:200] for name in told[1][:20]]
        return names

    def call(self, target: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call `name` of the object behind `target`, or the object itself, in the worker."""
        self.called.add(name if target == ROOT else type(self._objects.get(target)).__name__)
        torch = sys.modules.get("torch")
        grad = torch is not None and torch.is_grad_enabled()
        twins = list(self._twins.values())
        freed, self.freed = self.freed, []
        watched = self.hooks.watched(target, name)
        asked = (target, name, args, kwargs, self._changes(), freed, grad, self.counting, watched)
        answer, decoder, sent = self._converse(Kind.CALL, asked)
        value, number, heard = answer[0], answer[3], None
        if watched:
            if type(value) is not tuple or len(value) != 2:
                self._broken("a call without what was heard in it")
            value, heard = value
        if self.counting:
            if type(value) is not tuple or len(value) != 2 or type(value[1]) is not int or value[1] < 0:
                self._broken("a counted call without a count")
            value, self.operations = value
        outputs = decoder.differentiable
        if grad and outputs and number:
            inputs = sent.differentiable + [tensor for twin in twins for tensor in twin.differentiable()]
            if not inputs:
                self._broken("a graph without inputs")
            from grader.judge.autograd import attach

            attach(self, number, outputs, inputs)
        self._advance(sent.generators, answer[4])
        self._keep(value, decoder)
        self.nothing = "" if value is not None else name or type(self._objects.get(target)).__name__
        if watched:
            try:
                self.hooks.tell(watched, heard)
            except BadFrame as error:
                self._broken(str(error))
        return value

    def _keep(self, value: Any, decoder: Decoder) -> None:
        self._kept += decoder.size
        if self._kept <= MOST_BYTES:
            self.returned.append(value)

    def line_of(self, number: int | None) -> str:
        """A line of the learner's file; "" where there is none of this number."""
        found = self._lines[number - 1] if number and 0 < number <= len(self._lines) else b""
        return found.decode("utf-8", "replace")

    def get(self, target: int, name: str) -> Any:
        """The attribute `name` of the object behind `target`."""
        return self._ask(Kind.GET, (target, name, self._changes()))[0]

    def set(self, target: int, name: str, value: Any) -> None:
        """Set an attribute of the object behind `target`."""
        self._ask(Kind.SET, (target, name, value, self._changes()))

    def backward(self, number: int, upstream: list[Any], inputs: list[tuple[Any, Any]]) -> list[Any]:
        """The vector-Jacobian products of a graph: one per input, of its shape and dtype, or None."""
        import torch

        freed, self.freed = self.freed, []
        products = self._ask(Kind.BACKWARD, (number, upstream, freed))[0]
        if type(products) is not list or len(products) != len(inputs):
            self._broken("not one gradient for each input")
        for product, (shape, dtype) in zip(products, inputs, strict=True):
            if product is None:
                continue
            if type(product) is not torch.Tensor or product.shape != shape or product.dtype != dtype:
                self._broken("a gradient of another shape or dtype than its input")
        return products

    # One exchange

    def _ask(self, kind: Kind, asked: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._converse(kind, asked)[0]

    def _converse(self, kind: Kind, asked: tuple[Any, ...]) -> tuple[tuple[Any, ...], Decoder, Encoder]:
        if self.gone is not None:
            raise self.gone
        if not self._answered:  # a proxy stands where the answer should have a value, and would ask the worker for it
            raise BadFrame("an object where a plain value belongs")
        self._calls += 1
        encoder = Encoder(self._export, self._shadows.number)
        try:
            encoder.value(asked)
            buffers = encoder.frame(kind, self._calls)
        except Unsendable as error:
            raise TypeError(f"the suite passes {error} to the learner's code") from None
        try:
            frame = self._worker.exchange(buffers, self.clock, self.filename)
        except WorkerGone as gone:
            self.gone = gone
            raise
        self.transcript.update(frame.body)
        self._answered = False
        try:
            if frame.call != self._calls:
                raise BadFrame("an answer to another call")
            answer, decoder = decode(frame, self._resolve, self._shadows.rebuild)
            if frame.kind == Kind.RAISE:
                self._raised(answer)
            if frame.kind != Kind.RETURN or type(answer) is not tuple or len(answer) != 6:
                raise BadFrame("an answer of an unknown kind")
            self._take_over(answer)
        except LearnerError:  # first, since it may be a ValueError too
            raise
        except (BadFrame, ValueError, MemoryError, OverflowError) as error:
            self._broken(str(error))
        finally:
            self._answered = True
        return answer, decoder, encoder

    def _take_over(self, answer: tuple[Any, ...]) -> None:
        """Apply what the call changed: module state, arguments changed in place, forbidden things seen."""
        _, state, mutated, number, _, forbidden = answer
        if [*map(type, (state, mutated, number, forbidden))] != [list, list, int, list]:
            raise BadFrame("an answer of an unknown kind")
        for change in state:
            if (
                type(change) is not tuple
                or len(change) != 2
                or type(change[0]) is not int
                or change[0] not in self._twins
            ):
                raise BadFrame("the state of a module that is not known")
            self._twins[change[0]].apply(change[1])
        self.mutated.extend(str(item)[:200] for item in mutated[:20])
        self.forbidden = [str(item)[:200] for item in forbidden[:20]]

    def _raised(self, answer: Any) -> NoReturn:
        """Raise in the judge what was raised in the worker."""
        try:
            kind, bases, text, lines, causes, forbidden = answer
            if [*map(type, (kind, bases, text, lines, causes, forbidden))] != [str, list, str, list, list, list]:
                raise TypeError
            if not all(type(base) is str for base in [*bases, *causes]):
                raise TypeError
            line = int(lines[-1][0]) if lines else None
            self.forbidden = [str(item)[:200] for item in forbidden[:20]]
        except (TypeError, ValueError, IndexError, KeyError):
            raise BadFrame("an exception of an unknown form") from None
        if line is not None:
            self.line = line
        if "NotImplementedError" in bases and line is not None and self.todo is None:
            self.todo = (text, line)
        raise learner_error(kind, bases, text, line, causes)

    def _broken(self, why: str) -> NoReturn:
        """The worker said what no honest worker says."""
        self._worker.end()
        self.gone = WorkerGone(Verdict.CRASH, message("gone.protocol", why=why), self.line)
        raise self.gone

    def _advance(self, mine: list[Any], theirs: Any) -> None:
        """Let the generators that were passed stand where the learner's code left them."""
        if type(theirs) is not list or len(theirs) != len(mine):
            self._broken("not every generator came back")
        for generator, moved in zip(mine, theirs, strict=True):
            if type(moved) is not type(generator):
                self._broken("a generator of another kind")
            if not moved_on(generator, moved):
                self._worker.end()
                self.gone = WorkerGone(Verdict.FAIL, message("gone.generator"))
                raise self.gone
            if hasattr(generator, "set_state"):
                generator.set_state(moved.get_state())
            else:
                generator.bit_generator.state = moved.bit_generator.state

    # Objects

    def _changes(self) -> list[tuple[int, Any]]:
        return [(handle, changes) for handle, twin in self._twins.items() if (changes := twin.changes()) is not None]

    def _export(self, value: Any) -> tuple[int, Any]:
        handle = Remote.handle_in(self, value)
        if handle is None:
            raise Unsendable(f"a value of type {type_name(value)}")
        return handle, None

    def _resolve(self, handle: int, description: Any) -> Any:
        known = self._objects.get(handle)
        if known is not None:
            return known
        if handle == ROOT or type(description) is not tuple or not description:
            raise BadFrame("an object that was never described")
        if len(self._objects) >= MAX_OBJECTS:
            raise BadFrame("more objects than one test can hold")
        made: Any
        if description[0] == "module":
            from grader.judge.modules import remote_module

            made, nodes = remote_module(self, description)
            self._held += sum(tensor.nbytes for tensor in (*made.parameters(), *made.buffers()))
            if self._held > MAX_RAW_BYTES:
                raise BadFrame("more parameters than one test can hold")
            self._objects.update({node: one for node, one in nodes.items() if node not in self._objects})
            self._twins[handle] = Twin(made)
        else:
            made = remote_object(self, handle, description)
        self._objects[handle] = made
        return made
