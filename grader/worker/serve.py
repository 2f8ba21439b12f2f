"""The worker's loop: receive a request of the judge, run the learner's code, answer by value."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Any

from grader.given import Given
from grader.seeding import seed
from grader.wire import HEADER, Decoder, Encoder, Frame, Kinds, decode, read_header
from grader.wire.message import Kind
from grader.worker.graphs import Graphs
from grader.worker.heard import Heard
from grader.worker.loader import Forbidden, load
from grader.worker.objects import Objects
from grader.worker.process import become
from grader.worker.raised import raised


class Server:
    """One worker: one learner's module, its objects, its graphs."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._objects = Objects(None)
        self._kinds = Kinds()
        self._graphs = Graphs()
        self._forbidden = Forbidden((), ())
        self._filename = ""
        self._flop_counter: Any = None
        self._answers = {
            Kind.LOAD: self._load,
            Kind.CALL: self._call,
            Kind.GET: self._get,
            Kind.SET: self._set,
            Kind.BACKWARD: self._backward,
        }

    def run(self) -> None:
        """Serve until the judge hangs up."""
        self._send(Kind.READY, 0, ())
        while (frame := self._receive()) is not None:
            try:
                self._answers[Kind(frame.kind)](frame)
            except BaseException as error:
                self._raise(frame.call, error)

    # Frames

    def _receive(self) -> Frame | None:
        head = self._exactly(HEADER.size)
        if head is None:
            return None
        header = read_header(head)
        body = self._exactly(header.tree_bytes + header.raw_bytes)
        return None if body is None else Frame(header.kind, header.call, header.tree_bytes, body)

    def _exactly(self, size: int) -> bytearray | None:
        data = bytearray(size)
        view = memoryview(data)
        while view.nbytes:
            received = self._channel.recv_into(view)
            if received == 0:
                return None
            view = view[received:]
        return data

    def _decode(self, frame: Frame) -> tuple[Any, Decoder]:
        return decode(frame, self._objects.resolve, self._kinds.rebuild)

    def _send(self, kind: Kind, call: int, value: Any) -> Encoder:
        encoder = Encoder(self._objects.export, self._kinds.number)
        encoder.value(value)
        self._write(encoder.frame(kind, call))
        return encoder

    def _write(self, buffers: list[Any]) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        if len(buffers) > 1:
            buffers = [b"".join(buffers)]
        self._channel.sendall(buffers[0])

    # Requests

    def _load(self, frame: Frame) -> None:
        (spec,), _ = decode(frame)
        self._filename = spec["filename"]
        if spec["threads"] > 1 and (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(spec["threads"])
        seed(spec["seed"])
        self._flop_counter = getattr(sys.modules.get("torch.utils.flop_counter"), "FlopCounterMode", None)
        become(self._filename)
        self._forbidden = Forbidden(spec["forbidden_imports"], spec["forbidden_operators"], spec["forbidden_jobs"])
        module, absent = load(spec["source"], self._filename, spec["module"], self._forbidden)
        self._objects = Objects(module)
        names = {name: callable(value) for name, value in vars(module).items() if not name.startswith("__")}
        self._answer(frame.call, (names, absent))

    def _call(self, frame: Frame) -> None:
        (target, name, args, kwargs, state, freed, grad, counted, watched), decoder = self._decode(frame)
        self._graphs.free(freed)
        self._objects.apply(state)
        inputs = decoder.differentiable
        for tensor in inputs:
            tensor.requires_grad_()
        function = getattr(self._objects[target], name) if name else self._objects[target]
        given = Given(function, args, kwargs)
        with _grad_mode(grad), Heard({handle: self._objects[handle] for handle in watched}) as heard:
            parameters = self._objects.differentiable() if grad else []
            if counted:
                with self._flop_counter(display=False) as counter:
                    value = function(*args, **kwargs)
                value = value, counter.get_total_flops()
            else:
                value = function(*args, **kwargs)
        if watched:
            value = value, (heard.seen, heard.calls)
        self._answer(frame.call, value, given.changed(), decoder.generators, inputs + parameters if grad else None)

    def _get(self, frame: Frame) -> None:
        (target, name, state), _ = decode(frame)
        self._objects.apply(state)
        self._answer(frame.call, getattr(self._objects[target], name))

    def _set(self, frame: Frame) -> None:
        (target, name, value, state), _ = self._decode(frame)
        self._objects.apply(state)
        setattr(self._objects[target], name, value)
        self._answer(frame.call, None)

    def _backward(self, frame: Frame) -> None:
        (number, upstream, freed), _ = decode(frame)
        self._graphs.free(freed)
        self._answer(frame.call, self._graphs.backward(number, upstream))

    # Answers

    def _answer(
        self,
        call: int,
        value: Any,
        mutated: list[str] | None = None,
        advanced: list[Any] | None = None,
        inputs: list[Any] | None = None,
    ) -> None:
        """RETURN: the value first, so that the tensors in it that require grad are the encoder's only ones."""
        encoder = Encoder(self._objects.export, self._kinds.number)
        encoder.tree += b"u\x06\x00\x00\x00"
        encoder.value(value, 1)
        outputs = encoder.differentiable
        number = self._graphs.keep(list(outputs), inputs) if inputs and outputs else 0
        for item in (self._objects.changes(), mutated or [], number, advanced or [], self._forbidden.seen):
            encoder.value(item, 1)
        self._write(encoder.frame(Kind.RETURN, call))

    def _raise(self, call: int, error: BaseException) -> None:
        """RAISE: what was raised, with the lines of the learner's own file that led there."""
        self._send(Kind.RAISE, call, (*raised(error, self._filename), self._forbidden.seen))


def _grad_mode(enabled: bool) -> contextlib.AbstractContextManager[Any]:
    torch = sys.modules.get("torch")
    return contextlib.nullcontext() if torch is None else torch.set_grad_enabled(enabled)
