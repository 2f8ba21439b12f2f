"""The suite of kata 21: batch norm and a residual network beside torch's own, and digits for twenty layers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Constant,
    Normal,
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_raises,
    assert_shape,
    assert_state,
    assert_trained,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    tensors_of,
    text,
)

# Images, channels, rows, columns; momentum, eps; spread and mean of the numbers.
NORMS = [
    (4, 3, 5, 2, 0.1, 1e-5, 1.0, 0.5),
    (1, 5, 3, 4, 0.25, 1e-12, 2.0, -1.0),
    (2, 1, 1, 1, 0.7, 0.5, 1.0, 1.0),
    (3, 4, 1, 6, 1.0, 1e-5, 1e-3, 0.0),
    (5, 2, 7, 1, 0.0, 1e-5, 100.0, 60.0),
    (3, 2, 4, 5, 0.1, 1e-5, 1.0, 1e5),
    (2, 3, 2, 3, 0.4, 1e-4, 0.0, 3.0),
    (5003, 2, 1, 2, 0.1, 1e-5, 1.0, 0.5),
    (1, 2, 73, 71, 0.1, 1e-5, 1.0, 0.5),
]
# Images, channels, rows, columns; filters and stride.
BLOCKS = [(3, 2, 5, 7, 4, 2), (2, 3, 4, 6, 3, 1), (4, 3, 3, 2, 3, 2), (1, 4, 6, 5, 2, 1), (2, 2, 1, 3, 5, 3)]
BLOCKS += [(1101, 2, 1, 2, 2, 1), (5003, 1, 2, 1, 2, 2)]
# Images, channels, rows, columns; width, classes, depth.
NETS = [(3, 2, 7, 5, 3, 4, 8), (1, 3, 9, 8, 2, 6, 14), (4, 1, 6, 5, 4, 3, 8), (2, 1, 8, 9, 2, 5, 20)]
NETS += [(5, 2, 4, 7, 1, 7, 8)]
LARGE = (1101, 1, 3, 2, 2, 3, 8)
# Training images, steps, images of each, decay, by how much the head's weights are larger, the model.
TRAININGS = [(9, 15, 5, 0.1, 1, NETS[0]), (6, 12, 4, 0.0, 100, NETS[2]), (5, 3, 3, 0.5, 1, NETS[3])]
TRAININGS += [(1, 2, 3, 0.2, 1, NETS[4])] + [(4, 1, 1, 0.2, 1, NETS[4])] * 2 + [(1101, 2, 67, 0.3, 1, LARGE)]
TOL, SAME = 1e-8, 1e-9
NORM, RUNNING = ("weight", "bias"), ("running_mean", "running_var")
STEPS, BATCH, WIDTH, LEARNING_RATE, DECAY = 40, 64, 8, 0.05, 1e-4
BAR = 0.8  # nats: right ones reach 0.36, the worst of 20 runs 0.45; without shortcuts 1.44, the best of 20 runs 1.19


class _Norm(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x)


class _Block(nn.Module):
    """Torch's norms, and a shortcut that is empty where the shape stays."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False), _Norm(filters)
        self.conv2, self.norm2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), _Norm(filters)
        layers = []
        if (channels, 1) != (filters, stride):
            self.project, self.project_norm = nn.Conv2d(channels, filters, 1, stride, bias=False), _Norm(filters)
            layers = [self.project, self.project_norm]
        self.shortcut = nn.Sequential(*layers)
        self.double()

    def forward(self, x):
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + self.shortcut(x))


class _ResNet(nn.Module):
    """The same network of torch's own parts."""

    def __init__(self, size):
        super().__init__()
        _, channels, _, _, width, classes, depth = size
        self.stem, self.norm = nn.Conv2d(channels, width, 3, 1, 1, bias=False), _Norm(width)
        widths = [width, *(width << stage for stage in range(3) for _ in range(depth // 6))]
        pairs = pairwise(widths)
        self.blocks = nn.Sequential(*(_Block(old, new, new // old) for old, new in pairs))
        self.head = nn.Linear(4 * width, classes)
        self.double()

    def forward(self, images):
        return self.head(self.blocks(F.relu(self.norm(self.stem(images)))).mean((2, 3)))


def _shapes(oracle):
    """Parameters by name, and running statistics: one name for a layer, however many it has."""
    parameters = {name: tuple(value.shape) for name, value in oracle.named_parameters()}
    buffers = {name: tuple(value.shape) for name, value in oracle.named_buffers() if value.dim()}
    return parameters, buffers


def _hold(model, oracle, dtype, name):
    parameters, buffers = _shapes(oracle)
    return assert_state(model, parameters, buffers=buffers, dtype=dtype, name=name)


def _alike(rng, learner, oracle, name, far=1):
    """Both with the same numbers: filters ~ 1 / sqrt(fan-in), the head's `far` times that; nothing is zero or one."""
    values = {}
    for key, value in state_of(oracle, [each for shapes in _shapes(oracle) for each in shapes]).items():
        scale = value[0].numel() ** -0.5 if value.dim() > 1 else 0.4
        values[key] = scale * (far if key == "head.weight" else 1) * normal(rng, *value.shape)
        if value.dim() == 1 and key.endswith(("weight", "var")):
            values[key] = values[key].abs() + 0.5
    load_state(oracle, values)
    return load_state(_hold(learner, oracle, torch.float64, name), values), oracle


def _norms(solution, rng, channels, momentum=0.1, eps=1e-5):
    oracle = _Norm(channels, eps, momentum).double()
    learner = solution.BatchNorm(channels, momentum=momentum, eps=eps, dtype=torch.float64)
    return _alike(rng, learner, oracle, "BatchNorm")


def _blocks(solution, rng, channels, filters, stride):
    learner = solution.Block(channels, filters, stride, dtype=torch.float64)
    return _alike(rng, learner, _Block(channels, filters, stride), "Block")


def _make(solution, size, dtype):
    return solution.ResNet(size[1], size[4], size[5], size[6], dtype=dtype)


def _models(solution, rng, size, far=1):
    return _alike(rng, _make(solution, size, torch.float64), _ResNet(size), "ResNet", far)


def _agrees_in_both_modes(rng, both, x, name, help):
    """Values, and gradients by the input and every parameter, in training and then in evaluation; running statistics too."""
    for training in (True, False):
        both[1].train(training)
        key = "images" if name == "logits" else "x"
        names = list(_shapes(both[1])[0])
        assert_agrees(*both, {key: x}, rng, modules=both, parameters=names, tol=TOL, name=name, help=help)
        records = tensors_of(both[0], _shapes(both[1])[1]).values()
        assert not any(each.requires_grad for each in records), "running statistics carry a graph"
    _assert_running(both, text("after calls in both modes"))


def _assert_running(both, when, tol=TOL):
    """The running statistics of both are the same."""
    _, buffers = _shapes(both[1])
    help = "(1 - momentum) of the old, momentum of the batch, whose variance is unbiased here; in training mode only"
    for (key, value), wanted in zip(
        state_of(both[0], buffers).items(), state_of(both[1], buffers).values(), strict=True
    ):
        assert_close(value, wanted, tol=tol, name=text("{key} {when}", key=key, when=when), help=help)


@pytest.mark.shape
def test_shapes(solution, rng):
    """Norms, gradients, blocks, logits and losses have the stated shapes and dtypes, at every depth that there is"""
    for index, size in enumerate(NETS):
        count, channels, rows, columns, width, classes, depth = size
        dtype = (torch.float32, torch.float64)[index % 2]
        images, other = normal(rng, 2, *size[:4]).to(dtype)
        norm = _hold(solution.BatchNorm(channels, dtype=dtype), _Norm(channels), dtype, "BatchNorm")
        assert_shape(norm(images), size[:4], dtype=dtype, name="the result of BatchNorm")
        per_channel = torch.ones(channels, dtype=dtype)
        parts = solution.batch_norm_backward(images, other, per_channel, per_channel)
        parts = assert_parts(parts, ("dx", "dweight", "dbias"), name="batch_norm_backward")
        for name, part, shape in zip(
            ("dx", "dweight", "dbias"), parts, (size[:4], (channels,), (channels,)), strict=True
        ):
            assert_shape(part, shape, dtype=dtype, name=name)
        stride = 1 + index % 3
        block = _hold(
            solution.Block(channels, width, stride, dtype=dtype), _Block(channels, width, stride), dtype, "Block"
        )
        shape = count, width, -(-rows // stride), -(-columns // stride)
        assert_shape(block(images), shape, dtype=dtype, name="the result of a block")
        model = _hold(_make(solution, size, dtype), _ResNet(size), dtype, "ResNet")
        logits = model(images)
        assert_shape(logits, (count, classes), dtype=dtype, name="logits")
        assert (logits != model(other)).any(), "two different images give the same logits"
    labels, batches = torch.zeros(count, dtype=torch.int64), torch.zeros(3, 2, dtype=torch.int64)
    losses = solution.fit(model, images, labels, batches, [0.01, 0.02, 0.01], 0.1)
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"
    rates = assert_parts(solution.error_rates(model, images, labels, 2, 3), ("top-1", "top-k"), name="error_rates")
    assert all(isinstance(rate, float) for rate in rates), "error_rates must return Python floats, not tensors"
    for depth in (2, 7, 9, 12, 18, 21):
        assert_raises(ValueError, solution.ResNet, 1, 2, 3, depth)


@pytest.mark.value
def test_batch_norm(solution, rng):
    """Each channel is normalised by all of its numbers in training, by the running statistics in evaluation"""
    help = "one mean and one variance per channel, over images, rows and columns; divided by their number; eps under the root"
    for *shape, momentum, eps, spread, mean in NORMS:
        both = _norms(solution, rng, shape[1], momentum, eps)
        for _ in range(2):
            inputs = {"x": spread * normal(rng, *shape) + mean}
            agree = {"tol": TOL, "name": "the result of BatchNorm", "help": help, "gradients": False}
            assert_agrees(*both, inputs, rng, modules=both, **agree)


@pytest.mark.behaviour
def test_running_statistics(solution, rng):
    """They move in training mode, by momentum, towards an unbiased variance; in evaluation mode, and for one number, not"""
    for *shape, momentum, eps, spread, mean in NORMS:
        both = _norms(solution, rng, shape[1], momentum, eps)
        for step in range(12):
            x = spread * normal(rng, *shape) + mean
            for norm in both:
                norm.train(step % 3 != 2)
                norm(x)
            when = text("after {count} calls, of which every third is in evaluation mode", count=step + 1)
            _assert_running(both, when)
    both = _norms(solution, rng, 3)
    x = normal(rng, 1, 3, 1, 1)
    assert_raises(ValueError, both[0], x)
    _assert_running(both, text("after a call that must fail: one number per channel has no spread"))
    both[0].eval()
    expected = both[1].eval()(x).detach()
    assert_close(both[0](x), expected, tol=TOL, name=text("one number per channel, in evaluation mode"))


@pytest.mark.gradient
def test_batch_norm_gradients(solution, rng):
    """Gradients pass through mean and variance in training, and through neither in evaluation; none is kept in between"""
    help = "mean and variance are made of x in training mode; running statistics are plain numbers, without a graph"
    for *shape, momentum, eps, spread, mean in NORMS:
        both = _norms(solution, rng, shape[1], momentum, eps)
        x = spread * normal(rng, *shape) + mean
        _agrees_in_both_modes(rng, both, x, text("the result of BatchNorm"), help)


@pytest.mark.gradient
def test_batch_norm_backward(solution, rng):
    """From what the forward pass kept, the formula gives autograd's gradients by x, weight and bias"""
    help = "every number of a channel moves the mean and the variance: upstream, minus its mean, minus normalised times ...?"
    for *shape, _, eps, spread, mean in NORMS:
        for view in (lambda each: each, as_view):
            x, weight, bias = spread * normal(rng, *shape) + mean, normal(rng, shape[1]), normal(rng, shape[1])
            upstream = 60 * normal(rng, *shape)
            leaves = [each.clone().requires_grad_() for each in (x, weight, bias)]
            y = F.batch_norm(leaves[0], None, None, *leaves[1:], training=True, eps=eps)
            expected = torch.autograd.grad(y, leaves, upstream)
            centred = x - x.mean((0, 2, 3), keepdim=True)
            inverse_std = 1 / (centred.square().mean((0, 2, 3)) + eps).sqrt()
            normalised = centred * inverse_std[:, None, None]
            got = solution.batch_norm_backward(*map(view, (upstream, normalised, inverse_std, weight)))
            got = assert_parts(got, ("dx", "dweight", "dbias"), name="batch_norm_backward")
            for name, part, wanted in zip(("dbias", "dweight", "dx"), got[::-1], expected[::-1], strict=True):
                assert_close(part, wanted, tol=TOL, name=name, help=help)


@pytest.mark.value
def test_block(solution, rng):
    """A block adds to its input, or to its projection where the shape changes, what two convolutions make of it"""
    help = (
        "norm after each convolution, ReLU after the first norm and after the sum; a projection and its norm if need be"
    )
    for *shape, filters, stride in BLOCKS:
        both = _blocks(solution, rng, shape[1], filters, stride)
        for far in (1, 100):
            inputs = {"x": far * (normal(rng, *shape) + 0.3)}
            agree = {"tol": TOL, "name": "the result of a block", "help": help, "gradients": False}
            assert_agrees(*both, inputs, rng, modules=both, **agree)


@pytest.mark.value
def test_logits(solution, rng):
    """With given numbers in it, the network gives the logits of the same network made of torch's parts"""
    help = "stem, norm, ReLU; n blocks of each width, the second and third stage begin with stride 2; a mean; the head"
    for index, size in enumerate([*NETS, LARGE]):
        far = (1, 100)[index % 2]
        both, inputs = _models(solution, rng, size, far), {"images": far * normal(rng, *size[:4])}
        assert_agrees(*both, inputs, rng, modules=both, tol=TOL, name="logits", help=help, gradients=False)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the images and every parameter of blocks and networks, in both modes"""
    help = "nothing may cut the graph: no detach, no .data, no no_grad; both roads of a block carry gradients"
    for *shape, filters, stride in BLOCKS:
        both = _blocks(solution, rng, shape[1], filters, stride)
        _agrees_in_both_modes(rng, both, 60 * normal(rng, *shape), text("the result of a block"), help)
    for size in NETS:
        _agrees_in_both_modes(rng, _models(solution, rng, size), 60 * normal(rng, *size[:4]), "logits", help)


@pytest.mark.value
def test_training(solution, rng):
    """From given numbers, losses, weights and running statistics of up to fifteen steps are those of torch's SGD"""
    help = "training mode, momentum 0.9, decay on filters and on the head's weight alone, gradients cleared, each step's rate"
    for count, steps, batch, decay, far, size in TRAININGS:
        both = model, oracle = _models(solution, rng, size, far)
        model.train(steps != 12)
        images, labels = normal(rng, count, *size[1:4]), torch.from_numpy(rng.integers(0, size[5], count))
        batches = torch.from_numpy(rng.integers(0, count, (steps, batch)))
        rates = rng.uniform(0.01, 0.02, steps) * rng.choice([0.0, 0.5, 1.0, 2.0], steps) / far
        losses = solution.fit(model, *map(as_view, (images, labels, batches)), rates.tolist(), decay)
        assert model.training == (steps != 12), "fit must leave the model in the mode in which it came"
        named = dict(oracle.named_parameters())
        decays = [value for value in named.values() if value.dim() > 1]
        plain = [value for name, value in named.items() if "norm" in name or name == "head.bias"]
        sgd = torch.optim.SGD([{"params": decays, "weight_decay": decay}, {"params": plain}], 0.1, 0.9)

        def descent(oracle=oracle, images=images, labels=labels, batches=batches, rates=rates, sgd=sgd):
            for rows, rate in zip(batches, rates.tolist(), strict=True):
                for group in sgd.param_groups:
                    group["lr"] = rate
                yield F.cross_entropy(oracle(images[rows]), labels[rows])

        trained = {"parameters": list(named), "weights_tol": 1e-6, "name": "cross-entropy", "help": help}
        assert_trained(losses, model, oracle, descent(), sgd, **trained)
        _assert_running(both, text("after the last step"), tol=1e-6)


@pytest.mark.value
def test_error_rates(solution, rng):
    """Top-1 and top-k errors are shares of all images, whatever the pieces; ties and NaN count against the network"""
    for size in [*NETS, LARGE]:
        model, oracle = _models(solution, rng, size)
        for training in (True, False):
            count = max(7, size[0])
            images = (1000 if training else 1) * normal(rng, count, *size[1:4])
            labels = torch.from_numpy(rng.integers(0, size[5], count))
            order = oracle.eval()(images).argsort(1, descending=True)
            places = (order == labels[:, None]).double().argmax(1)
            model.train(training)
            for piece, k in ((1, 2), (3, 1), (7, size[5] - 1), (100, size[5])):
                piece *= count // 7
                rates = solution.error_rates(model, as_view(images), as_view(labels), piece, k)
                help = "evaluation mode, every image once, a share of all images and no mean of means"
                for got, best in zip(assert_parts(rates, ("top-1", "top-k"), name="error_rates"), (1, k), strict=True):
                    wanted = (places >= best).double().mean().item()
                    name = text("top-{k} error, {piece} images at a time", k=best, piece=piece)
                    assert_close(got, wanted, tol=SAME, name=name, help=help)
            assert model.training == training, "error_rates must leave the model in the mode in which it came"
    load_state(model, {"head.weight": torch.zeros(3, 8), "head.bias": torch.tensor([1.0, 2.0, 1.0])})
    images, labels = normal(rng, 4, 1, 3, 2), torch.tensor([0, 1, 2, 1])
    rates = solution.error_rates(model, images, labels, 4, 2)
    help = "scores 1 2 1 for each image, classes 0 1 2 1: a tie is lost, so 0 and 2 are third best"
    assert_close(rates[1], 0.5, tol=SAME, name=text("top-2 error with ties"), help=help)
    images[1] = torch.nan
    rates = solution.error_rates(model, images, labels, 4, 3)
    help = "scores that are NaN are never right, not even among the best of all"
    assert_close(rates[1], 0.25, tol=SAME, name=text("top-3 error of three classes, with a NaN image"), help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """In evaluation mode images hear nothing of each other and nothing moves; arguments stay; first values are as stated"""
    for size in NETS:
        both = model, _ = _models(solution, rng, size)
        images, labels = normal(rng, 4, *size[1:4]), torch.zeros(4, dtype=torch.int64)
        for part in (_norms(solution, rng, size[1])[0], _blocks(solution, rng, size[1], 2, 2)[0], model.eval()):
            part(images)
        together = model(images).detach()
        help = "running statistics, not those of the batch"
        for row in range(4):
            alone = model(images[row : row + 1]).detach()[0]
            assert_close(alone, together[row], tol=SAME, name=text("logits of an image alone"), help=help)
        solution.error_rates(model.train(), images, labels, 3, 2)
        _assert_running(both, text("after calls in evaluation mode"))
        assert_close(model.eval()(images).detach(), together, tol=SAME, name=text("logits after error_rates"))
        solution.fit(model, images, labels, torch.zeros(2, 2, dtype=torch.int64), [0.01, 0.02], 0.1)
        solution.batch_norm_backward(images, images * 2, images[0, :, 0, 0], images[0, :, 0, 1])
    assert_unchanged(mutated, but=["model of fit"])
    for oracle, make in (
        (_ResNet((1, 2, 8, 8, 10, 30, 8)), lambda: solution.ResNet(2, 10, 30, 8)),
        (_Block(16, 64, 2), lambda: solution.Block(16, 64, 2)),
    ):
        shapes, buffers = _shapes(oracle)
        laws = {key: Normal((2 / np.prod(shape[1:])) ** 0.5) for key, shape in shapes.items() if len(shape) == 4}
        laws |= {key: Constant(float(key.endswith(("weight", "var")))) for key in shapes | buffers if "norm" in key}
        laws |= layer_laws({key: shape for key, shape in shapes.items() if "head" in key})
        help = "filters as draw_filters draws them, norms at one and zero, the head as torch draws it"
        assert_drawn(make, laws, name=type(oracle).__name__[1:], help=help)


@pytest.mark.convergence
def test_held_out_digits(solution, rng, record):
    """After 40 steps twenty layers read digits that they never saw, as twenty layers without shortcuts do not"""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = torch.from_numpy(data.images).float()[:, None] / 8 - 1, torch.from_numpy(data.target)
    held_out = torch.arange(len(images)) % 3 == 0  # every third digit: the same ones for everybody
    model = solution.ResNet(1, WIDTH, 10)
    batches = torch.from_numpy(rng.integers(0, int((~held_out).sum()), (STEPS, BATCH)))
    rates = [LEARNING_RATE * (1 - step / STEPS) for step in range(STEPS)]
    losses = solution.fit(model, images[~held_out], labels[~held_out], batches, rates, DECAY)
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    record.curve("cross-entropy in nats", losses, baseline=float(np.log(10)))
    shown, right = images[held_out], labels[held_out]
    model.eval()
    logits = torch.cat([model(piece).detach() for piece in shown.split(200)])
    answers = logits.argmax(1)
    confusion = torch.bincount(right * 10 + answers, minlength=100).reshape(10, 10)
    record.matrix("digit (row) and answer (column)", confusion.numpy(), [str(digit) for digit in range(10)])
    record.images("digits that it misread", shown[answers != right][:16, 0].numpy(), columns=8)
    surprise = F.cross_entropy(logits, right).item()
    help = "is there a road past every block, from the stem to the head?"
    name = text("cross-entropy of held-out digits, in nats")
    assert_beats(surprise, BAR, name=name, higher=False, help=help)
