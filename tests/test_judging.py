"""What a judge says of files that are right, wrong, broken or hostile: through the real ladder, on the toy course."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.course import Course, find
from grader.scorecard import KataResult, Verdict
from grader.session import Listener, Session
from grader.store import Store

from .conftest import TOY

Grade = Callable[..., KataResult]

SCALE = """\
import numpy as np

def scale(x, factor):
    {scale}

def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
"""


def scale(body: str) -> str:
    """A right solution of 01_scale but for the body of `scale`."""
    return SCALE.format(scale=body)


def verdicts(result: KataResult) -> dict[str, Verdict]:
    return {test.name: test.verdict for test in result.tests}


@pytest.mark.parametrize("kata", ["scale", "line"])
def test_the_reference_scores_full_points_and_the_stub_none(grade_source: Grade, toy: Course, kata: str) -> None:
    (chosen,) = toy.select([kata])
    right = grade_source(toy.reference(chosen).read_bytes(), kata)
    assert (right.verdict, right.points) == (Verdict.PASS, right.max)
    stub = grade_source(chosen.stub.read_bytes(), kata)
    assert (stub.verdict, stub.points) == (Verdict.TODO, 0.0)
    assert {test.verdict for test in stub.tests} == {Verdict.TODO}


ENDINGS = {
    "wrong value": (scale("return x * factor + 1e-3"), Verdict.FAIL, "test_values", "off by 0.001.*largest of", None),
    "wrong shape": (scale("return (x * factor)[:1]"), Verdict.FAIL, "test_shape", r"shape", None),
    "wrong dtype": (scale("return (x * factor).astype('float32')"), Verdict.FAIL, "test_shape", "float32", None),
    "nothing returned": (scale("pass"), Verdict.FAIL, "test_shape", "None", None),
    "not a number": (scale("return x * np.nan"), Verdict.FAIL, "test_shape", "(?i)nan|finite", None),
    "an exception": (scale("return x.nope"), Verdict.FAIL, "test_shape", "AttributeError.*nope", 4),
    "an odd object": (scale("return type('Liar', (), {'shape': x.shape})()"), Verdict.FAIL, "test_shape", "Liar", None),
    "a generator": (scale("return (v for v in x)"), Verdict.FAIL, "test_shape", "generator", None),
    "an object array": (scale("return np.array([None])"), Verdict.FAIL, "test_shape", "object", None),
    "an endless list": (scale("a = []; a.append(a); return a"), Verdict.FAIL, "test_shape", "nested", None),
    "an endless loop": (scale("\n    while True:\n        x = x"), Verdict.TIMEOUT, "test_shape", r"still in scale\.py:[56] \(scale\) after [\d.]+ s of processor time|on the wall clock", None),
    "sleeping": (scale("import time; time.sleep(100)"), Verdict.TIMEOUT, "test_shape", r"still in scale\.py:4", 4),
    "exit": (scale("import os; os._exit(0)"), Verdict.CRASH, "test_shape", r"ended the process \(exit 0\)", None),
    "sys.exit": (scale("raise SystemExit(0)"), Verdict.CRASH, "test_shape", "SystemExit", 4),
    "a null pointer": (scale("import ctypes; ctypes.string_at(0)"), Verdict.CRASH, "test_shape", "SIGSEGV", 4),
    "abort": (scale("import os; os.abort()"), Verdict.CRASH, "test_shape", "SIGABRT", 4),
    "too much memory": (scale("return np.ones(1 << 30)"), Verdict.MEMORY, "test_shape", "out of memory", 4),
    "hanging up": (
        scale("import os, time; os.closerange(3, 100); time.sleep(100)"), Verdict.CRASH, "test_shape", "closed the line", None,
    ),
    "todo inside": (scale("raise NotImplementedError('later')"), Verdict.TODO, "test_shape", "later", 4),
    "recursion": (scale("return scale(x, factor)"), Verdict.FAIL, "test_shape", "RecursionError", 4),
    "a skip": (scale("import _pytest.outcomes as o; raise o.Skipped('x')"), Verdict.FAIL, "test_shape", "Skipped", 4),
    "an AssertionError": (scale("assert False, 'mine'"), Verdict.FAIL, "test_shape", "AssertionError: mine", 4),
    "torch in a numpy kata": (scale("import torch; return x"), Verdict.FORBIDDEN, "test_shape", "torch", 4),
    "torch by importlib": (
        scale("import importlib; importlib.import_module('torch')"), Verdict.FORBIDDEN, "test_shape", "torch", 4,
    ),
    "torch forgiven": (
        scale("\n    try:\n        import torch\n    except ImportError:\n        pass\n    return x * factor"),
        Verdict.FORBIDDEN, "test_shape", "torch", None,
    ),
    "in place": (scale("x *= factor; return x"), Verdict.FAIL, "test_pure", "x", None),
    "a library's own gap": (
        scale("\n    import numbers, io\n    io.IOBase().fileno() if factor else 0\n    return x"),
        Verdict.FAIL, "test_shape", "UnsupportedOperation", 6,
    ),
    "an abstract method": (
        scale("\n    import asyncio\n    asyncio.AbstractEventLoop().time()"), Verdict.FAIL, "test_shape", "NotImplementedError", 6,
    ),
    "two errors at once": (
        scale("raise ExceptionGroup('both', [ValueError('a'), TypeError('b')])"),
        Verdict.FAIL, "test_shape", "ExceptionGroup: both: ValueError: a; TypeError: b", 4,
    ),
    "a breakpoint": (scale("breakpoint(); return x"), Verdict.FAIL, "test_shape", "grade debug 01_scale", 4),
    "a debugger": (scale("import pdb; pdb.set_trace(); return x"), Verdict.FAIL, "test_shape", "grade debug", None),
    "a question": (scale("return x * float(input('factor? '))"), Verdict.FAIL, "test_shape", "nobody is at the keyboard", 4),
    "a file beside it": (
        scale("return x * float(open('factor.txt').read())"), Verdict.FAIL, "test_shape", "your file alone is handed", 4,
    ),
    "a saved array": (scale("np.save('x.npy', x); return x"), Verdict.FAIL, "test_shape", "locked away", 4),
    "a database": (
        scale("import sqlite3; sqlite3.connect('x.db').execute('select 1'); return x"),
        Verdict.FAIL, "test_shape", "OperationalError.*locked away", 4,
    ),
    "a page": (
        scale("import urllib.request; urllib.request.urlopen('http://localhost')"), Verdict.FAIL, "test_shape", "locked away", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_an_ending_has_its_verdict_its_words_and_the_learners_line(grade_source: Grade, name: str) -> None:
    source, verdict, test, words, line = ENDINGS[name]
    result = grade_source(source)
    found = next(each for each in result.tests if each.name == test)
    import re

    said = found.message + str(found.cause or "")
    assert found.verdict == verdict, (found.verdict, said)
    assert re.search(words, said), said
    assert result.verdict == verdict or result.verdict is Verdict.FAIL
    if line is not None:
        assert found.line is not None and found.line.number == line
        assert found.line.source in source
    late = {Verdict.NOT_RUN} if verdict is Verdict.TIMEOUT else set()
    assert verdicts(result)["test_halves"] in {Verdict.PASS} | late, "one test's end never touches another test"


IMPORTS = {
    "a syntax error": ("def scale(x, factor)\n    return x", Verdict.ERROR, "is not Python yet", 1),
    "an error": ("import numpy as np\n\nnp.nope", Verdict.ERROR, "does not import: AttributeError", 3),
    "a missing package": (
        "\nimport tqdm_at_all\ntqdm_at_all.tqdm()",
        Verdict.ERROR,
        "No module named 'tqdm_at_all'.*leave all else out",
        2,
    ),
    "a process": ("import subprocess\nsubprocess.run(['true'])", Verdict.ERROR, "PermissionError.*locked away", 2),
    "an exit": ("import sys\nsys.exit(0)", Verdict.ERROR, "exited while it was being imported", 2),
    "a loop": (
        "while True:\n    pass",
        Verdict.TIMEOUT,
        r"scale\.py was being imported: still in scale\.py:[12]",
        None,
    ),
    "a hard exit": ("import os\nos._exit(0)", Verdict.CRASH, "was being imported", None),
    "torch": ("import torch", Verdict.FORBIDDEN, "without torch", 1),
    "a relative import": ("from . import helpers", Verdict.ERROR, "your file alone is handed", 1),
    "a file beside it": (
        "import pathlib\nopen(pathlib.Path(__file__).resolve().parent / 'config.json')",
        Verdict.ERROR,
        "No such file.*your file alone is handed",
        2,
    ),
    "a module beside it": (
        "import helpers_beside_it\nhelpers_beside_it.help()",
        Verdict.ERROR,
        "files beside yours are not there either",
        1,
    ),
    "a name of a newer Python": ("from itertools import batching_of_tomorrow", Verdict.ERROR, "run by Python 3", 1),
    "deep nesting": ("x = " + "(" * 5000 + ")" * 5000, Verdict.ERROR, "is not Python yet|does not import", None),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_a_file_that_does_not_import_says_so_for_every_test(grade_source: Grade, name: str) -> None:
    source, verdict, words, line = IMPORTS[name]
    result = grade_source(source)
    import re

    assert result.verdict is verdict
    assert len(result.tests) == 4 and {test.verdict for test in result.tests} == {verdict}
    said = f"{result.tests[0].message} {result.tests[0].cause or ''}"
    assert re.search(words, said), said
    assert line is None or (result.tests[0].line is not None and result.tests[0].line.number == line)


REJECTED = {
    "empty": (b"", "is empty"),
    "bytes that are no text": (b"x = '\xff'\n", "not UTF-8"),
    "NUL": (b"x = 1\0\n", "NUL"),
    "50 MB": (b"#" * (50 << 20), "MiB"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_submission_is_refused_with_the_reason(grade_source: Grade, name: str) -> None:
    content, words = REJECTED[name]
    result = grade_source(content)
    assert result.verdict is Verdict.ERROR and words in result.message and result.points == 0


HONEST = {
    "arguments parsed at import": "import argparse\nargparse.ArgumentParser().parse_args()\n"
    + scale("return x * factor"),
    "a look at the process": "import sys\nassert sys.argv == ['scale.py'] == [__file__] and __name__ == 'scale'\n"
    "assert not hasattr(sys.modules['__main__'], '__file__') and 'zygote' not in str(sys.orig_argv)\n"
    + scale("return x * factor"),
    "BOM and CRLF": b"\xef\xbb\xbf" + scale("return x * factor").replace("\n", "\r\n").encode(),
    "prints": scale("\n    for i in range(300):\n        print('\\x1b[31m进度', i)\n    return x * factor"),
    "a view with negative steps": scale("return (x[::-1] * factor)[::-1]"),
    "another numpy routine": scale("import numpy.linalg, json, decimal; return np.multiply(x, factor)"),
    "a thread": scale(
        "\n    import threading\n    out = []\n    t = threading.Thread(target=lambda: out.append(x * factor))\n"
        "    t.start(); t.join()\n    return out[0]"
    ),
    "500 MB for a moment": scale("del [np.ones(20 << 20)][0:]; return x * factor"),
    "a subclass of the error": scale("return x * factor").replace(
        'ValueError("odd")', "type('Odd', (ValueError,), {})()"
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_habits_pass(grade_source: Grade, name: str) -> None:
    result = grade_source(HONEST[name])
    assert result.verdict is Verdict.PASS, [test.message for test in result.tests]


def test_what_the_learner_prints_is_kept_within_bounds(grade_source: Grade) -> None:
    result = grade_source(scale("print('a' * 10_000_000); return x"))
    test = next(each for each in result.tests if each.name == "test_values")
    assert test.verdict is Verdict.FAIL
    assert test.output.startswith("aaaa") and len(test.output) <= 20_000 and test.output_dropped > 9_000_000


LINE_REST = """
class Line(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, d))
        self.b = nn.Parameter(torch.zeros(1))
    def forward(self, x):
        return predict(x, self.w[0], self.b[0])

def fit(model, x, y, steps):
    {fit}
"""
PREDICT = "import torch\nfrom torch import nn\n\ndef predict(x, w, b):\n    {predict}\n"


def line(predict: str = "return x @ w + b", fit: str = "return [0.0]") -> str:
    return PREDICT.format(predict=predict) + LINE_REST.format(fit=fit)


def test_a_graph_that_is_cut_is_named(grade_source: Grade) -> None:
    result = grade_source(line("return (x @ w + b).detach()"), "line")
    found = verdicts(result)
    assert found["test_predict"] is Verdict.PASS
    assert found["test_gradients"] is Verdict.FAIL and found["test_three_steps"] is Verdict.FAIL


def test_a_gradient_is_compared_not_believed(grade_source: Grade) -> None:
    lying = "class F(torch.autograd.Function):\n"
    lying += "        forward = staticmethod(lambda ctx, x, w, b: x @ w + b)\n"
    lying += (
        "        backward = staticmethod(lambda ctx, g: (torch.ones(4, 3).double(), torch.ones(3).double(), g.sum()))\n"
    )
    result = grade_source(line(lying + "    return F.apply(x, w, b)"), "line")
    assert verdicts(result)["test_gradients"] is Verdict.FAIL


def test_losses_that_a_learner_reports_are_no_evidence(grade_source: Grade) -> None:
    result = grade_source(line(fit="return [1.0 / (i + 1) for i in range(steps)]"), "line")
    assert verdicts(result)["test_fit"] is Verdict.FAIL


@pytest.mark.parametrize(
    "road",
    [
        "nn.LSTM(3, 3)(x.float()[None])",
        "torch.ops.aten.lstm.input(x.float()[None], [x.new_zeros(1, 1, 3).float()] * 2, list(nn.LSTM(3, 3).parameters()), True, 1, 0.0, False, False, False)",
        "getattr(torch, 'l' + 'stm')(x.float()[None], [x.new_zeros(1, 1, 3).float()] * 2, list(nn.LSTM(3, 3).parameters()), True, 1, 0.0, False, False, False)",
        "type('Mine', (nn.LSTM,), {})(3, 3)(x.float()[None])",
        "eval('nn.LSTM(3, 3)')(x.float()[None])",
    ],
)
def test_a_forbidden_operator_is_seen_by_whatever_road(grade_source: Grade, road: str) -> None:
    result = grade_source(
        line(f"\n    try:\n        {road}\n    except Exception:\n        pass\n    return x @ w + b"), "line"
    )
    assert verdicts(result)["test_predict"] is Verdict.FORBIDDEN
    assert "aten::lstm" in result.tests[0].message


CLUSTERS = """\
import sys

WARM = "sklearn.cluster" in sys.modules  # before this file has imported anything

import torch
from sklearn.cluster import KMeans
from torch import nn


def predict(x, w, b):
    assert WARM, "scikit-learn is cold"
    kmeans = KMeans(2, n_init=1, random_state=0).fit([[0.0], [0.1], [5.0]])
    assert kmeans.predict([[4.0]])[0] == kmeans.labels_[2]
    return x @ w + b
"""


def test_a_worker_that_holds_scikit_learn_is_warm_locked_and_clusters(tmp_path: Path) -> None:
    course = tmp_path / "course"
    shutil.copytree(TOY, course)
    manifest = course / "katas/02_line/kata.toml"
    text = manifest.read_text().replace('worker = "torch"', 'worker = "sklearn"')
    manifest.write_text(text.replace('imports = ["sklearn"]', "imports = []"))
    found = find(course, course)
    (line,) = found.select(["line"])
    (tmp_path / "line.py").write_text(CLUSTERS)
    session = Session(found, Store(tmp_path / "store", lambda text: None), jobs=1)
    (result,) = session.grade([line], tmp_path, fresh=True).katas
    session.close()
    said = [test.message for test in result.tests]
    assert verdicts(result)["test_predict"] == Verdict.PASS, said


def test_what_was_told_of_is_in_the_scorecard_of_an_interrupted_run(toy: Course, tmp_path: Path) -> None:
    class Impatient(Listener):
        def finished(self, result: KataResult) -> None:
            raise KeyboardInterrupt

    session = Session(toy, Store(tmp_path, lambda text: None))
    card = session.grade(toy.katas[:1], listener=Impatient())
    session.close()
    assert [kata.id for kata in card.katas] == [toy.katas[0].id] and card.unfinished == ()


def test_a_function_that_the_file_lacks_is_told_as_such(grade_source: Grade) -> None:
    result = grade_source("import numpy as np\n\n\ndef scale(x, factor):\n    return x * factor\n")
    said = {test.name: test.message for test in result.tests if test.verdict is not Verdict.PASS}
    assert said["test_halves"] == "scale.py defines no halves: the suite asks for just this name"
