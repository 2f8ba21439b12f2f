"""Which public callables of a library reach a kata's answer although the kata forbids the job: tried with tensors.

Every module of torch (and of scikit-learn, where a kata forbids a job of its) is imported and walked. What stands there is
called, in a process that forbids what the kata forbids, in all the ways in which somebody would hand it the kata's own
tensors; what gives the answer is printed, and is to be refused. A second list has what was not refused and has a word
of the job in its name or its source: a reader decides.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import pkgutil
import re
import resource
import signal
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.worker import jobs
from grader.worker.loader import Forbidden

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 2  # for one callable
MEMORY = 3 << 30
PART = 250  # callables that share a process
SKIPPED = re.compile(
    r"torch\.(_C|_dynamo|_export|_inductor|_lazy|_vendor|backends|bin|compiler|contrib|cuda|distributed|fx|jit|lib|monitor"
    r"|mps|mtia|multiprocessing|onnx|package|profiler|testing|utils|xpu)(\.|$)|sklearn\.(datasets|externals)|\.tests(\.|$)"
)
Answers = list[Tensor]
Calls = Callable[[Any], Iterator[Any]]


@dataclass(frozen=True)
class Adapter:
    """What a kata's entry point answers, how a callable is tried, and the words that tell the job."""

    answers: Callable[[], Answers]
    calls: Calls
    words: str


def _drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def _with_weights(kind: Any, weights: list[Tensor], *arguments: Any, **options: Any) -> Any:
    """A layer with the kata's weights, put where their shapes fit."""
    layer, left = kind(*arguments, **options).double(), list(weights)
    for parameter in layer.parameters():
        place = next(i for i, weight in enumerate(left) if weight.shape == parameter.shape)
        parameter.data.copy_(left.pop(place))
    return layer


X, H, C = _drawn(2, 3), _drawn(2, 5), _drawn(2, 5) + 1


def _recurrent(gates: int, states: Any) -> Adapter:
    weights = [_drawn(gates * 5, 3), _drawn(gates * 5, 5), _drawn(gates * 5), 2 * _drawn(gates * 5)]

    def answers() -> Answers:
        cell = _with_weights(nn.LSTMCell if gates == 4 else nn.GRUCell, weights, 3, 5)
        found = cell(X, states)
        return [found[0] if gates == 4 else found]

    def calls(thing: Any) -> Iterator[Any]:
        longer = tuple(s[None] for s in states) if gates == 4 else states[None]
        if isinstance(thing, type):
            layer = _with_weights(thing, weights, 3, 5)
            yield lambda: layer(X, states)
            yield lambda: layer(X[None], longer)
            return
        yield lambda: thing(X, states, *weights)
        yield lambda: thing(X, *(states if gates == 4 else (states,)), *weights)
        for bias in (True, False):
            yield lambda bias=bias: thing(X[None], longer, weights, bias, 1, 0.0, False, False, False)
            yield lambda bias=bias: thing(X[None], longer, weights, bias, 1, 0.0, False, False)

    return Adapter(answers, calls, "lstm|gru|rnn")


def _attention() -> Adapter:
    q, k, v = _drawn(2, 3, 4, 8), _drawn(2, 3, 5, 8), 2 * _drawn(2, 3, 5, 8)
    eyes = [torch.eye(8, dtype=torch.float64).repeat(3, 1), torch.eye(8, dtype=torch.float64)]

    def calls(thing: Any) -> Iterator[Any]:
        for one in (
            (q, k, v),
            (q[0], k[0], v[0]),
            (q[0, 0], k[0, 0], v[0, 0]),
            (q[0, 0][:, None], k[0, 0][:, None], v[0, 0][:, None]),
        ):
            yield lambda one=one: thing(*one)
            yield lambda one=one: thing()(*one)
            yield lambda one=one: _with_weights(thing, eyes, 8, 1, bias=False)(*one)
        yield lambda: thing(q, k, v, None, 8**-0.5)
        yield lambda: thing(
            *(t[0, 0][:, None] for t in (q, k, v)), 8, 1, eyes[0], None, None, None, False, 0.0, eyes[1], None
        )

    def answers() -> Answers:
        return [F.scaled_dot_product_attention(q, k, v)]

    return Adapter(answers, calls, "attention|softmax")


def _transposed() -> Adapter:
    x, weight, bias = _drawn(2, 3, 4, 5), _drawn(3, 2, 3, 2), _drawn(2)
    size = (2, 2, 9, 10)  # stride 2, padding 0

    def calls(thing: Any) -> Iterator[Any]:
        yield lambda: thing(x, weight, bias, 2)
        yield lambda: thing(x, weight, bias, [2, 2], [0, 0], [1, 1], True, [0, 0], 1)
        yield lambda: thing(x, weight, bias, [2, 2], [0, 0], [1, 1], True, [0, 0], 1, False, False, True, True)
        yield lambda: thing(size, weight, x, 2) + bias[:, None, None]
        yield lambda: thing(
            x, torch.empty(size).double(), weight, None, [2, 2], [0, 0], [1, 1], False, [0, 0], 1, [True, False, False]
        )
        yield lambda: _with_weights(thing, [weight, bias], 3, 2, (3, 2), stride=2)(x)

    def answers() -> Answers:
        return [F.conv_transpose2d(x, weight, bias, 2)]

    return Adapter(answers, calls, "conv_transpose|convolution_backward|transposed")


def _ctc() -> Adapter:
    log_probs, targets = _drawn(6, 2, 4).log_softmax(2), torch.tensor([[1, 2], [3, 3]])
    frames, labels = torch.tensor([6, 5]), torch.tensor([2, 2])

    def calls(thing: Any) -> Iterator[Any]:
        yield lambda: thing(log_probs, targets, frames, labels)
        yield lambda: thing(log_probs, targets, frames, labels, 0, "none")
        yield lambda: thing(log_probs, targets, frames, labels, 0, 0)
        yield lambda: thing(log_probs, targets, frames.tolist(), labels.tolist(), 0)
        yield lambda: thing(reduction="none")(log_probs, targets, frames, labels)

    def answers() -> Answers:
        return [F.ctc_loss(log_probs, targets, frames, labels, reduction="none")]

    return Adapter(answers, calls, "ctc")


def _binary() -> Adapter:
    logits, x = _drawn(4, 3), (_drawn(4, 3) > 0).double()
    signs = 2 * x - 1

    def calls(thing: Any) -> Iterator[Any]:
        for one in ((logits, x), (x, logits), (logits.sigmoid(), x), (logits, signs)):
            yield lambda one=one: thing(*one)
            yield lambda one=one: thing(*one, reduction="none")
            yield lambda one=one: thing(*one, None, None, 0)
            yield lambda one=one: thing(*one, 0)
            yield lambda one=one: thing(reduction="none")(*one)
        for options in ({"logits": logits}, {"probs": logits.sigmoid()}, {"total_count": 1, "logits": logits}):
            yield lambda options=options: thing(**options).log_prob(x)

    def answers() -> Answers:
        found = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return [found, found.sum(1), found.mean(1), found.mean()]

    return Adapter(answers, calls, "binary_cross_entropy|bernoulli|logsigmoid|softplus")


def _transformer() -> Adapter:
    x = _drawn(2, 4, 8)
    weights = [
        _drawn(24, 8),
        _drawn(24),
        _drawn(8, 8),
        _drawn(8),
        _drawn(6, 8),
        _drawn(6),
        _drawn(8, 6),
        *(_drawn(8),) * 5,
    ]

    def calls(thing: Any) -> Iterator[Any]:
        options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        yield lambda: _with_weights(thing, weights, 8, 2, 6, **options)(x)
        yield lambda: _with_weights(thing, weights, 8, 2, 6, **options).eval()(x)

    def answers() -> Answers:
        return [next(calls(nn.TransformerEncoderLayer))()]

    return Adapter(answers, calls, "transformer|encoder_layer")


def _scores() -> Adapter:
    labels, clusters = torch.tensor([0, 0, 0, 1, 1, 1]).numpy(), torch.tensor([5, 5, 7, 7, 7, 7]).numpy()

    def calls(thing: Any) -> Iterator[Any]:
        yield lambda: thing(labels, clusters)
        yield lambda: thing(labels, clusters)[2]

    def answers() -> Answers:
        return [torch.tensor(0.32432432432432434).double(), torch.tensor(0.3182570842 / 0.6648306744).double()]

    return Adapter(answers, calls, "rand_score|mutual_info|v_measure")


ADAPTERS = {
    "04_lstm": _recurrent(4, (H, C)),
    "08_latent_clusters": _scores(),
    "09_conv_autoencoder": _transposed(),
    "11_transformer_forecast": _attention(),
    "12_speech_ctc": _ctc(),
    "13_gru_forecast": _recurrent(3, H),
    "14_vit": _transformer(),
    "17_conv_vae": _binary(),
}


def walk(library: str) -> dict[int, tuple[str, Any]]:
    """Every callable of the library's modules, by identity, with the shortest of its names."""
    _import_all(library)
    things: dict[int, tuple[str, Any]] = {}
    homes = {name: vars(module) for name, module in list(sys.modules.items()) if name.partition(".")[0] == library}
    if library == "torch":
        homes |= {"torch.ops.aten": {n: getattr(torch.ops.aten, n) for n in dir(torch.ops.aten)}}
        homes |= {"torch._VF": {n: getattr(torch._VF, n) for n in dir(torch._C._VariableFunctions)}}
        homes |= {"torch._C._nn": vars(torch._C._nn)}
    for home, names in sorted(homes.items()):
        if SKIPPED.search(home) and home != "torch._C._nn":
            continue
        for name, value in list(names.items()):
            full = f"{home}.{name}"
            if (
                callable(value)
                and not name.startswith("__")
                and len(full) < len(things.get(id(value), ("x" * 999,))[0])
            ):
                things[id(value)] = (full, value)
    return things


def _import_all(name: str) -> None:
    if SKIPPED.search(name):
        return
    with contextlib.suppress(BaseException):
        for found in pkgutil.iter_modules(getattr(importlib.import_module(name), "__path__", ())):
            _import_all(f"{name}.{found.name}")


def reaches(adapter: Adapter, answers: Answers, thing: Any) -> bool:
    """Whether one of the calls gives the answer, as it is, as a part of what is returned, or with the other sign."""
    with _forgiven():
        for call in adapter.calls(thing):
            with _forgiven():
                if any(_same(value, answer) for value in _tensors(call()) for answer in answers):
                    return True
    return False


@contextlib.contextmanager
def _forgiven() -> Iterator[None]:
    """What a callable raises is no matter, unless its time is over."""
    try:
        yield
    except TimeoutError:
        raise
    except Exception:
        pass


def _same(value: Tensor, answer: Tensor) -> bool:
    value = value.detach().double()
    if value.numel() != answer.numel() and answer.dim() == 4:  # one head, or one sequence, of the answer
        answer = answer[0] if value.numel() == answer[0].numel() else answer[0, 0]
    if value.numel() != answer.numel():
        return False
    value, answer = value.flatten(), answer.detach().double().flatten()
    return bool(
        torch.allclose(value, answer, rtol=1e-5, atol=1e-6) or torch.allclose(-value, answer, rtol=1e-5, atol=1e-6)
    )


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [tensor for part in value for tensor in _tensors(part)]
    return [torch.tensor(value)] if isinstance(value, float) else []


def mentions(name: str, thing: Any, words: str) -> bool:
    if re.search(words, name, re.IGNORECASE):
        return True
    with contextlib.suppress(Exception):
        return re.search(words, inspect.getsource(inspect.unwrap(thing)), re.IGNORECASE) is not None
    return False


def audit(adapter: Adapter, forbidden: Mapping[str, Any], part: Sequence[tuple[str, Any]]) -> list[str]:
    """What of this part reaches the answer, or speaks of the job, and is not refused: `REACHES torch.lstm`."""
    answers, told = adapter.answers(), []
    speaking = {name for name, thing in part if mentions(name, thing, adapter.words)}
    refused = {id(thing) for job in forbidden["jobs"] for thing in jobs.done_by(job)}
    kernels = {
        name.partition("::")[2].partition(".")[0] for job in forbidden["jobs"] for name, _ in jobs.operators_of(job)
    }
    speaking -= {name for name, thing in part if id(thing) in refused or name.rpartition(".")[2] in kernels}
    watch = Forbidden((), forbidden.get("operators", ()), forbidden["jobs"])
    for name, thing in part:
        watch.seen.clear()
        signal.alarm(SECONDS)
        try:
            found = reaches(adapter, answers, thing)
        except TimeoutError:
            found = False
        finally:
            signal.alarm(0)
        if not watch.seen and (found or name in speaking):
            told.append(f"REACHES {name}" if found else f"speaks of it: {name}")
    return told


def in_processes(adapter: Adapter, forbidden: Mapping[str, Any], part: Sequence[tuple[str, Any]]) -> list[str]:
    """The same in a process of its own, since some callables end theirs; then what came before and after is tried again."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))  # some make as much room as they are told to
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.write(writer, json.dumps(audit(adapter, forbidden, part)).encode()[:65000])
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    print(".", end="", file=sys.stderr, flush=True)
    if not status and text:
        told: list[str] = json.loads(text)
        return told
    if len(part) == 1:
        return [f"ends its process: {part[0][0]}"]
    half = len(part) // 2
    return in_processes(adapter, forbidden, part[:half]) + in_processes(adapter, forbidden, part[half:])


def main(katas: list[str]) -> int:
    def late(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    walked = {library: walk(library) for library in ("torch", "sklearn")}
    jobs.survey()
    failed = False
    for kata in katas or list(ADAPTERS):
        forbidden = tomllib.loads((ROOT / f"katas/{kata}/kata.toml").read_text(encoding="utf-8"))["forbidden"]
        library = jobs.JOBS[forbidden["jobs"][0]].library
        named = sorted(walked[library].values(), key=lambda each: each[0])
        told = [
            line
            for start in range(0, len(named), PART)
            for line in in_processes(ADAPTERS[kata], forbidden, named[start : start + PART])
        ]
        reached = sum(line.startswith("REACHES") for line in told)
        failed = failed or bool(reached)
        print(f"\n{kata}: {len(named)} callables of {library}, {reached} reach the answer unseen")
        print("".join(f"  {line}\n" for line in sorted(told)), end="", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
