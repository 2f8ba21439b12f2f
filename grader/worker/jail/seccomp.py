"""seccomp: an allow-list of system calls, compiled once to a kernel filter and completed with the worker's own pid."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EFAULT, ENOSYS, EPERM

from .allowed import ALLOWED, CHECKED, FIRST_UNKNOWN, OWN_PID, SIGKILL, When
from .syscalls import MACHINE, prctl

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2

# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6] (both machines are little-endian)
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

_LOAD, _AND, _JUMP, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


Code = tuple[tuple[int, int, int, int], ...]  # operation, operand, instructions to skip if true, if false


@dataclass(frozen=True)
class Program:
    """A kernel filter that still lacks the pid of its process, and the places where it belongs."""

    code: bytes
    pid_at: tuple[int, ...]

    def install(self, pid: int) -> None:
        """Filter the calling thread, and every thread that it starts, for good. Needs no-new-privileges."""
        code = ctypes.create_string_buffer(self.code, len(self.code))
        for offset in self.pid_at:
            struct.pack_into("=I", code, offset, pid)
        header = struct.pack("@HP", len(code) // 8, ctypes.addressof(code))
        prctl(_PR_SET_SECCOMP, _MODE_FILTER, header)


def missing() -> str | None:
    """Why there is no seccomp here, or None."""
    if MACHINE not in _AUDIT_ARCH:
        return f"no table of system calls for {MACHINE or 'this system'}"
    try:
        prctl(_PR_SET_SECCOMP, _MODE_FILTER, None)
    except OSError as error:
        return None if error.errno == EFAULT else f"the kernel has no filters ({error.strerror})"
    return "the kernel accepted no filter at all"


def compile_filter(machine: str = MACHINE, *, read_only: bool = False) -> Program:
    """The program for one machine. With `read_only`, files may be opened for reading only, whatever Landlock says."""
    column = _COLUMN[machine]
    decisions = {numbers[column]: _return(_ALLOW) for numbers in ALLOWED.values()}
    decisions |= {rule.numbers[column]: _check(rule) for rule in CHECKED if read_only or not rule.only_without_landlock}
    code = (
        (_LOAD, _ARCH, 0, 0),
        (_IF_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        *_return(_KILL),
        (_LOAD, _NUMBER, 0, 0),
        *_search(_segments(decisions)),
    )
    packed = b"".join(struct.pack("=HBBI", op, yes, no, max(operand, 0)) for op, operand, yes, no in code)
    return Program(packed, tuple(8 * i + 4 for i, step in enumerate(code) if step[1] == OWN_PID))


def _return(action: int) -> Code:
    return ((_RETURN, action, 0, 0),)


def _refuse(code: int) -> Code:
    return _return(_ERRNO | code)


def _check(rule: When) -> Code:
    low = _ARGUMENTS + 8 * rule.argument
    wanted = [step for value in rule.values for step in ((_IF_EQUAL, value, 0, 1), *_return(_ALLOW))]
    body: Code = ((_LOAD, low, 0, 0), (_AND, rule.mask, 0, 0), *wanted, *_refuse(rule.otherwise))
    if rule.signal_at >= 0:
        signal = _ARGUMENTS + 8 * rule.signal_at
        body = ((_LOAD, signal, 0, 0), (_IF_EQUAL, SIGKILL, 0, 1), *_refuse(rule.otherwise), *body)
    if not rule.pointer:
        return body
    return ((_LOAD, low + 4, 0, 0), (_IF_EQUAL, 0, 1, 0), *_refuse(rule.otherwise), *body)


def _segments(decisions: Mapping[int, Code]) -> list[tuple[int, Code]]:
    """(first number, decision) in ascending order, neighbours of one mind joined; gaps are refused.

    Numbers newer than the table are "not implemented", so that a newer C library falls back to what it used before. The
    x32 calls, whose numbers start at 2**30, are among them.
    """
    segments: list[tuple[int, Code]] = []
    for number in range(FIRST_UNKNOWN + 1):
        gap = _refuse(ENOSYS if number == FIRST_UNKNOWN else EPERM)
        decision = decisions.get(number, gap)
        if not segments or segments[-1][1] != decision:
            segments.append((number, decision))
    return segments


def _search(segments: list[tuple[int, Code]]) -> Code:
    """Binary search for the segment of the loaded number: about eight tests however long the table is."""
    if len(segments) == 1:
        return segments[0][1]
    middle = len(segments) // 2
    below, above = _search(segments[:middle]), _search(segments[middle:])
    return ((_IF_AT_LEAST, segments[middle][0], 0, 1), (_JUMP, len(below), 0, 0), *below, *above)
