"""What a kata forbids is refused on every road to it: tried by going there, each time in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from textwrap import dedent, indent

import pytest

CHILD = """
import json, os, sys
from grader.worker.loader import Forbidden, load

cases = json.load(sys.stdin)
for name in sys.argv[1:]:
    __import__(name)
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)

def outcome(case):
    forbidden = Forbidden(case["imports"], case["operators"], case["jobs"])
    try:
        module, _ = load(case["source"].encode(), "answer.py", "answer", forbidden)
        said = repr(module.road())
    except BaseException as error:
        said = type(error).__name__
    return {"said": said, "seen": forbidden.seen}

answers = []
for case in cases:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, json.dumps(outcome(case)).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answers.append(pipe.read().decode() or "null")
    os.waitpid(pid, 0)
print("[" + ",".join(answers) + "]")
"""


@dataclass(frozen=True)
class Case:
    """One learner's file, whose function `road` goes to what is forbidden."""

    source: str
    imports: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()


def outcomes(cases: dict[str, Case], *warm: str) -> dict[str, dict[str, object]]:
    """What each file said and what was seen of it, from one process that has imported `warm` and forks for each."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, *warm],
        input=json.dumps([asdict(case) for case in cases.values()]),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return dict(zip(cases, json.loads(done.stdout.splitlines()[-1]), strict=True))


# Operators: every call in every setting

SETTINGS = """
def plain(x):
    return call(x)

def with_requires_grad(x):
    return call(x.requires_grad_())

def without_grad(x):
    with torch.no_grad():
        return call(x)

def in_inference_mode(x):
    with torch.inference_mode():
        return call(x)

def made_in_inference_mode(x):
    with torch.inference_mode():
        return call(x + 1)

def in_autocast(x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return call(x)

def in_vmap(x):
    return torch.func.vmap(call)(torch.stack([x, x]))

def in_vmap_without_grad(x):
    with torch.no_grad():
        return torch.func.vmap(call)(torch.stack([x, x]))

def in_func_grad(x):
    return torch.func.grad(lambda x: call(x).sum())(x)

def in_vmap_of_grad(x):
    return torch.func.vmap(torch.func.grad(lambda x: call(x).sum()))(torch.stack([x, x]))

def in_jvp(x):
    return torch.func.jvp(call, (x,), (x,))
"""

CALLS = {
    "aten::lstm": {
        "nn.LSTM": "return LSTM(x)",
        "a subclass": "return MINE(x)",
        "torch._VF.lstm": "return torch._VF.lstm(x, STATE, WEIGHTS, True, 1, 0.0, False, False, False)",
        "torch.lstm": "return torch.lstm(x, STATE, WEIGHTS, True, 1, 0.0, False, False, False)",
        "torch.ops, the overload": (
            "return torch.ops.aten.lstm.input(x, STATE, WEIGHTS, True, 1, 0.0, False, False, False)"
        ),
        "torch.ops": "return torch.ops.aten.lstm(x, STATE, WEIGHTS, True, 1, 0.0, False, False, False)",
    },
    "aten::scaled_dot_product_attention": {
        "F": "return F.scaled_dot_product_attention(x, x, x)",
        "torch._C._nn": "return torch._C._nn.scaled_dot_product_attention(x, x, x)",
        "torch.ops": "return torch.ops.aten.scaled_dot_product_attention(x, x, x, is_causal=True)",
        "nn.MultiheadAttention": "return MHA(x, x, x, need_weights=False)[0]",
    },
    "aten::convolution": {
        "F.conv1d": "return F.conv1d(x, KERNEL)",
        "nn.Conv1d": "return CONV(x)",
        "nn.ConvTranspose1d": "return TRANSPOSED(x)",
        "padding by name": "return F.conv1d(x, KERNEL, padding='same')",
        "torch.convolution": "return torch.convolution(x, KERNEL, None, [1], [0], [1], False, [0], 1)",
        "torch.ops": "return torch.ops.aten.convolution(x, KERNEL, None, [1], [0], [1], False, [0], 1)",
    },
}

ROAD = """
import torch
from torch import nn
import torch.nn.functional as F

class Mine(nn.LSTM):
    pass

LSTM, MINE, MHA = nn.LSTM(4, 5), Mine(4, 5), nn.MultiheadAttention(4, 2)
CONV, TRANSPOSED = nn.Conv1d(3, 2, 3), nn.ConvTranspose1d(3, 2, 3)
WEIGHTS, STATE = LSTM._flat_weights, (torch.zeros(1, 3, 5), torch.zeros(1, 3, 5))
KERNEL = torch.ones(2, 3, 3)

def call(x):
    {call}

{settings}

def road():
    said = {{}}
    for setting in ({names}):
        try:
            setting(torch.ones(2, 3, 4))
            said[setting.__name__] = "got through"
        except Exception as error:
            said[setting.__name__] = type(error).__name__
    return said
"""


@pytest.mark.parametrize("operator", CALLS)
def test_a_forbidden_operator_is_refused_and_noted_in_every_setting(operator: str) -> None:
    names = re.findall(r"^def (\w+)", SETTINGS, re.MULTILINE)
    cases = {
        name: Case(ROAD.format(call=call, settings=SETTINGS, names=", ".join(names)), operators=(operator,))
        for name, call in CALLS[operator].items()
    }
    for name, answer in outcomes(cases, "torch", "torch._decomp.decompositions_for_jvp").items():
        assert answer == {"said": repr(dict.fromkeys(names, "ForbiddenOperator")), "seen": [operator]}, name


ATTENTION = ("aten::scaled_dot_product_attention", "aten::_scaled_dot_product_attention_math")
FAST_PATHS = ("aten::_native_multi_head_attention", "aten::_transformer_encoder_layer_fwd")

FUNCTION = "torch.nn.functional.multi_head_attention_forward"
OTHER_ROADS = {
    "torch.jit.script": (
        ("aten::scaled_dot_product_attention",),
        """
        def attend(q):
            return torch.nn.functional.scaled_dot_product_attention(q, q, q)
        def road():
            return torch.jit.script(attend)(torch.ones(1, 2, 3))
        """,
    ),
    "a packed sequence": (
        ("aten::lstm",),
        """
        def road():
            return nn.LSTM(4, 5)(nn.utils.rnn.pack_padded_sequence(torch.ones(3, 2, 4), [3, 2]))
        """,
    ),
    "torch.jit.trace": (
        ("aten::lstm",),
        """
        def road():
            return torch.jit.trace(nn.LSTM(4, 5), torch.ones(3, 2, 4))
        """,
    ),
    "float64": (
        ("aten::lstm",),
        """
        def road():
            return nn.LSTM(4, 5).double()(torch.ones(3, 2, 4, dtype=torch.float64))
        """,
    ),
    "nn.MultiheadAttention's fast path": (
        (*ATTENTION, *FAST_PATHS),
        """
        def road():
            with torch.no_grad():
                return nn.MultiheadAttention(4, 2, batch_first=True).eval()(*[torch.ones(1, 3, 4)] * 3)
        """,
    ),
    "nn.MultiheadAttention in training, which is made of products and a softmax": (
        (FUNCTION,),
        """
        def road():
            return nn.MultiheadAttention(4, 2, batch_first=True)(*[torch.ones(1, 3, 4)] * 3)
        """,
    ),
    "its function, from its module": (
        (FUNCTION,),
        """
        from torch.nn.functional import multi_head_attention_forward
        def road():
            return multi_head_attention_forward(*[torch.ones(1, 3, 4)] * 3)
        """,
    ),
    "nn.TransformerEncoderLayer's fast path": (
        (*ATTENTION, *FAST_PATHS),
        """
        def road():
            with torch.inference_mode():
                return nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()(torch.ones(1, 3, 4))
        """,
    ),
    "nn.TransformerEncoderLayer in training": (
        ("aten::scaled_dot_product_attention",),
        """
        def road():
            return nn.TransformerEncoderLayer(4, 2, 8)(torch.ones(3, 1, 4))
        """,
    ),
    "nested tensors": (
        ATTENTION,
        """
        def road():
            parts = [torch.randn(3, 4, 8), torch.randn(5, 4, 8)]
            q = torch.nested.nested_tensor(parts, layout=torch.jagged).transpose(1, 2)
            return torch.nn.functional.scaled_dot_product_attention(q, q, q)
        """,
    ),
    "mkldnn tensors": (
        ("aten::convolution",),
        """
        def road():
            x, kernel = torch.ones(1, 3, 8, 8).to_mkldnn(), torch.ones(2, 3, 3, 3).to_mkldnn()
            return torch.nn.functional.conv2d(x, kernel).to_dense()
        """,
    ),
    "the out= overload": (
        ("aten::convolution",),
        """
        def road():
            x, kernel, out = torch.ones(1, 3, 8), torch.ones(2, 3, 3), torch.empty(1, 2, 6)
            return torch.ops.aten.convolution.out(x, kernel, None, [1], [0], [1], False, [0], 1, out=out)
        """,
    ),
    "past every key that tensors have": (
        ("aten::lstm",),
        """
        def road():
            x, h, w = torch.ones(3, 2, 4).double(), torch.zeros(1, 2, 5).double(), torch.ones(20, 4).double()
            weights, keys = [w, torch.ones(20, 5).double()], torch._C.DispatchKeySet(torch._C.DispatchKey.Meta)
            return torch.ops.aten.lstm.input.redispatch(keys, x, (h, h), weights, False, 1, 0.0, False, False, False)
        """,
    ),
    "inside a caught exception": (
        ("aten::lstm",),
        """
        def road():
            try:
                return nn.LSTM(4, 5)(torch.ones(3, 2, 4))
            except Exception:
                return "hidden"
        """,
    ),
}


def test_a_forbidden_operator_is_noted_on_the_roads_that_few_go() -> None:
    cases = {
        name: Case("import torch\nfrom torch import nn\n" + dedent(text), operators=operators)
        for name, (operators, text) in OTHER_ROADS.items()
    }
    answers = outcomes(cases, "torch")
    assert {name for name, answer in answers.items() if not answer["seen"]} == set()
    assert answers["inside a caught exception"]["said"] == "'hidden'"


ALLOWED = """
import torch
from torch import nn

def road():
    x = torch.ones(3, 2, 4, requires_grad=True)
    h, c = nn.LSTMCell(4, 5)(x[0])
    loss = h.sum() + torch.func.vmap(nn.Linear(4, 3))(x).sum() + nn.GRU(4, 5)(x)[0].sum()
    loss.backward()
    return tuple(x.grad.shape)
"""


def test_what_is_not_forbidden_works_as_ever() -> None:
    """An operator that this version of torch does not have is forbidden without a word."""
    case = Case(
        ALLOWED,
        operators=("aten::lstm", "aten::convolution", "aten::not_invented_yet", "torch.nn.not_invented_yet", FUNCTION),
    )
    (answer,) = outcomes({"": case}, "torch").values()
    assert answer == {"said": "(3, 2, 4)", "seen": []}


# Imports

IMPORTS = {
    "import": "import wave",
    "import as": "import wave as w",
    "from import": "from wave import open",
    "import of a submodule": "import wave.nothing",
    "in a function": "def f():\n    import wave\nf()",
    "__import__": "__import__('wave')",
    "builtins": "import builtins\nbuiltins.__import__('wave')",
    "importlib": "import importlib\nimportlib.import_module('wave')",
    "importlib's __import__": "import importlib\nimportlib.__import__('wave')",
    "importlib, from": "from importlib import import_module\nimport_module('wave')",
    "find_spec": "import importlib.util\nimportlib.util.find_spec('wave')",
    "exec": "exec('import wave')",
    "exec with globals of its own": "exec('import wave', {})",
    "eval": "eval('__import__')('wave')",
    "runpy": "import runpy\nrunpy.run_module('wave')",
    "pkgutil": "import pkgutil\npkgutil.resolve_name('wave')",
    "unittest.mock": "import unittest.mock\nunittest.mock.patch('wave.open').start()",
    "a library that imports what it is told": "import pytest\npytest.importorskip('wave')",
    "in a thread": (
        "import threading\nthreading.excepthook = lambda error: None\n"
        "thread = threading.Thread(target=__import__, args=('wave',))\nthread.start()\nthread.join()"
    ),
}


def import_cases() -> dict[str, Case]:
    return {name: Case(f"def road():\n{indent(text, '    ')}", imports=("wave",)) for name, text in IMPORTS.items()}


def test_a_forbidden_module_is_refused_on_every_road() -> None:
    answers = outcomes(import_cases())
    assert {name for name, answer in answers.items() if answer["seen"] != ["import wave"]} == set()
    assert {name for name, answer in answers.items() if answer["said"] != "ForbiddenImport"} == {"in a thread", "runpy"}


@pytest.mark.parametrize("road", ["import", "from import", "in a function", "__import__", "importlib", "exec"])
def test_a_forbidden_module_is_refused_even_if_the_worker_has_loaded_it(road: str) -> None:
    (answer,) = outcomes({"": import_cases()[road]}, "wave").values()
    assert answer == {"said": "ForbiddenImport", "seen": ["import wave"]}


def test_a_library_may_import_for_itself_what_the_learner_may_not() -> None:
    source = "def road():\n    from sklearn import cluster\n    return cluster.KMeans.__name__"
    (answer,) = outcomes({"": Case(source, imports=("scipy",))}).values()
    assert answer == {"said": "'KMeans'", "seen": []}


FILES_OF_IT = {
    "spec_from_file_location": "spec = util.spec_from_file_location('mine', FILE)\nspec.loader.exec_module(util.module_from_spec(spec))",
    "a loader": "machinery.SourceFileLoader('mine', FILE).load_module()",
    "a loader of extensions": "machinery.ExtensionFileLoader('mine', LIBRARY).create_module(machinery.ModuleSpec('mine', None, origin=LIBRARY))",
    "a loader without the source": "machinery.SourcelessFileLoader('mine', COMPILED).get_code('mine')",
    "runpy": "runpy.run_path(FILE)",
    "exec": "exec(open(FILE).read())",
    "pathlib": "exec(pathlib.Path(FILE).read_text())",
    "its folder on the path": "sys.path.insert(0, os.path.dirname(FILE))\nimport _distributor_init",
    "numpy's loader of libraries": "numpy.ctypeslib.load_library(LIBRARY, '/')",
    "ctypes": "ctypes.CDLL(LIBRARY)",
    "by way of another folder": "open(os.path.join(os.path.dirname(numpy.__file__), '..', 'scipy', 'version.py'))",
}


def test_a_forbidden_module_is_refused_by_its_files_under_any_name() -> None:
    code = """
        import ctypes, importlib.machinery as machinery, importlib.util as util, os, pathlib, runpy, sys
        import glob, numpy
        HOME = os.path.join(os.path.dirname(os.path.dirname(numpy.__file__)), "scipy")
        FILE = os.path.join(HOME, "_distributor_init.py")
        COMPILED = glob.glob(HOME + "/__pycache__/version*.pyc")[0]
        LIBRARY = glob.glob(HOME + "/*/_*.so")[0]
        def road():
        """
    cases = {name: Case(dedent(code) + indent(road, "    "), imports=("scipy",)) for name, road in FILES_OF_IT.items()}
    answers = outcomes(cases, "numpy")
    assert {name for name, answer in answers.items() if answer["seen"] != ["import scipy"]} == set()


def test_other_files_are_free_to_read() -> None:
    source = "import numpy\ndef road():\n    return len(open(numpy.__file__).read()) > 0"
    (answer,) = outcomes({"": Case(source, imports=("scipy",))}).values()
    assert answer == {"said": "True", "seen": []}


def test_a_name_that_begins_like_a_forbidden_one_is_free() -> None:
    source = "def road():\n    import colorsys, wave\n    return wave.__name__"
    (answer,) = outcomes({"": Case(source, imports=("wav", "color"))}).values()
    assert answer == {"said": "'wave'", "seen": []}


# The file

FILES = {
    "plain": b"def road():\n    return __name__, __file__\n",
    "byte-order mark": b"\xef\xbb\xbfdef road():\n    return __name__, __file__\n",
    "CRLF": b"def road():\r\n    return __name__, __file__\r\n",
    "no final newline": b"def road():\n    return __name__, __file__",
    "cookie": b"# -*- coding: utf-8 -*-\ndef road():\n    return __name__, __file__\n",
}


@pytest.mark.parametrize("form", FILES)
def test_a_file_loads_in_every_usual_form(form: str) -> None:
    (answer,) = outcomes({"": Case(FILES[form].decode("utf-8"))}).values()
    assert answer == {"said": "('answer', 'answer.py')", "seen": []}


def test_a_dataclass_and_its_source_are_found_by_the_standard_library() -> None:
    source = dedent(
        """
        import inspect
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: "int" = 3
        def road():
            return Point(), len(inspect.getsource(Point).splitlines())
        """
    )
    (answer,) = outcomes({"": Case(source)}).values()
    assert answer == {"said": "(Point(x=3), 3)", "seen": []}
