"""`grade debug`: pdb in the learner's own file, and the failing call as lines that a Python shell takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from grader.judge.literals import Call, Pasted

TOY = Path(__file__).parent / "toy"
GRADE = str(Path(sys.executable).with_name("grade"))


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    for kata in ("01_scale/scale.py", "02_line/line.py"):
        shutil.copy(root / "reference" / kata, root / "katas" / kata)
    return root


def edit(course: Path, kata: str, old: str, new: str) -> None:
    path = course / "katas" / kata
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def debug(course: Path, *args: str, typed: str = "q\n") -> tuple[int, str]:
    done = subprocess.run(
        [GRADE, "debug", *args],
        cwd=course, input=typed, text=True, capture_output=True, env={**os.environ, "COLUMNS": "100"}, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def pasted(told: str) -> list[str]:
    """The lines that are to be pasted."""
    return told.partition("to paste into a Python shell\n\n")[2].partition("\n\n")[0].splitlines()


def shell(lines: list[str]) -> str:
    """What Python itself says of the last of these lines."""
    *before, last = lines
    source = "\n".join([*before, f"print(repr({last}))"])
    done = subprocess.run([sys.executable, "-I", "-c", source], text=True, capture_output=True, check=False)
    return (done.stdout + done.stderr).strip()


def test_it_stops_at_the_line_that_raises(course: Path) -> None:
    edit(course, "01_scale/scale.py", "return", "y = x\n    return y.nothing *")
    code, told = debug(course, "scale", typed="p factor\nq\n")
    assert code == 1 and "katas/01_scale/scale.py:" in told and "    > return y.nothing" in told
    assert "-> return y.nothing" in told and "(Pdb) 2.0" in told
    assert "has no attribute 'nothing'" in shell(pasted(told))


def test_it_stops_at_the_first_line_of_the_call_whose_value_is_wrong(course: Path) -> None:
    edit(course, "02_line/line.py", "return x @ w", "return x @ (2 * w)")
    code, told = debug(course, "line", typed="p tuple(w.shape)\nn\nq\n")
    assert code == 1 and "predict(x, w, b) is off by" in told and "-> return x @ (2 * w) + b" in told
    assert "(Pdb) (3,)" in told and "--Return--" in told
    got = next(line.split()[1] for line in told.splitlines() if line.strip().startswith("got"))
    place = next(line for line in told.splitlines() if "index (" in line).partition("(")[2].partition(")")[0]
    lines = pasted(told)
    assert float(shell([*lines[:-1], f"round(float(({lines[-1]})[{place}]), 3)"])) == pytest.approx(
        float(got), abs=2e-3
    )


def test_one_test_can_be_named_and_the_debugger_left_out(course: Path) -> None:
    edit(course, "01_scale/scale.py", "return", "return 1 +")
    code, told = debug(course, "scale::pure", "--no-stop")
    assert code == 1 and "The input stays as it was" in told and "(Pdb)" not in told
    for same in ("scale::4", "scale::stays as it was"):
        code, told = debug(course, same, "--no-stop")
        assert code == 1 and "The input stays as it was" in told
    code, told = debug(course, "scale::nothing")
    assert code == 2 and "no test is chosen by 'nothing'" in told and "4. The input stays as it was." in told
    assert debug(course, "scale::(")[0] == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("def broken(:\n", "SyntaxError: invalid syntax"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named"),
    ],
)
def test_a_suite_that_does_not_collect_is_named_with_its_line(course: Path, line: str, said: str) -> None:
    suite = course / "katas/01_scale/test_scale.py"
    head = "# one\n# two\n"
    suite.write_text(f"{head}{line}", encoding="utf-8")
    code, told = debug(course, "scale", "--no-stop")
    assert code == 2 and f"the suite does not collect: katas/01_scale/test_scale.py:3: {said}" in told


def test_where_nothing_fails_it_says_so_and_what_is_to_do(course: Path) -> None:
    assert debug(course, "scale") == (0, "no test fails that you can read: 4 were run\n")
    shutil.copy(TOY / "katas/01_scale/scale.py", course / "katas/01_scale/scale.py")
    code, told = debug(course, "scale")
    assert code == 0 and "next: scale: one multiplication" in told


def test_a_file_that_is_not_there_or_cannot_be_read_opens_no_debugger(course: Path) -> None:
    path = course / "katas/01_scale/scale.py"
    path.write_text("def scale(:\n")
    code, told = debug(course, "scale")
    assert code == 1 and "invalid syntax" in told and "scale.py:1" in told and "(Pdb)" not in told
    path.unlink()
    code, told = debug(course, "scale")
    assert code == 2 and "katas/01_scale/scale.py is missing" in told


def test_breakpoint_works_there(course: Path) -> None:
    edit(course, "01_scale/scale.py", "return", "breakpoint()\n    return")
    code, told = debug(course, "scale::shape", typed="p factor\nc\n")
    assert code == 0 and "(Pdb) 2.0" in told


def test_files_from_elsewhere(course: Path) -> None:
    code, told = debug(course, "scale", "--from", str(TOY / "katas"))
    assert code == 0 and "next: scale: one multiplication" in told


# Pasted values


class Net(nn.Module):
    """What a learner wrote."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.head = nn.Linear(size, 2)

    def forward(self, x: torch.Tensor, scale: Any = None) -> torch.Tensor:
        return self.head(x)


def answer(first: Any, *rest: Any, **named: Any) -> Any:
    return first, rest, named


def again(tmp_path: Path, call: Call, before: list[Call] | None = None) -> Any:
    """What the pasted lines of a call give, where the learner's module is this one."""
    module = SimpleNamespace(answer=lambda *args, **kwargs: (args, kwargs), Net=Net)
    lines = Pasted("mine", tmp_path / "mine.py", tmp_path / "saved", before or []).lines(call)
    space: dict[str, Any] = {"mine": module}
    exec("\n".join(line for line in lines[:-1] if line not in ("import mine", "import sys", lines[1])), space)
    return eval(lines[-1], space)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        numbers = torch.equal(torch.nan_to_num(one.detach(), 7.0), torch.nan_to_num(other.detach(), 7.0))
        return (one.dtype, one.shape, one.requires_grad) == (other.dtype, other.shape, other.requires_grad) and numbers
    if isinstance(one, np.ndarray):
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
        )
    if isinstance(one, list | tuple | deque):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other) or one != one


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -0.1, 1e300, float("inf"), "it's", b"x", 1 + 2j,
        np.arange(6, dtype=np.int64).reshape(2, 3), np.array(2.5, dtype=np.float32), np.array([np.nan, -np.inf, 0.1]),
        np.zeros((0, 3), dtype=np.float32), np.array([True, False]), np.arange(1000.0).reshape(10, 100).T,
        np.array([1 + 2j]),
        torch.tensor([[0.1, float("nan")], [float("-inf"), 2.0]], requires_grad=True), torch.tensor(3, dtype=torch.int32),
        torch.zeros(2, 0, dtype=torch.bfloat16), torch.tensor([1.5], dtype=torch.bfloat16),
        torch.linspace(0, 1, 999, dtype=torch.float64).requires_grad_(), torch.float64,
        [1, np.array([1.0])], (torch.tensor([2]),), {"a": [np.array([1])], 3: ()}, deque([1, 2], maxlen=2),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_is_pasted_as_it_was(tmp_path: Path, value: Any) -> None:
    args, kwargs = again(tmp_path, Call(answer, (value, value), {"named": value}))
    assert same((value, value), args) and same({"named": value}, kwargs)


def test_generators_stand_where_they_stood(tmp_path: Path) -> None:
    moved, other = torch.Generator().manual_seed(3), np.random.default_rng(4)
    torch.rand(3, generator=moved)
    other.random(3)
    fresh = torch.Generator().manual_seed(5)
    (one, two, three), _ = again(tmp_path, Call(answer, (moved, other, fresh), {}))
    assert torch.equal(torch.rand(2, generator=one), torch.rand(2, generator=moved))
    assert two.random() == other.random()
    assert torch.equal(torch.rand(2, generator=three), torch.rand(2, generator=fresh))


def test_a_module_is_made_and_holds_what_it_held(tmp_path: Path) -> None:
    net = Net(3).eval()
    with torch.no_grad():
        net.head.weight.fill_(0.25)
    x = torch.ones(1, 3)
    made = Call(Net, (3,), {}, made=net)
    assert torch.equal(again(tmp_path, Call(net.forward, (x,), {}, owner=net), [made]), net(x))
    (other,), _ = again(tmp_path, Call(answer, (net,), {}), [made])
    assert torch.equal(other.head.weight, net.head.weight) and other.training is False
