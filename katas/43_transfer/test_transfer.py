"""The suite of kata 43: a frozen trunk beside torch's own parts, what moves and what must not, and five photos of each kind."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Constant,
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_shape,
    assert_state,
    assert_that,
    assert_trained,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    tensors_of,
    text,
)

# Photos, channels, rows, columns; widths of the stages; classes before and after; rank and alpha of adapters, or none.
NETS = [(3, 2, 6, 5, [4, 3, 5], 3, 6, 2, 3.0), (1, 3, 5, 7, [2, 6], 4, 4, 0, 1.0), (4, 1, 4, 3, [5], 7, 1, 3, 0.5)]
NETS += [(2, 1, 9, 8, [3, 2, 4, 3], 2, 5, 0, 1.0), (5, 4, 3, 4, [3, 7, 2], 5, 5, 1, 4.0)]
LARGE = (1101, 2, 2, 3, [3, 2], 3, 4, 2, 1.0)
# Photos, channels, rows, columns; filters, kernel, stride, whether there is a bias; rank and alpha.
CONVS = [(3, 2, 5, 6, 4, 3, 1, True, 2, 1.0), (1, 4, 6, 5, 3, 1, 2, False, 3, 6.0), (2, 3, 7, 8, 5, 5, 3, True, 1, 0.5)]
CONVS += [(4, 1, 3, 4, 2, 3, 2, True, 7, 2.0), (1103, 2, 2, 1, 3, 3, 1, False, 2, 3.0)]
# Stages that train, rate, falloff, decay.
GROUPS = [(0, 0.0, 0.5, 0.1), (1, 1.0, 2.0, 0.0), (2, 0.01, 0.0, 3.0), (9, 2.0, 0.7, 1e-4)]
TOL, SAME, NORM = 1e-8, 1e-9, ("weight", "bias", "running_mean", "running_var")
DATA = json.loads(Path(__file__).with_name("trunk.json").read_text(encoding="utf-8"))
WIDTHS, SIDE, EACH, PHASES, RATE, FALLOFF, DECAY, STEPS = DATA["widths"], 11, 5, (0, 1, 3), 0.05, 0.2, 1e-4, 25
BAR = 0.58  # right ones reach 0.83, the worst of 20 0.76; the same layers trained anew 0.43, the best of 20 0.54


class _Norm(nn.BatchNorm2d):
    """torch's, in evaluation for ever."""

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)


class _Adapter(nn.Module):
    """One convolution, whose weight is made anew at each call."""

    def __init__(self, conv, rank, alpha):
        super().__init__()
        self.base, self.scale = conv, alpha / rank
        self.down = nn.Conv2d(conv.in_channels, rank, conv.kernel_size, conv.stride, conv.padding, bias=False)
        self.up = nn.Conv2d(rank, conv.out_channels, 1, bias=False)
        self.double()

    def weight(self):
        change = self.up.weight.flatten(1) @ self.down.weight.flatten(1)
        return self.base.weight + self.scale * change.view_as(self.base.weight)

    def forward(self, x):
        return F.conv2d(x, self.weight(), self.base.bias, self.base.stride, self.base.padding)


class _Network(nn.Module):
    def __init__(self, channels, widths, classes, rank=0, alpha=1.0):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.zeros(channels))
        self.stages, self.head = nn.ModuleList(), nn.Linear(widths[-1], classes)
        for place, (before, after) in enumerate(zip([channels, *widths], widths, strict=False)):
            conv = nn.Conv2d(before, after, 3, 1 + (place == 1), 1, bias=False)
            conv = _Adapter(conv, rank, alpha) if rank else conv
            self.stages.append(nn.ModuleDict({"conv": conv, "norm": _Norm(after)}))
        self.double()

    def forward(self, images):
        x = (images - self.mean.view(-1, 1, 1)) / self.std.view(-1, 1, 1)
        for stage in self.stages:
            x = stage["norm"](stage["conv"](x)).relu()
        return self.head(x.flatten(2).mean(2))


def _shapes(oracle):
    """The shapes of parameters and of buffers by name."""
    return [
        {name: tuple(each.shape) for name, each in found if each.dim()}
        for found in (oracle.named_parameters(), oracle.named_buffers())
    ]


def _held(module, oracle, dtype, name):
    """The learner's module, found to have what the oracle has, frozen or not."""
    frozen = [each for key, each in module.named_parameters() if not each.requires_grad]
    for each in frozen:
        each.requires_grad_(True)
    assert_state(module, _shapes(oracle)[0], buffers=_shapes(oracle)[1], dtype=dtype, name=name)
    for each in frozen:
        each.requires_grad_(False)
    return module


def _filled(rng, module, oracle, name, far=1):
    """Both with the same numbers, `far` times as large in the head; none of them is zero or one."""
    values = {}
    for key, shape in {name: shape for shapes in _shapes(oracle) for name, shape in shapes.items()}.items():
        scale = np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.4
        values[key] = scale * (far if key == "head.weight" else 1) * normal(rng, *shape)
        if key == "weight" or (len(shape) == 1 and key.endswith(("norm.weight", "var", "std"))):
            values[key] = values[key].abs() + 0.5
    load_state(oracle, values)
    return load_state(_held(module, oracle, torch.float64, name), values), oracle


def _sources(solution, rng, size):
    """A network that was trained elsewhere, and its oracle."""
    source = solution.Network(size[1], size[4], size[5], dtype=torch.float64)
    return _filled(rng, source, _Network(size[1], size[4], size[5]), "Network")


def _models(solution, rng, size, far=1):
    """A network after transfer, with adapters where the size says so, and its oracle; new numbers in all of it."""
    model = solution.transfer(_sources(solution, rng, size)[0], size[6], size[7], size[8])
    return _filled(rng, model, _Network(size[1], size[4], *size[6:]), "the network after transfer", far)


def _adapters(solution, rng, size):
    """An adapter of a convolution, and its oracle, both with new numbers."""
    conv = nn.Conv2d(size[1], *size[4:7], size[5] // 2, bias=size[7])
    adapter = solution.Adapter(_conv(solution, size), *size[8:])
    return _filled(rng, adapter, _Adapter(conv, *size[8:]), "Adapter")


def _conv(solution, size):
    """A convolution where the learner's code is, which is where an adapter can have it."""
    return solution.Stage(size[1], *size[4:8], dtype=torch.float64).conv


def _norms(solution, rng, channels, eps):
    learner = solution.FixedNorm(channels, eps, dtype=torch.float64)
    return _filled(rng, learner, _Norm(channels, eps).double(), "FixedNorm")


def _trained(oracle, count):
    """What is to train, by name, and how far each is from the head."""
    stages, found = len(oracle.stages), {}
    for name in dict(oracle.named_parameters()):
        depth = 0 if name.startswith("head") else stages - int(name.split(".")[1])
        if depth <= count and ".base." not in name:
            found[name] = depth
    return found


def _assert_frozen(module, before, when):
    """Bit for bit."""
    for key, value in state_of(module, before).items():
        help = "what is frozen stays to the last bit, statistics too, whatever mode the model is in"
        assert_close(value, before[key], tol=0.0, name=text("{key} {when}", key=key, when=when), help=help)


def _everything(oracle):
    return [name for shapes in _shapes(oracle) for name in shapes]


@pytest.mark.shape
def test_shapes(solution, rng):
    """Norms, networks, adapters, groups and scores have the stated form and dtype"""
    for index, size in enumerate(NETS):
        dtype = (torch.float32, torch.float64)[index % 2]
        count, channels, _, _, widths, before, after, rank, alpha = size
        images = normal(rng, *size[:4]).to(dtype)
        norm = _held(solution.FixedNorm(channels, dtype=dtype), _Norm(channels), dtype, "FixedNorm")
        assert_shape(norm(images), size[:4], dtype=dtype, name="the result of FixedNorm")
        source = solution.Network(channels, widths, before, dtype=dtype)
        assert_shape(source(images), (count, before), dtype=dtype, name="logits")
        model = solution.transfer(source, after, rank, alpha)
        _held(model, _Network(channels, widths, after, rank, alpha), dtype, "the network after transfer")
        assert_shape(model(images), (count, after), dtype=dtype, name="logits after transfer")
        solution.thaw(model, 1)
        groups = solution.parameter_groups(model, 0.1, 0.5, 0.2)
        assert isinstance(groups, list) and all(isinstance(each, dict) for each in groups), "groups are a list of dicts"
        merged = solution.merge(model)
        _held(merged, _Network(channels, widths, after), dtype, "the network after merge")
        assert_shape(merged(images), (count, after), dtype=dtype, name="logits after merge")
    score = solution.macro_f1(torch.tensor([1]), torch.tensor([0]), 3)
    assert isinstance(score, float), "macro_f1 returns a Python float"


@pytest.mark.value
def test_fixed_norm(solution, rng):
    """Each channel is normalised by the statistics that came with it, in training mode too; values and gradients"""
    help = "running_mean and running_var, eps under the root; no statistics of the batch, in neither mode"
    for size, eps in zip([*NETS, LARGE], (1e-5, 0.5, 1e-3, 1e-12, 2.0, 0.1), strict=True):
        both = _norms(solution, rng, size[1], eps)
        before = state_of(both[0], NORM)
        for far in (1, 1000):
            inputs = {"x": far * normal(rng, *size[:4]) + far}
            agree = {"modules": both, "parameters": NORM[:2], "tol": TOL, "name": "the result of FixedNorm"}
            assert_agrees(*both, inputs, rng, help=help, **agree)
        _assert_frozen(both[0], before, text("after calls in both modes"))


@pytest.mark.value
def test_logits(solution, rng):
    """Photos are scaled by the trunk's mean and std, and the network answers as torch's parts do, in both modes"""
    help = "(images - mean) / std with the trunk's own numbers; a mean over rows and columns; then the head"
    for place, size in enumerate([*NETS, LARGE]):
        both, far = _sources(solution, rng, size), (1, 100)[place % 2]
        before = state_of(both[0], _everything(both[1]))
        inputs = {"images": far * (normal(rng, *size[:4]) + 2)}
        assert_agrees(*both, inputs, rng, modules=both, gradients=False, tol=TOL, name="logits", help=help)
        _assert_frozen(both[0], before, text("after calls in both modes"))


@pytest.mark.value
def test_adapter(solution, rng):
    """An adapter starts as its convolution, adds alpha / R of its two small layers to it, and merges into one convolution"""
    help = "base(x) + alpha / R * up(down(x)); down has the kernel, stride and padding of base"
    for place, size in enumerate(CONVS):
        both, inputs = _adapters(solution, rng, size), {"x": (1, 100)[place % 2] * normal(rng, *size[:4])}
        small = ["down.weight", "up.weight"]
        assert_agrees(*both, inputs, rng, modules=both, tol=TOL, parameters=small, name="the adapter", help=help)
        before = state_of(both[0], dict(both[1].named_parameters()))
        both[0].train(place % 2 == 0)
        merged = both[0].merged()
        answers = both[1](**inputs).detach()
        assert_close(merged(inputs["x"]).detach(), answers, tol=TOL, name="the merged convolution")
        weight = tensors_of(merged, ["weight"])["weight"].detach()
        assert_close(weight, both[1].weight().detach(), tol=TOL, name="the merged weight")
        _assert_frozen(both[0], before, text("after merged()"))
        conv = _conv(solution, size)
        adapter, wanted = solution.Adapter(conv, *size[8:]), conv(inputs["x"]).detach()
        start = "up starts at zero, so that the answers start as they were"
        assert_close(adapter(**inputs).detach(), wanted, tol=SAME, name="a new adapter's answer", help=start)
        trains = [name for name, each in adapter.named_parameters() if each.requires_grad]
        assert_that(sorted(trains) == small, "{names} of a new adapter train; only down and up may", names=trains)


@pytest.mark.value
def test_transfer(solution, rng):
    """The copy has the trunk's numbers, mean and std, and a new head, even for as many classes; training leaves the source"""
    for size in NETS:
        source, oracle = _sources(solution, rng, size)
        before = state_of(source, _everything(oracle))
        model = solution.transfer(source, *size[6:])
        trunk = {name: value for name, value in before.items() if not name.startswith("head")}
        inner = {name: name.replace("conv.weight", "conv.base.weight") if size[7] else name for name in trunk}
        found = state_of(model, inner.values())
        for name, value in trunk.items():
            assert_close(found[inner[name]], value, tol=0.0, name=text("{key} after transfer", key=inner[name]))
        head = state_of(model, ["head.weight", "head.bias"])
        old = torch.equal(head["head.weight"], before["head.weight"])
        assert not old, "the head is the old one: its scores are for the old classes"
        plain = load_state(_Network(*[size[1], size[4], size[6]]), trunk | head)
        images, labels = normal(rng, *size[:4]), torch.from_numpy(rng.integers(0, size[6], size[0]))
        assert_close(model(images).detach(), plain(images).detach(), tol=TOL, name="logits after transfer")
        solution.fit(model, images, labels, torch.arange(size[0]).expand(3, -1), 9, 0.1, 1.0, 0.1)
        _assert_frozen(source, before, text("of the source after its copy was trained"))
    source = solution.Network(2, [9, 40], 200, dtype=torch.float64)
    heads = layer_laws({"head.weight": (200, 40), "head.bias": (200,)})
    small = layer_laws({"stages.1.conv.down.weight": (6, 9, 3, 3)}) | {"stages.1.conv.up.weight": Constant(0.0)}
    drawn = {"name": "the network after transfer", "help": "a new head and down as torch draws them, up at zero"}
    ones = {name: Constant(float(name in ("weight", "running_var"))) for name in NORM}
    assert_drawn(lambda: solution.FixedNorm(400), ones, name="FixedNorm", help="ones and zeros")
    assert_drawn(lambda: solution.transfer(source, 200, 6, 2.0), heads | small, **drawn)


@pytest.mark.behaviour
def test_thaw(solution, rng):
    """The head trains always, the last stages as many as asked for, the base of an adapter never, and all else is frozen"""
    for size in NETS:
        model, oracle = _models(solution, rng, size)
        before = state_of(model, _everything(oracle))
        for count in (2, 0, 1, 9, 3, 0):
            solution.thaw(model, count)
            trains = {name for name, each in model.named_parameters() if each.requires_grad}
            wanted = set(_trained(oracle, count))
            fields = {"count": count, "stages": len(size[4])}
            claim = "thaw(model, {count}) of {stages} stages leaves {names} frozen"
            names = sorted(wanted - trains)
            assert_that(not names, claim, names=names, **fields, help="head, last stages, and whole stages: norms too")
            claim = "thaw(model, {count}) of {stages} stages lets {names} train"
            names = sorted(trains - wanted)
            order = "freeze first, then thaw; the base of an adapter stays"
            assert_that(not names, claim, names=names, **fields, help=order)
        _assert_frozen(model, before, text("after thaw"))


@pytest.mark.value
def test_parameter_groups(solution, rng):
    """Each parameter that trains stands in one group, slower by falloff for each stage from the head; only weights decay"""
    for size in NETS:
        model, oracle = _models(solution, rng, size)
        values = state_of(model, dict(oracle.named_parameters()))
        for count, rate, falloff, decay in GROUPS:
            solution.thaw(model, count)
            groups = solution.parameter_groups(model, rate, falloff, decay)
            wanted = _trained(oracle, count)
            seen = dict.fromkeys(values, 0)
            for group in groups:
                params = [each.detach() for each in group["params"]]
                names = [name for each in params for name in values if torch.equal(values[name], each)]
                assert_that(params and len(names) == len(params), "a group has no parameters of the model")
                for name in names:
                    seen[name] += 1
                    assert_that(name in wanted, "{name} is frozen, and stands in a group", name=name)
                    about, paces = text("the rate of {key}", key=name), "rate * falloff ** (stages from the head)"
                    assert_close(group["lr"], rate * falloff ** wanted[name], tol=SAME, name=about, help=paces)
                    shrinks = decay if values[name].dim() > 1 else 0.0
                    about = text("the decay of {key}", key=name)
                    assert_close(group.get("weight_decay", 0.0), shrinks, tol=SAME, name=about)
            wrong = [name for name in wanted if seen[name] != 1]
            assert_that(not wrong, "{names} must stand in one group, and stand in none or in several", names=wrong)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the photos and every parameter that may train, through frozen stages too, in both modes"""
    help = "nothing may cut the graph: no detach, no .data, no no_grad; a frozen stage hands gradients on"
    for place, size in enumerate([*NETS, LARGE]):
        both = _models(solution, rng, size)
        solution.thaw(both[0], 9)
        both[1].train(place % 2 == 0)
        agree = {"modules": both, "parameters": list(_trained(both[1], 9)), "tol": TOL, "name": "logits", "help": help}
        assert_agrees(*both, {"images": 60 * normal(rng, *size[:4])}, rng, **agree)


@pytest.mark.value
def test_training(solution, rng):
    """Phase by phase, losses and weights are those of torch's SGD, and what is frozen stays to the last bit"""
    help = "freeze and thaw, one group per rate and decay, a norm that stays"
    for place, size in enumerate([*NETS[:2], *NETS[3:], LARGE]):
        far, rate = ((1, 0.01), (30, 0.0005))[place % 2]
        model, oracle = _models(solution, rng, size, far)
        images, labels = normal(rng, *size[:4]), torch.from_numpy(rng.integers(0, size[6], size[0]))
        for count in (0, 9, 1):
            batches = torch.from_numpy(rng.integers(0, size[0], (4, 1 + size[0] // 2)))
            trained = _trained(oracle, count)
            before = state_of(model, [name for name in _everything(oracle) if name not in trained])
            arguments = count, rate, 0.5, 0.1
            losses = solution.fit(model, *map(as_view, (images, labels, batches)), *arguments)
            named = dict(oracle.named_parameters())
            groups = [
                {"params": [named[name]], "lr": rate * 0.5**depth, "weight_decay": 0.1 * (named[name].dim() > 1)}
                for name, depth in trained.items()
            ]
            steps = (F.cross_entropy(oracle(images[each]), labels[each]) for each in batches)
            sgd = torch.optim.SGD(groups, rate, 0.9)
            after = {"parameters": list(trained), "name": "cross-entropy", "help": help}
            assert_trained(losses, model, oracle, steps, sgd, **after)
            _assert_frozen(model, before, text("after training"))


@pytest.mark.value
def test_merge(solution, rng):
    """The merged network has no adapters, answers as before, and the network that it was made from stays"""
    for place, size in enumerate([*NETS, LARGE]):
        model, oracle = _models(solution, rng, size)
        model.train(place % 2 == 0)
        before, images = state_of(model, _everything(oracle)), normal(rng, *size[:4])
        plain = _Network(size[1], size[4], size[6])
        merged = _held(solution.merge(model), plain, torch.float64, "the network after merge")
        help = "base.weight + alpha / R * up . down, in every stage"
        assert_close(merged(images).detach(), oracle(images).detach(), tol=TOL, name="logits after merge", help=help)
        with torch.no_grad():
            for each in merged.parameters():
                each.mul_(2)
        merged(images)
        _assert_frozen(model, before, text("of the model after merge"))


@pytest.mark.value
def test_macro_f1(solution, rng):
    """Each class counts the same, however rare; one that is neither there nor answered is left out"""
    help = "2 * right / (answered + there) per class, and the plain mean of these"
    for count, classes, common in product((1, 9, 60, 5003), (1, 2, 12, 1200), (0.0, 0.8)):
        labels, answers = rng.integers(0, classes, (2, count))
        labels[rng.random(count) < common] = answers[rng.random(count) < common] = 0
        got = solution.macro_f1(as_view(torch.from_numpy(answers)), as_view(torch.from_numpy(labels)), classes)
        wanted = f1_score(labels, answers, labels=range(classes), average="macro", zero_division=np.nan)
        name = text("macro F1 of {count} photos and {classes} classes", count=count, classes=classes)
        assert_close(got, float(wanted), tol=SAME, name=name, help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Photos hear nothing of each other, in either mode, and arguments stay as they were"""
    for size in NETS[:2]:
        model, oracle = _models(solution, rng, size)
        images, labels = normal(rng, 4, *size[1:4]), torch.from_numpy(rng.integers(0, size[6], 4))
        together = oracle(images).detach()
        for mode in (True, False):
            model.train(mode)
            for row in range(4):
                alone = model(images[row : row + 1]).detach()[0]
                assert_close(alone, together[row], tol=SAME, name=text("logits of a photo alone"))
        solution.FixedNorm(size[1], dtype=torch.float64)(images)
        solution.Adapter(_conv(solution, CONVS[0]), 2, 1.0).merged()
        solution.merge(solution.transfer(_sources(solution, rng, size)[0], size[6], 2, 1.0))
        solution.macro_f1(together.argmax(1), labels, size[6])
        solution.thaw(model, 2)
        solution.parameter_groups(model, 0.1, 0.5, 0.1)
        solution.fit(model, images, labels, torch.zeros(2, 2, dtype=torch.int64), 2, 0.1, 0.5, 0.1)
    assert_unchanged(mutated, but=["model of fit", "model of thaw"])


def _photos(digits, rng):
    """A plant somewhere in a field of 11 x 11, in the light of its day."""
    photos = rng.normal(0, 0.05, (len(digits), 1, SIDE, SIDE))
    for photo, digit in zip(photos, digits, strict=True):
        row, column = rng.integers(0, SIDE - 7, 2)
        photo[0, row : row + 8, column : column + 8] += rng.uniform(0.5, 1.5) * digit / 16
    return torch.from_numpy(photos).float()


def _trunk():
    """The numbers that were trained on the odd digits."""
    tensors = {"mean": torch.tensor([DATA["mean"]]), "std": torch.tensor([DATA["std"]])}
    for name, each in DATA["tensors"].items():
        tensors[name] = each["step"] * torch.tensor(each["numbers"], dtype=torch.float32).reshape(each["shape"])
    return tensors


def _map(features, photos):
    """The photos where their features lie, on the two axes along which these differ most."""
    centred = features - features.mean(0)
    places = centred @ torch.linalg.svd(centred, full_matrices=False)[2][:2].T
    places = (places - places.amin(0)) / (places.amax(0) - places.amin(0)).clamp(min=1e-9) * (127 - SIDE)
    canvas = torch.zeros(128, 128)
    for (row, column), photo in zip(places.int().tolist(), photos, strict=True):
        spot = canvas[row : row + SIDE, column : column + SIDE]
        spot.copy_(torch.maximum(spot, photo[0]))
    return canvas.numpy()


@pytest.mark.convergence
def test_new_disease(solution, rng, record):
    """From five photos of each kind a trunk that never saw them learns to name the others, as a new network does not"""
    from sklearn.datasets import load_digits

    digits = load_digits()
    even = digits.target % 2 == 0
    photos, kinds = _photos(digits.images[even], rng), torch.from_numpy(digits.target[even] // 2)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(kinds == kind))[:EACH] for kind in range(5)])
    held_out = torch.ones(len(kinds), dtype=torch.bool)
    held_out[chosen] = False
    source = load_state(solution.Network(1, WIDTHS, 20), _trunk())
    model, twin = solution.transfer(source, 5), solution.Network(1, WIDTHS, 5)
    batches = torch.arange(len(chosen)).expand(STEPS, -1)
    few = photos[chosen], kinds[chosen], batches
    losses, new = [], []
    for count in PHASES:
        losses += solution.fit(model, *few, count, RATE, FALLOFF, DECAY)
        new += solution.fit(twin, *few, count, RATE, FALLOFF, DECAY)
    record.curve("cross-entropy of the labelled photos in nats", losses, baseline=float(np.log(5)), ablation=new)
    record.images("the photos that have labels", photos[chosen, 0].numpy(), columns=EACH)
    features = []
    model.stages[-1].register_forward_hook(lambda _, __, maps: features.append(maps.detach().mean((2, 3))))
    shown, right = photos[held_out], kinds[held_out]
    answers = model.eval()(shown).detach().argmax(1)
    record.image("photos that it never saw, by its features in two dimensions", _map(features[0][:120], shown[:120]))
    record.matrix(
        "kind (row) and answer (column)", np.bincount(right * 5 + answers, minlength=25).reshape(5, 5), list("02468")
    )
    record.images("photos that it misread", shown[answers != right][:16, 0].numpy(), columns=8)
    score = float(f1_score(right, answers, average="macro"))
    help = "is the trunk that trained elsewhere in there, scaled as it was, with the statistics that it came with?"
    assert_beats(score, BAR, name=text("macro F1 on photos that it never saw"), help=help)
