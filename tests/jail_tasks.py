"""What the jail's tests have done inside: a zygote that forks a locked child for every task named on its input."""

import ctypes
import errno
import faulthandler
import fcntl
import importlib
import json
import mmap
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

from grader.worker.jail import Jail, Policy, prepare
from grader.worker.jail.probe import probe

MEMORY, SECONDS = 1 << 30, 20
X86 = platform.machine() == "x86_64"


def c(function: str, *arguments: Any) -> None:
    """Call the C library; an error is an OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), function)


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def own_signals_to_parent() -> None:
    fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())


def lower_a_limit() -> None:
    resource.prlimit(0, resource.RLIMIT_NOFILE, (20, 20))


# Attempts that succeed in a process without layers, which is tested too. Each is given a folder with the file `victim`.
ESCAPES: dict[str, Callable[[Path], Any]] = {
    "read a system file": lambda folder: open("/etc/passwd").close(),
    "read the course": lambda folder: open(__file__).close(),
    "read a neighbour": lambda folder: (folder / "victim").read_text(),
    "read what its parent is called": lambda folder: Path(f"/proc/{os.getppid()}/cmdline").read_bytes(),
    "list a folder": os.listdir,
    "create": lambda folder: (folder / "new").write_text("x"),
    "overwrite": lambda folder: (folder / "victim").write_text("x"),
    "mkdir": lambda folder: (folder / "new").mkdir(),
    "mkfifo": lambda folder: os.mkfifo(folder / "new"),
    "unlink": lambda folder: (folder / "victim").unlink(),
    "rename": lambda folder: (folder / "victim").rename(folder / "new"),
    "link": lambda folder: os.link(folder / "victim", folder / "new"),
    "symlink": lambda folder: (folder / "new").symlink_to("victim"),
    "chmod": lambda folder: (folder / "victim").chmod(0o777),
    "chown": lambda folder: os.chown(folder / "victim", os.getuid(), os.getgid()),
    "utime": lambda folder: os.utime(folder / "victim", (0, 0)),
    "truncate": lambda folder: os.truncate(folder / "victim", 0),
    "chdir": os.chdir,
    "tcp": lambda folder: socket.socket().close(),
    "tcp over IPv6": lambda folder: socket.socket(socket.AF_INET6).close(),
    "udp": lambda folder: socket.socket(type=socket.SOCK_DGRAM).close(),
    "unix socket": lambda folder: socket.socket(socket.AF_UNIX).close(),
    "socket pair": lambda folder: socket.socketpair(),
    "fork": lambda folder: fork(),
    "spawn": lambda folder: os.posix_spawn("/bin/true", ["true"], {}),
    "subprocess": lambda folder: subprocess.run(["/bin/true"]),
    "signal its parent": lambda folder: os.kill(os.getppid(), 0),
    "signal its group": lambda folder: os.kill(0, 0),
    "signal everyone": lambda folder: os.kill(-1, 0),
    "send signals by a file": lambda folder: own_signals_to_parent(),
    "hold a process": lambda folder: os.pidfd_open(os.getppid()),
    "memfd": lambda folder: os.memfd_create("x"),
    "system V memory": lambda folder: c("shmget", 0, 4096, 0o1600),
    "posix memory": lambda folder: shared_memory.SharedMemory(create=True, size=1).unlink(),
    "be nicer": lambda folder: os.setpriority(os.PRIO_PROCESS, 0, 19),
    "choose processors": lambda folder: os.sched_setaffinity(0, os.sched_getaffinity(0)),
    "watch files": lambda folder: c("inotify_init"),
    "change personality": lambda folder: c("personality", 0xFFFFFFFF),
    "survive its parent": lambda folder: c("prctl", 1, 0, 0, 0, 0),
    "become dumpable": lambda folder: c("prctl", 4, 1, 0, 0, 0),
    "change a limit": lambda folder: lower_a_limit(),
}

# Attempts that ordinary rights refuse already, or that would harm the tests if they worked.
ALSO_REFUSED: dict[str, Callable[[Path], Any]] = {
    "exec": lambda folder: os.execv("/bin/true", ["true"]),
    "stop its parent": lambda folder: os.kill(os.getppid(), signal.SIGCONT),
    "kill itself": lambda folder: os.kill(os.getpid(), signal.SIGKILL),
    "kill its first thread": lambda folder: signal.pthread_kill(threading.get_ident(), signal.SIGKILL),
    "kill another thread of its own": lambda folder: kill_a_thread(),
    "kill its group": lambda folder: os.killpg(0, signal.SIGKILL),
    "kill itself by its group's number": lambda folder: os.kill(-os.getpid(), signal.SIGKILL),
    "queue a SIGKILL for itself": lambda folder: c("syscall", 129 if X86 else 138, os.getpid(), 9, bytes(128)),
    "trace its parent": lambda folder: c("ptrace", 16, os.getppid(), 0, 0),
    "read its parent's memory": lambda folder: c("process_vm_readv", os.getppid(), None, 0, None, 0, 0),
    "open its parent's memory": lambda folder: open(f"/proc/{os.getppid()}/mem", "rb").close(),
    "read its parent's environment": lambda folder: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "list its parent's files": lambda folder: os.listdir(f"/proc/{os.getppid()}/fd"),
    "read its own environment": lambda folder: Path("/proc/self/environ").read_bytes(),
    "read its own map": lambda folder: Path("/proc/self/maps").read_bytes(),
    "raise a limit": lambda folder: resource.prlimit(0, resource.RLIMIT_CPU, (-1, -1)),
    "be someone else": lambda folder: os.setuid(65534),
    "be nobody": lambda folder: c("unshare", 0x10000000),
    "mount": lambda folder: c("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "chroot": os.chroot,
    "a call of io_uring": lambda folder: c("syscall", 425, 0, 0),
    "a call of bpf": lambda folder: c("syscall", 321 if X86 else 280, 0, 0, 0),
    "a call of perf": lambda folder: c("syscall", 298 if X86 else 241, 0, 0, 0, 0, 0),
    "a call of userfaultfd": lambda folder: c("syscall", 323 if X86 else 282, -1),
    "a call of keyctl": lambda folder: c("syscall", 250 if X86 else 219, 0, 0, 0),
    "tell the terminal": lambda folder: fcntl.ioctl(0, 0x5412, b"x"),
}


def kill_a_thread() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        c("syscall", 234 if X86 else 131, os.getpid(), thread.native_id, signal.SIGKILL)
    finally:
        stop.set()


def torch_work(folder: Path) -> str:
    import torch
    from torch import nn

    torch.manual_seed(0)
    convolution, lstm = nn.Conv2d(3, 4, 3, padding=1), nn.LSTM(16, 8, batch_first=True)
    adam = torch.optim.Adam([*convolution.parameters(), *lstm.parameters()])
    x = torch.randn(8, 3, 16, 16)
    losses = []
    for _ in range(2):
        hidden, _ = lstm(convolution(x).relu().mean(1))
        loss = (hidden - 1).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    torch.set_num_threads(2)
    large = torch.randn(300, 300) @ torch.randn(300, 300)
    results: list[float] = []
    threads = [threading.Thread(target=lambda: results.append(large.sum().item())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "learns" if losses[1] < losses[0] and len(set(results)) == 1 and len(results) == 4 else f"{losses} {results}"


def late_imports(folder: Path) -> int:
    names = [
        "decimal",
        "sqlite3",
        "lzma",
        "zoneinfo",
        "http.client",
        "asyncio",
        "scipy.optimize",
        "scipy.signal",
        "sklearn.svm",
    ]
    assert not any(name in sys.modules for name in ("sqlite3", "scipy.optimize", "sklearn"))
    for name in names:
        importlib.import_module(name)
    from sklearn.datasets import load_digits

    return int(load_digits().data.shape[0])


def stack_on_signal(folder: Path) -> str:
    """The zygote, on reading `signal N`, sends it."""
    reading, writing = os.pipe()
    faulthandler.register(signal.SIGUSR1, writing)
    tell(f"signal {signal.SIGUSR1.value}")
    return os.read(reading, 1 << 16).decode()


def spin(folder: Path) -> None:
    while True:
        pass


def old_system_call(folder: Path) -> None:
    """getpid by the 32-bit door, whose numbers mean other things: mov eax, 20; int 0x80; ret."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\0\0\0\xcd\x80\xc3")
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


def threads_until_refused(folder: Path) -> int:
    stop, count = threading.Event(), 1
    try:
        for count in range(1, 200):  # noqa: B007
            threading.Thread(target=stop.wait, daemon=True).start()
    except RuntimeError:
        pass
    return count


WORK: dict[str, Callable[[Path], Any]] = {
    "torch_work": torch_work,
    "late_imports": late_imports,
    "stack_on_signal": stack_on_signal,
    "import torch": lambda folder: importlib.import_module("torch").__name__,
    "read torch": lambda folder: open(os.path.join(folder_of("torch"), "__init__.py")).close(),
    "numpy": lambda folder: float(importlib.import_module("numpy").linalg.inv([[2.0]])[0, 0]),
    "null": lambda folder: Path(os.devnull).write_text("x"),
    "random": lambda folder: len(os.urandom(4)),
    "isatty": lambda folder: os.isatty(0),
    "signal itself": lambda folder: os.kill(os.getpid(), 0),
    "state": lambda folder: [os.getsid(0) == os.getpid(), os.getcwd(), resource.getrlimit(resource.RLIMIT_CORE)[0]],
    "newer calls": lambda folder: [call_error(435), call_error(500), call_error(0x40000000 + 39)],
    "memory": lambda folder: len(bytearray(2 * MEMORY)),
    "crash": lambda folder: ctypes.string_at(0),
    "abort": lambda folder: os.abort(),
    "spin": spin,
    "old_system_call": old_system_call,
    "threads": threads_until_refused,
}
TASKS = {**ESCAPES, **ALSO_REFUSED, **WORK}


def call_error(number: int) -> str:
    try:
        c("syscall", number, 0, 0)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "none"


def folder_of(package: str) -> str:
    return next(path for entry in sys.path if os.path.isdir(path := os.path.join(entry, package)))


# --- the zygote -------------------------------------------------------------------------------------------------------


answers = -1


def tell(text: str) -> None:
    os.write(answers, text.encode() + b"\n")


def locked(jail: Jail, task: str, folder: Path) -> dict[str, Any]:
    """The task's value, or what it raised, and how its process ended."""
    global answers
    reading, answers = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            jail.enter(MEMORY, 1 if task == "spin" else SECONDS)
            tell(json.dumps({"value": TASKS[task](folder)}, default=str))
        except OSError as error:
            tell(json.dumps({"refused": errno.errorcode.get(error.errno or 0, str(error))}))
        except BaseException as error:
            tell(json.dumps({"raised": type(error).__name__, "text": str(error)}))
        finally:
            os._exit(0)
    os.close(answers)
    answer: dict[str, Any] = {}
    with os.fdopen(reading) as lines:
        for line in lines:
            if line.startswith("signal"):
                os.kill(child, int(line.split()[1]))
            else:
                answer = json.loads(line)
    status = os.waitpid(child, 0)[1]
    return answer | {"code": os.waitstatus_to_exitcode(status), "core": os.WCOREDUMP(status)}


def zygote(kind: str, folder: Path, user: int) -> None:
    if kind == "torch":
        import torch
        import torch._dynamo

        torch.set_num_threads(1)
    else:
        import numpy.linalg  # noqa: F401
    if user != os.getuid():
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    jail = prepare(Policy.of("torch" if kind == "torch" else "numpy"))
    found = probe(jail)
    print(
        json.dumps({"layers": str(jail.layers), "complete": jail.layers.complete, "refused": found.refused}), flush=True
    )
    for line in sys.stdin:
        print(json.dumps(locked(jail, line.strip(), folder)), flush=True)


if __name__ == "__main__":
    zygote(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
