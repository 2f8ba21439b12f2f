"""The judge's side of one worker process: its channel, what it prints, its deadline, and its end."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import select
import signal
import socket
import subprocess
import time
from typing import Any, Protocol

from grader import forkserver, machine
from grader.forkserver import Exit
from grader.judge.clock import Clock, Overdue, Spent, processor_clock
from grader.judge.gone import Lost, WorkerGone
from grader.judge.leash import Leash, ProcessLeash, SocketLeash
from grader.limits import MAX_OUTPUT_BYTES, MAX_TRACE_BYTES, STACK_SECONDS, START_SECONDS
from grader.messages import message, text
from grader.scorecard import Verdict
from grader.wire import HEADER, BadFrame, Frame, read_header
from grader.wire.message import Kind

_CHUNK = 1 << 16
OVERDUE = text("it was not ready after {seconds} s: is the machine busy with other work?", seconds=START_SECONDS)


class Worker:
    """One worker process: locked down, serving one learner's file, within the limits that it was started with."""

    def __init__(
        self,
        channel: socket.socket,
        output: int,
        trace: int,
        leash: Leash,
        memory_bytes: float = math.inf,
        cpu_seconds: float = math.inf,
    ) -> None:
        channel.setblocking(False)
        for pipe in (output, trace):
            os.set_blocking(pipe, False)
        self.printed = bytearray()
        self.dropped = 0
        self._channel, self._output, self._trace, self._leash = channel, output, trace, leash
        self._memory_bytes, self._cpu_seconds = memory_bytes, cpu_seconds
        self._buffer = bytearray(_CHUNK)
        self._poller = select.poll()
        self._poller.register(channel, select.POLLIN)
        self._poller.register(output, select.POLLIN)

    # Calls

    def exchange(self, buffers: list[Any], clock: Clock, filename: str) -> Frame:
        """Send one frame and return the answer. Raises WorkerGone, when a limit is reached saying which."""
        try:
            self._send(buffers, clock)
            return self._receive(clock)
        except BadFrame as error:
            self._leash.kill()
            raise WorkerGone(Verdict.CRASH, message("gone.protocol", why=str(error))) from None
        except Overdue as overdue:
            raise self._timed_out(overdue, filename) from None
        except (EOFError, OSError):
            raise self._ended(filename) from None

    def ready(self) -> None:
        """Wait until the worker is locked down. Nothing of the learner's runs before, so trouble here is ours."""
        try:
            frame = self._receive(Clock(START_SECONDS))
        except (EOFError, OSError, BadFrame) as error:
            self._leash.kill()
            self._leash.exit(1.0)
            self._drain(self._output)
            said = bytes(self.printed[-2000:]).decode("utf-8", "replace").strip()
            silent = OVERDUE if isinstance(error, TimeoutError) else text("it ended and said nothing")
            why = said or self._leash.refused() or silent
            raise Lost(text("a worker did not start: {why}", why=why)) from None
        if frame.kind != Kind.READY:
            raise Lost(text("a worker did not start: it said something else than ready"))

    def spent(self) -> Spent:
        """What tells the processor time that it used, as the kernel counts it."""
        return processor_clock(self._leash.pid())

    def _send(self, buffers: list[Any], clock: Clock) -> None:
        pending = [memoryview(buffer).cast("B") for buffer in buffers]
        while pending:
            try:
                sent = self._channel.sendmsg(pending[:512])
            except BlockingIOError:
                self._wait(clock, select.POLLIN | select.POLLOUT)
                continue
            while pending and sent >= pending[0].nbytes:
                sent -= pending.pop(0).nbytes
            if sent:
                pending[0] = pending[0][sent:]

    def _receive(self, clock: Clock) -> Frame:
        got = 0
        while got < HEADER.size:
            self._wait(clock, select.POLLIN)
            got += self._read(memoryview(self._buffer)[got:])
        header = read_header(self._buffer)
        size = header.tree_bytes + header.raw_bytes
        body = bytearray(size)
        have = got - HEADER.size
        if have > size:
            raise BadFrame("an answer longer than it declares")
        body[:have] = memoryview(self._buffer)[HEADER.size : got]
        view = memoryview(body)
        while have < size:
            self._wait(clock, select.POLLIN)
            have += self._read(view[have:])
        return Frame(header.kind, header.call, header.tree_bytes, body)

    def _read(self, view: memoryview) -> int:
        try:
            received = self._channel.recv_into(view)
        except BlockingIOError:
            return 0
        if received == 0:
            raise EOFError
        return received

    def _wait(self, clock: Clock, events: int) -> None:
        """Until the channel is ready; what the learner prints is read meanwhile, so that a full pipe stops nobody."""
        if events != select.POLLIN:
            self._poller.modify(self._channel, events)
        try:
            while True:
                left = clock.due - time.monotonic()
                if left <= 0:
                    clock.look()
                    continue
                ready = self._poller.poll(left * 1000)
                for descriptor, _ in ready:
                    if descriptor == self._output:
                        self._drain(self._output)
                if any(descriptor != self._output for descriptor, _ in ready):
                    return
        finally:
            if events != select.POLLIN:
                self._poller.modify(self._channel, select.POLLIN)

    # What it prints

    def _drain(self, pipe: int) -> None:
        try:
            data = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            with contextlib.suppress(KeyError):
                self._poller.unregister(pipe)
        room = MAX_OUTPUT_BYTES - len(self.printed)
        self.printed += data[:room]
        self.dropped += max(0, len(data) - room)

    def _stack(self, filename: str, seconds: float = 0.0) -> tuple[int, str] | None:
        """The innermost line of the learner's file in what faulthandler wrote, waiting for it at most this long."""
        wanted = re.compile(rb'File "' + re.escape(filename.encode()) + rb'", line (\d{1,9}) in (\S+)\n')
        deadline = time.monotonic() + seconds
        text = b""
        while (found := wanted.search(text)) is None and len(text) < MAX_TRACE_BYTES:
            select.select([self._trace], [], [], max(0.0, deadline - time.monotonic()))
            try:
                data = os.read(self._trace, _CHUNK)
            except BlockingIOError:
                data = b""
            if not data:
                return None
            text += data
        return (int(found[1]), found[2].decode("utf-8", "replace")) if found else None

    # Its end

    def _timed_out(self, overdue: Overdue, filename: str) -> WorkerGone:
        self._leash.ask_for_stack()
        stack = self._stack(filename, STACK_SECONDS)
        self._leash.kill()
        if stack is None:
            return WorkerGone(overdue.verdict, message("overdue.running", limit=overdue.after))
        line, function = stack
        told = message("overdue.at", file=filename, line=line, function=function, limit=overdue.after)
        return WorkerGone(overdue.verdict, told, line)

    def _ended(self, filename: str) -> WorkerGone:
        """The channel closed: if the process ends by itself its status says why, else it is killed for hanging up."""
        status = self._leash.exit(1.0)
        stack = self._stack(filename)
        line = stack[0] if stack else None
        if self._leash.is_cut():
            return Lost(text("the process that held a worker was killed"))
        if status is None:
            self._leash.kill()
            return WorkerGone(Verdict.CRASH, message("gone.hung_up"), line)
        if status.signal == signal.SIGXCPU:
            return WorkerGone(Verdict.TIMEOUT, message("overdue.spent"), line)
        if status.signal == signal.SIGKILL:
            return self._killed(status, line)
        if status.signal:
            name = signal.Signals(status.signal).name if status.signal in set(signal.Signals) else str(status.signal)
            return WorkerGone(Verdict.CRASH, message("gone.signal", signal=name), line)
        return WorkerGone(Verdict.CRASH, message("gone.exit", code=status.code), line)

    def _killed(self, status: Exit, line: int | None) -> WorkerGone:
        """It was sent SIGKILL, and not by us: by the kernel beyond a limit, else by somebody whom it cannot be itself."""
        if status.user_seconds + status.system_seconds >= self._cpu_seconds:
            return WorkerGone(Verdict.TIMEOUT, message("overdue.spent"), line)
        if status.max_rss_bytes >= self._memory_bytes:
            return WorkerGone(Verdict.MEMORY, message("gone.memory"), line)
        return Lost(text("a worker was killed from outside (SIGKILL): has the machine run out of memory?"))

    def output(self) -> str:
        """What the learner printed, as far as it was kept."""
        self._drain(self._output)
        return bytes(self.printed).decode("utf-8", "replace")

    def end(self) -> None:
        """Kill the process; `peak` collects what became of it."""
        self._leash.kill()

    def is_gone(self) -> bool:
        """Whether the process has ended, without waiting for it."""
        return self._leash.exit(0.0) is not None

    def peak(self) -> int | None:
        """The most memory that the process held, in bytes; waits for its end and closes everything."""
        status = self._leash.exit(5.0)
        self._leash.close()
        self._channel.close()
        for pipe in (self._output, self._trace):
            os.close(pipe)
        return status.max_rss_bytes if status and status.max_rss_bytes else None


class Workshop(Protocol):
    """Where a judge gets its workers."""

    def start(self, memory_bytes: int, cpu_seconds: float) -> Worker:
        """A new worker. Raises Lost where whatever makes workers is gone."""


class Ends:
    """Both ends of everything between judge and worker, before the worker exists."""

    def __init__(self) -> None:
        self.channel, self.far_channel = socket.socketpair()
        self.output, self.far_output = os.pipe()
        self.trace, self.far_trace = os.pipe()

    def far(self) -> list[int]:
        return [self.far_channel.fileno(), self.far_output, self.far_trace]

    def close_far(self) -> None:
        self.far_channel.close()
        os.close(self.far_output)
        os.close(self.far_trace)


class ForkedWorkshop:
    """Workers forked from a warm zygote."""

    def __init__(self, control: socket.socket, processor: int | None = None) -> None:
        self._control = control
        self._processor = processor  # where its workers run; None lets the system choose

    def start(self, memory_bytes: int, cpu_seconds: float) -> Worker:
        ends = Ends()
        leash, far_leash = socket.socketpair()
        document = {"memory_bytes": memory_bytes, "cpu_seconds": cpu_seconds, "processor": self._processor}
        try:
            forkserver.request(self._control, document, [far_leash.fileno(), *ends.far()])
        except OSError as error:
            raise Lost(
                text("the process that workers are forked from is gone: {error}", error=error.strerror)
            ) from None
        finally:
            far_leash.close()
            ends.close_far()
        return Worker(ends.channel, ends.output, ends.trace, SocketLeash(leash), memory_bytes, cpu_seconds)


class FreshWorkshop:
    """Workers started as processes of their own: slower, same wire, same verdicts."""

    def __init__(self, kind: str, training: bool) -> None:
        self._kind = kind
        self._training = training

    def start(self, memory_bytes: int, cpu_seconds: float) -> Worker:
        ends = Ends()
        asked = {
            "memory_bytes": memory_bytes,
            "cpu_seconds": cpu_seconds,
            "training": self._training,
            "processor": None,
        }
        document = json.dumps(asked)
        command = [*machine.PYTHON, "grader.worker.fresh", self._kind, document, *map(str, ends.far())]
        far = ends.far_output
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=far, stderr=far, pass_fds=ends.far())
        except OSError as error:
            raise Lost(text("a worker did not start: {why}", why=machine.words(error))) from None
        finally:
            ends.close_far()
        return Worker(ends.channel, ends.output, ends.trace, ProcessLeash(process), memory_bytes, cpu_seconds)
