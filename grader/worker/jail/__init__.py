"""The jail of a worker: decided once in the zygote, entered by every freshly forked child before it sees foreign code.

    jail = prepare(Policy.of("torch"))           # in the zygote, after its imports
    if os.fork() == 0:
        jail.enter(memory_bytes=1 << 30, cpu_seconds=10)

Order in the child: session, user namespace for the count of threads, limits, death signal, privileges, Landlock, and
seccomp last, because it forbids the rest. A layer that `prepare` promised and that will not close raises JailError:
then the child must end. A layer that the machine lacks is left out, and `jail.layers` says so.

Landlock binds one thread and the threads that it starts later. A forked child has one; `enter` refuses to lock more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from grader import machine
from grader.workerkinds import kind_of

from . import landlock, rlimits, seccomp
from .layers import Layer, Layers, switched_off
from .readable import WRITABLE, default_readable
from .syscalls import JailError, die_with_parent, give_up_privileges, refuse_threads

__all__ = ["Jail", "JailError", "Layer", "Layers", "Policy", "prepare"]


@dataclass(frozen=True)
class Policy:
    """What a kind of worker may do. Memory and time belong to the kata and are given to `Jail.enter`."""

    readable: tuple[str, ...]  # files, and folders with all below
    listable: tuple[str, ...]  # folders whose names alone may be read
    writable: tuple[str, ...] = WRITABLE
    threads: int = 64
    open_files: int = 128

    @classmethod
    def of(cls, kind: str) -> Policy:
        """The policy of every kata: the interpreter and its packages, torch only for a torch worker."""
        return cls(*default_readable(kind_of(kind)))


@dataclass(frozen=True)
class Jail:
    """Everything of the policy that could be made ready before the fork."""

    policy: Policy
    layers: Layers
    parent: int  # the zygote, whose death is the worker's
    ruleset: int = -1  # Landlock's descriptor, if it is on: keep it open in the child until `enter`, which closes it
    landlock_version: int = 0
    count_threads: bool = False
    program: seccomp.Program | None = field(default=None, repr=False)

    def enter(self, memory_bytes: int, cpu_seconds: float) -> None:
        """Lock the calling process for good. `memory_bytes` comes on top of its present address space."""
        try:
            self._enter(memory_bytes, cpu_seconds)
        except (OSError, ValueError) as error:  # `resource` says ValueError
            raise JailError(f"the sandbox did not close: {error}") from error

    def _enter(self, memory_bytes: int, cpu_seconds: float) -> None:
        os.umask(0o077)
        os.chdir("/")
        if hasattr(os, "setsid"):
            with suppress(PermissionError):  # it leads a session already
                os.setsid()
        if not machine.LINUX:
            rlimits.enter_processor(cpu_seconds)
            return
        refuse_threads()
        if self.count_threads:
            rlimits.enter_threads(self.policy.threads)
        if self.layers.rlimits.on:
            rlimits.enter(memory_bytes, cpu_seconds, self.policy.open_files)
        die_with_parent(self.parent)
        give_up_privileges()
        if self.layers.landlock.on:
            landlock.restrict(self.ruleset, self.landlock_version)
            os.close(self.ruleset)
        if self.program:
            self.program.install(os.getpid())


def prepare(policy: Policy, namespaces: Layer | None = None, environ: Mapping[str, str] = os.environ) -> Jail:
    """Find out what this machine can do and make it ready. Call it in the process that will fork the workers.

    `namespaces` is what `namespaces.enter_tree` returned, if it was called.
    """

    def layer(name: str, missing: str | None, detail: str = "", parts: tuple[str, ...] = ()) -> Layer:
        reason = switched_off(name, environ) or missing
        return Layer(name, not reason, reason or detail, () if reason else parts)

    version, ruleset, refusal = 0, -1, None
    try:
        version = landlock.abi()
    except OSError as error:
        refusal = error.strerror or str(error)
    files = layer("landlock", refusal, landlock.describe(version), landlock.parts(version))
    if files.on:
        ruleset = landlock.build(version, policy.readable, policy.listable, policy.writable)

    calls = layer("seccomp", seccomp.missing())
    limits = layer("rlimits", rlimits.missing())
    uncounted = rlimits.threads_missing() if limits.on else limits.detail
    if limits.on:
        threads = f"threads not counted: {uncounted}" if uncounted else f"{policy.threads} threads"
        limits = replace(limits, detail=threads)
    return Jail(
        policy,
        Layers(files, calls, limits, namespaces or layer("namespaces", "not entered")),
        os.getpid(),
        ruleset,
        version,
        not uncounted,
        seccomp.compile_filter(read_only=not files.on) if calls.on else None,
    )
