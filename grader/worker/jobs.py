"""What a library does for a kata's whole job: found by name, wherever in the library it stands.

Libraries do the same job in many places. Torch's LSTM is an operator, a layer above it, a layer for quantisation that is
made of products and sigmoids, a decomposition, and whatever the next version adds. So a job is told by the words in a
name, and everything so named is refused, unless a job leaves it out on purpose.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from types import FunctionType, ModuleType
from typing import Any

_OPTIMISERS = "ada(delta|factor|grad|m|mw|m_w|max)|asgd|lbfgs|muon|[nr]_?adam|rms_?prop|rprop|sgd|sparse_adam"


@dataclass(frozen=True)
class Job:
    """One job, and where it is done.

    `names` is looked for in the names of functions, and of classes with `class ` before them, in words: `LSTMCell` is
    `class lstm_cell`. `operators` is looked for in those of torch's dispatcher. `calls` are builtin functions that do
    this job and others, by their full names: their operators stay free for the layers that are made of them.
    """

    names: str
    operators: str = ""
    calls: tuple[str, ...] = ()
    library: str = "torch"


JOBS = {
    "recurrent": Job(r"(^|[_ ])(lstm|gru|rnn)(_|$)", r"(^|_)(lstm|gru|rnn)(_|$)"),
    "attention": Job(r"attention|multi_?head|(^|_)(attn|mha|sdpa)$|[_ ]transformer", r"attention|_transformer_"),
    "transformer": Job(r"[_ ]transformer(_|$)", r"_transformer_"),
    "convolution": Job(r"(^|[_ ])conv(\d|_|$|olution)", r"(^|_)conv(\d|_|olution)"),
    "transposed-convolution": Job(
        r"conv_?transpose|(^|_)deconv|conv\dd_input$|^_?convolution$",
        r"conv(olution)?_transpose|transpose_clamp",
        tuple(
            f"{where}.{name}"
            for where in ("torch", "torch._VF", "torch.ops.aten")
            for name in ("convolution", "_convolution", "convolution_backward", "convolution_overrideable")
        ),
    ),
    "normalisation": Job(
        r"(batch|group|instance|layer|local_response|rms)_?norm", r"(batch|group|instance|layer|rms)_norm"
    ),
    "losses": Job(r"_loss$|cross_entropy|kl_div|(^|_)nll(_|$)", r"_loss|cross_entropy|(^|_)kl_div"),
    "binary-cross-entropy": Job(
        r"binary_cross_entropy|(^|[_ ])bce(_|$)|soft_margin|kl_bernoulli_bernoulli|^class (bernoulli|binomial|continuous_bernoulli)$",
        r"binary_cross_entropy|soft_margin_loss",
    ),
    "ctc": Job(r"(^|[_ ])ctc(_|$)", r"(^|_)ctc_"),
    "optimisers": Job(rf"(^|[_ ])({_OPTIMISERS})$", rf"_fused_({_OPTIMISERS})"),
    "cluster-scores": Job(
        r"rand_score|mutual_info|v_measure|homogeneity|completeness|fowlkes|pair_confusion", library="sklearn"
    ),
}

_LIBRARIES = frozenset(job.library for job in JOBS.values())
_NAMES = {name: re.compile(job.names) for name, job in JOBS.items()}
_ANY = re.compile("|".join(job.names for job in JOBS.values()))
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Where torch works on graphs and machines instead of numbers, which is half of its modules.
_NO_NUMBERS = frozenset(
    [
        "_C",
        "_dynamo",
        "_export",
        "_functorch",
        "_inductor",
        "_meta_registrations",
        "_subclasses",
        "cuda",
        "distributed",
        "fx",
        "jit",
        "onnx",
        "utils",
    ]
)

# What does the work in an object of a class, by the class's most general base. What it is given must be read first, so
# making one stays free: a layer may hold weights.
_WORKING = {
    "torch.nn.modules.module.Module": ("forward",),
    "torch.optim.optimizer.Optimizer": ("step",),
    "torch.distributions.distribution.Distribution": ("log_prob",),
    "torch.autograd.function.Function": ("forward", "apply"),
    "torch._ops.HigherOrderOperator": ("__call__",),
}

Operator = tuple[str, tuple[str, ...]]

# Where a call of an operator arrives that is made of others, whatever its tensors: plain ones with and without autograd,
# mkldnn and nested ones, and those of torch.func, whose vmap would take the operator apart before any of the other keys
# is reached. Last, where a call lands that is sent past all of these (`torch.ops.aten.lstm.input.redispatch`).
COMPOSITE_KEYS = (
    "AutogradCPU",
    "CPU",
    "AutogradOther",
    "AutogradNestedTensor",
    "NestedTensorCPU",
    "FuncTorchDynamicLayerFrontMode",
    "CompositeImplicitAutograd",
)
_CPU = ("CPU", "QuantizedCPU", "MkldnnCPU", "NestedTensorCPU")

_seen: set[str] = set()
_found: dict[str, dict[int, Any]] = {name: {} for name in JOBS}
_operators: dict[str, tuple[Operator, ...]] = {}


def survey() -> None:
    """Look through the modules that were loaded since the last time. A zygote does it once, for all its workers."""
    for name in list(takewhile(lambda name: name not in _seen, reversed(sys.modules))):  # the newest stand last
        _seen.add(name)
        if is_searched(name) and isinstance(module := sys.modules[name], ModuleType):
            look_through(module)
    if "torch" in sys.modules and not _operators:
        _operators.update(_look_through_operators())


def done_by(job: str) -> Iterator[Any]:
    """The functions and classes that do a job, of the modules that were looked through."""
    return iter(tuple(_found[job].values()))


def operators_of(job: str) -> tuple[Operator, ...]:
    """The operators that do a job, overload by overload: `aten::lstm.input`, and the keys of the dispatcher for each."""
    return _operators.get(job, ())


@cache
def working(kind: type) -> tuple[str, ...]:
    """The methods in which an object of this class does its work; none if it is no layer or the like."""
    bases = {f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__}
    return next((methods for base, methods in _WORKING.items() if base in bases), ())


def is_searched(module: str) -> bool:
    """Whether a module is one in which jobs are looked for."""
    library, *rooms = module.split(".", 2)
    return library in _LIBRARIES and not (rooms and rooms[0] in _NO_NUMBERS)


def look_through(module: ModuleType) -> None:
    """Find what does a job in one module, which has just been loaded."""
    library = module.__name__.partition(".")[0]
    for name, value in tuple(vars(module).items()):
        kind = type(value)
        is_class = issubclass(kind, type)
        if kind is not FunctionType and not is_class and working(kind) != ("__call__",):  # type: ignore[arg-type]
            continue
        for job in _jobs(name, is_class):
            if JOBS[job].library == library and (not is_class or working(value)):
                _found[job][id(value)] = value


@cache
def _jobs(name: str, is_class: bool) -> tuple[str, ...]:
    words = ("class " if is_class else "") + _HUMP.sub("_", name).lower()
    if "backward" in words or not _ANY.search(words):
        return ()
    return tuple(job for job, pattern in _NAMES.items() if pattern.search(words))


def _look_through_operators() -> dict[str, tuple[Operator, ...]]:
    """Those that work on the CPU. What `out=` does, and what goes back, is made of others or of no use alone."""
    import torch

    patterns = {job: re.compile(JOBS[job].operators) for job in JOBS if JOBS[job].operators}
    any_of_them = re.compile("|".join(pattern.pattern for pattern in patterns.values()))
    found: dict[str, list[Operator]] = {job: [] for job in JOBS}
    for operator in torch._C._dispatch_get_all_op_names():
        space, _, full = operator.partition("::")
        name = full.partition(".")[0]
        if not any_of_them.search(name) or space.endswith("quantized") or "backward" in name:
            continue
        if keys := _keys(operator):
            for job in (job for job, pattern in patterns.items() if pattern.search(name)):
                found[job].append((operator, keys))
    return {job: tuple(operators) for job, operators in found.items()}


def _keys(operator: str) -> tuple[str, ...]:
    """Where the calls of an operator have to be caught, on the CPU: before it is taken apart, or where it works."""
    import torch

    has = torch._C._dispatch_has_kernel_for_dispatch_key
    if has(operator, "CompositeImplicitAutograd"):
        return COMPOSITE_KEYS
    keys = tuple(key for key in _CPU if has(operator, key))
    if "CPU" not in keys and not operator.endswith("out") and has(operator, "CompositeExplicitAutograd"):
        keys += ("CPU",)
    return keys
