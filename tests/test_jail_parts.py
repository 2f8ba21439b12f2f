"""The jail's parts, each alone: the filter on both machines, what may be read, who dies with whom, how it is told."""

import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from grader.worker.jail import Layer, Layers, Policy
from grader.worker.jail.allowed import ALLOWED, CHECKED
from grader.worker.jail.namespaces import enter_tree
from grader.worker.jail.readable import default_readable
from grader.worker.jail.seccomp import compile_filter
from grader.workerkinds import kind_of

ROOT = Path(__file__).parents[1]
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
PID = 4321


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None, read_only: bool = False) -> int:
    """What the kernel would decide: the filter, run by the rules of its little machine."""
    program = compile_filter(machine, read_only=read_only)
    code = bytearray(program.code)
    for offset in program.pid_at:
        struct.pack_into("=I", code, offset, PID)
    arch = ARCH[machine] if arch is None else arch
    data = struct.pack("=IIQ6Q", number, arch, 0, *arguments, *(0,) * (6 - len(arguments)))
    at = accumulator = 0
    while True:
        operation, yes, no, operand = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x05:
                at += operand
            case 0x15:
                at += yes if accumulator == operand else no
            case 0x35:
                at += yes if accumulator >= operand else no
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(f"operation {operation:#x}")


def number(machine: str, name: str) -> int:
    numbers = ALLOWED.get(name) or next(rule.numbers for rule in CHECKED if rule.name == name)
    return numbers[0 if machine == "x86_64" else 1]


PTHREAD, NEW_USER, SIGCHLD = 0x3D0F00, 0x10000000, 17
machines = pytest.mark.parametrize("machine", ARCH)


@machines
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("read", (0, 0, 0), ALLOW),
        ("clone", (PTHREAD,), ALLOW),
        ("clone", (PTHREAD | 0x400000,), ALLOW),
        ("clone", (SIGCHLD,), EPERM),
        ("clone", (PTHREAD | NEW_USER,), EPERM),
        ("clone3", (), ENOSYS),
        ("kill", (PID, 6), ALLOW),
        ("kill", (PID, 9), EPERM),
        ("kill", (PID, 9 | 1 << 32), EPERM),
        ("tkill", (PID, 6), ALLOW),
        ("tkill", (PID, 9), EPERM),
        ("tgkill", (PID, PID, 9), EPERM),
        ("tgkill", (PID, PID + 1, 9), EPERM),
        ("kill", (PID + 1, 9), EPERM),
        ("kill", (0xFFFFFFFF, 9), EPERM),
        ("kill", (0, 9), EPERM),
        ("tgkill", (PID, PID + 1, 6), ALLOW),
        ("tgkill", (PID + 1, PID, 6), EPERM),
        ("prlimit64", (0, 7, 0, 1), ALLOW),
        ("prlimit64", (0, 7, 1, 0), EPERM),
        ("prlimit64", (0, 7, 1 << 32, 0), EPERM),
        ("prctl", (15,), ALLOW),
        ("prctl", (1, 0), EPERM),
        ("fcntl", (3, 4, 0), ALLOW),
        ("fcntl", (3, 8, 1), EPERM),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), EPERM),
        ("openat", (0, 0, 0o101), ALLOW),
    ],
)
def test_the_filter_decides(machine: str, name: str, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict(machine, number(machine, name), *arguments) == expected


@machines
def test_without_landlock_files_open_for_reading_only(machine: str) -> None:
    openat = number(machine, "openat")
    flags = {
        os.O_RDONLY: ALLOW,
        os.O_RDONLY | os.O_CLOEXEC: ALLOW,
        os.O_WRONLY: EPERM,
        os.O_RDWR: EPERM,
        os.O_CREAT: EPERM,
    }
    assert {flag: verdict(machine, openat, 0, 0, flag, read_only=True) for flag in flags} == flags


@machines
def test_every_number_outside_the_table_is_refused(machine: str) -> None:
    column = list(ARCH).index(machine)
    known = {numbers[column] for numbers in ALLOWED.values()} | {rule.numbers[column] for rule in CHECKED}
    decided = {n: verdict(machine, n) for n in range(463) if n not in known}
    assert set(decided.values()) == {EPERM}
    assert {verdict(machine, n) for n in (463, 1000, 1 << 30, (1 << 30) + 39, (1 << 32) - 1)} == {ENOSYS}
    assert verdict(machine, 0, arch=0x40000003) == KILL


def test_the_table_names_each_number_once_and_no_dangerous_call() -> None:
    for column in (0, 1):
        used = [numbers[column] for numbers in ALLOWED.values() if numbers[column] >= 0]
        assert len(used) == len(set(used)) > 80
    dangerous = (
        "socket connect fork vfork execve execveat ptrace unlink mkdir chmod memfd_create shmget setrlimit mount bpf"
    )
    assert not ALLOWED.keys() & set(dangerous.split())


# --- what may be read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "torch"), [("numpy", False), ("torch", True)])
def test_packages_are_readable_but_for_the_hidden(
    kind: str, torch: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, project = tmp_path / "site-packages", tmp_path / "project"
    for name in ("scipy", "torch", "torch-2.6.dist-info", "functorch", "grader", "gradkata-0.1.dist-info"):
        (site / name).mkdir(parents=True)
    for name in ("six.py", "__editable__.gradkata-0.1.pth"):
        (site / name).touch()
    project.mkdir()
    (site / "linked").symlink_to(project)
    monkeypatch.setattr(sys, "path", [str(site), str(project)])
    readable, listable = default_readable(kind_of(kind))
    expected = {"scipy", "six.py"} | ({"torch", "torch-2.6.dist-info", "functorch"} if torch else set())
    assert {Path(path).name for path in readable if path.startswith(str(tmp_path))} == expected
    assert [path for path in listable if path.startswith(str(tmp_path))] == [str(site)]


def test_nothing_of_the_project_lies_below_a_readable_folder() -> None:
    policy = Policy.of("torch")
    assert not [path for path in (*policy.readable, *policy.listable) if str(ROOT).startswith(path)]
    assert any(os.__file__.startswith(path) for path in policy.readable)


# --- who dies with whom -----------------------------------------------------------------------------------------------


def python(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, text=True, capture_output=True, env=environment(), check=False)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_process_with_threads_is_not_locked() -> None:
    answer = python("""
import threading
from grader.worker.jail import JailError, Policy, prepare
stop = threading.Event()
threading.Thread(target=stop.wait).start()
try:
    prepare(Policy.of("numpy")).enter(1 << 30, 10)
except JailError as error:
    print(error)
stop.set()
""")
    assert answer.stdout == "a process with several threads cannot be locked\n"


def test_a_process_that_lost_its_parent_is_not_locked() -> None:
    answer = python("""
import os
from grader.worker.jail import JailError, Policy, prepare
jail = prepare(Policy.of("numpy"))
if os.fork() == 0 and os.fork() == 0:
    try:
        jail.enter(1 << 30, 10)
    except JailError as error:
        os.write(1, str(error).encode())
    os._exit(0)
os.wait()
""")
    assert answer.stdout.endswith("which should be the parent, is gone")


def test_a_locked_worker_dies_with_its_parent() -> None:
    """The worker holds the pipe that `python` reads to its end."""
    answer = python("""
import os, signal
from grader.worker.jail import Policy, prepare
jail = prepare(Policy.of("numpy"))
reading, writing = os.pipe()
if os.fork() == 0:
    jail.enter(1 << 30, 10)
    os.write(1, b"locked")
    os.close(writing)
    signal.pause()
os.close(writing)
os.read(reading, 1)
os._exit(0)
""")
    assert answer.stdout == "locked"


TREE = """
import json, os, signal, socket, sys
from grader.worker.jail.namespaces import enter_tree
layer = enter_tree()
"""


def test_the_tree_goes_on_in_namespaces_or_says_why_not() -> None:
    answer = python(TREE + "print(json.dumps([layer.on, layer.detail, os.getpid()]))\nsys.exit(7)")
    on, detail, pid = json.loads(answer.stdout)
    assert answer.returncode == 7
    assert (pid == 1, "pid" in detail.split()) == (on, on)
    assert detail


def test_namespaces_can_be_switched_off() -> None:
    layer = enter_tree({"GRADKATA_TEST_WITHOUT": "namespaces"})
    assert str(layer) == "namespaces off (switched off for a test)"


def test_a_tree_in_namespaces_reaches_no_network_and_sees_its_own_proc() -> None:
    answer = python(
        TREE
        + """
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    code = udp.connect_ex(("192.0.2.1", 9))
print(json.dumps([layer.on, code != 0, os.readlink("/proc/self") == str(os.getpid())]))
"""
    )
    on, unreachable, own = json.loads(answer.stdout)
    assert unreachable or not on
    assert own or on


def test_a_tree_dies_with_its_first_process() -> None:
    script = (
        TREE
        + """
if layer.on and os.fork() == 0:
    signal.pause()
print("ready", flush=True)
signal.pause()
"""
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        assert process.stdout.read() == b""  # the end comes when nobody holds the other side
    assert process.returncode == -signal.SIGKILL


# --- how it is told ---------------------------------------------------------------------------------------------------


def test_layers_are_told_in_one_line() -> None:
    layers = Layers(
        Layer("landlock", True, "abi7 fs+net+scope"),
        Layer("seccomp", True),
        Layer("rlimits", False, "no /proc"),
        Layer("namespaces", False, "not entered"),
    )
    assert (
        str(layers)
        == "sandbox: landlock(abi7 fs+net+scope) seccomp; rlimits off (no /proc); namespaces off (not entered)"
    )
    assert not layers.complete
