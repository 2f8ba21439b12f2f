"""Stubs are cut out of references, and markers that make no sense are told with their line."""

from collections.abc import Callable
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.stub import StubFault, is_in_step, make_stub

REFERENCE = '''\
"""Build an LSTM: first the cell, then the classifier. A string may say # BEGIN SOLUTION: of course."""

import torch  # used by the solution alone

FORGET = 1.0


def lstm_step(x, h):
    """One step.

    x (N, D)  input
    # END SOLUTION
    """
    # BEGIN SOLUTION: start from the "four" gate pre-activations \\ 四个门
    gates = x @ h
    if gates.any():
        text = """
no indentation in here
"""
    else:
        text = ""

    # the rest
    return gates, text
    # END SOLUTION


class LSTM(torch.nn.Module):
    def __init__(self):
        super().__init__()
        # BEGIN SOLUTION: make the weights
        self.w = 1
        # END SOLUTION
        self.kept = 2

    async def run(self):
        def inner(x):
            # BEGIN SOLUTION: the inner part
            @torch.no_grad()
            def f(): return x
            return f; pass
            # END SOLUTION
        for x in self.w:
            # BEGIN SOLUTION: every x
            print(x)
            # END SOLUTION
        return inner
'''

STUB = '''\
"""Build an LSTM: first the cell, then the classifier. A string may say # BEGIN SOLUTION: of course."""

import torch  # used by the solution alone

FORGET = 1.0


def lstm_step(x, h):
    """One step.

    x (N, D)  input
    # END SOLUTION
    """
    raise NotImplementedError("lstm_step: start from the \\"four\\" gate pre-activations \\\\ 四个门")


class LSTM(torch.nn.Module):
    def __init__(self):
        super().__init__()
        raise NotImplementedError("LSTM.__init__: make the weights")
        self.kept = 2

    async def run(self):
        def inner(x):
            raise NotImplementedError("LSTM.run.inner: the inner part")
        for x in self.w:
            raise NotImplementedError("LSTM.run: every x")
        return inner
'''


def test_the_marked_lines_become_hints_and_all_else_stays() -> None:
    assert make_stub(REFERENCE) == STUB


def test_line_ends_are_kept() -> None:
    assert make_stub(REFERENCE.replace("\n", "\r\n")) == STUB.replace("\n", "\r\n")
    assert (
        make_stub(REFERENCE.removesuffix("        return inner\n") + "        return 1")
        == STUB.removesuffix("        return inner\n") + "        return 1"
    )


def test_a_marker_may_end_the_file() -> None:
    source = "def f():\n    # BEGIN SOLUTION: do it\n    return 1\n    # END SOLUTION"
    assert make_stub(source) == 'def f():\n    raise NotImplementedError("f: do it")\n'


def test_a_stub_is_in_step_whatever_its_line_ends() -> None:
    assert is_in_step(REFERENCE, STUB)
    assert is_in_step(REFERENCE, STUB.replace("\n", "\r\n"))
    assert not is_in_step(REFERENCE, STUB.replace("FORGET = 1.0", "FORGET = 2.0"))
    assert not is_in_step(REFERENCE, STUB + "\n")


BEGIN, END = "# BEGIN SOLUTION: hint", "# END SOLUTION"


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("def f():\n    return 1\n", 1, "marks no solution"),
        (f"def f():\n    {BEGIN}\n    return 1\n", 2, "never ended"),
        (f"def f():\n    return 1\n    {END}\n", 3, "without a BEGIN"),
        (f"def f():\n    {BEGIN}\n    {BEGIN}\n    return 1\n    {END}\n    {END}\n", 3, "inside the one of line 2"),
        (f"{BEGIN}\nx = 1\n{END}\n", 1, "outside a function"),
        (f"class A:\n    {BEGIN}\n    x = 1\n    {END}\n", 2, "outside a function"),
        (f"def f():\n    class A:\n        {BEGIN}\n        x = 1\n        {END}\n", 3, "outside a function"),
        (f"def f():\n    # BEGIN SOLUTION\n    return 1\n    {END}\n", 2, "a marker must be"),
        (f"def f():\n    # BEGIN SOLUTION:  \n    return 1\n    {END}\n", 2, "a marker must be"),
        (f"def f():\n    {BEGIN}\n    return 1\n    # end solution\n", 4, "a marker must be"),
        (f"def f():\n    {BEGIN}\n    return 1\n    {END} here\n", 4, "a marker must be"),
        (f"def f():\n    x = 1  {BEGIN}\n    return 1\n    {END}\n", 2, "alone on its line"),
        (f"def f():\n    {BEGIN}\n    return 1\n  {END}\n", 4, "indented like its BEGIN on line 2"),
        (f"def f():\n  {BEGIN}\n    return 1\n  {END}\n", 2, "indented like the statement below"),
        (f"def f():\n    {BEGIN}\n    {END}\n    return 1\n", 2, "followed by no statement"),
        (f"def f():\n    x = [\n    {BEGIN}\n    1,\n    {END}\n    ]\n", 3, "followed by no statement"),
        (f"def f():\n  if 1:\n    {BEGIN}\n    x = 1\n  else:\n    x = 2\n    {END}\n", 7, "another block"),
        (f"def f(a):\n    {BEGIN}\n    a = 1\ndef g(a):\n    a = 2\n    {END}\n", 6, "another block"),
        (f"def f(a):\n    {BEGIN}\n    a = (\n    {END}\n    1)\n", 4, "END SOLUTION stands inside"),
        (f"def f(a):\n    a(\n    {BEGIN}\n    1)\n    a = 1\n    {END}\n", 3, "BEGIN SOLUTION stands inside"),
        (f"def f(a):\n    {BEGIN}\n    if a:\n        x = 1\n    {END}\n        x = 2\n", 5, "stands inside"),
        (f"def f(a):\n    @a\n    {BEGIN}\n    def g(): 0\n    {END}\n", 3, "indented like the statement below"),
        (f"def f():\n    {BEGIN}\n    x = 0\n    {END}\n    def g():\n        nonlocal x\n", 2, "Python, line 4"),
        ("def f(:\n", 1, "not valid Python"),
    ],
)  # fmt: skip
def test_a_marker_that_makes_no_sense_is_told_with_its_line(source: str, line: int, message: str) -> None:
    with pytest.raises(StubFault) as caught:
        make_stub(source, "reference/04_lstm/lstm.py")
    assert (caught.value.file, caught.value.line) == ("reference/04_lstm/lstm.py", line)
    assert str(caught.value).startswith(f"reference/04_lstm/lstm.py:{line}: ")
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


hints = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1).filter(str.strip)


@given(hints)
def test_any_hint_is_what_the_stub_raises(hint: str) -> None:
    stub = make_stub(
        dedent(f"""\
        def f():
            # BEGIN SOLUTION: {hint.strip()}
            return 1
            # END SOLUTION
    """)
    )
    scope: dict[str, Callable[[], object]] = {}
    exec(stub, scope)
    with pytest.raises(NotImplementedError) as caught:
        scope["f"]()
    assert str(caught.value) == f"f: {hint.strip()}"


def test_a_hint_too_long_for_a_line_stands_on_one_of_its_own() -> None:
    hint = "say it " * 14
    stub = make_stub(f"def f():\n    # BEGIN SOLUTION: {hint.strip()}\n    return 1\n    # END SOLUTION\n")
    assert stub == f'def f():\n    raise NotImplementedError(\n        "f: {hint.strip()}"\n    )\n'
    assert all(len(line) <= 120 for line in stub.splitlines())
