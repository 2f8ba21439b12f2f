"""The suite of kata 46: three tasks of one camera beside torch's own losses, its Jacobians, and a road that is drawn here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Constant,
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_shape,
    assert_state,
    assert_that,
    assert_trained,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

TASKS, LABELS = ("offset", "gap", "sign"), ("offsets", "gaps", "signs")
# Frames, channels, rows, columns, width, features, classes.
SIZES = [
    (6, 2, 9, 14, 3, 7, 4),
    (1, 1, 5, 6, 2, 4, 3),
    (9, 3, 8, 7, 2, 5, 2),
    (70, 1, 12, 10, 3, 6, 5),
    (5, 2, 3, 4, 2, 3, 6),
]
MANY, CROWD = (1101, 1, 4, 5, 1, 2, 3), (5003, 1, 4, 5, 1, 2, 3)
# Size, share of labels, steps, training mode.
TRAININGS = [(SIZES[0], 0.5, 12, True), (SIZES[2], 0.3, 7, False), (SIZES[4], 1.0, 1, True), (SIZES[1], 0.5, 5, True)]
ROWS = [(2, 5), (3, 4), (1, 6), (5, 3), (4, 2000), (30, 9)]  # tasks, parameters
TOL, SAME = 1e-8, 1e-9
STOP = "0111110 1111111 1111111 1111111 1111111 1111111 0111110"
GIVE_WAY = "1111111 1111111 0111110 0111110 0011100 0011100 0001000"
LIMIT = "0111110 1000001 1000001 1000001 1000001 1000001 0111110"
NO_LIMIT = "1111111 1111111 0000000 0000000 0000000 1111111 1111111"
SIGNS = np.array([[list(map(int, row)) for row in sign.split()] for sign in (STOP, GIVE_WAY, LIMIT, NO_LIMIT)])
LESSON = 46  # seed of what everyone learns from: the same frames, batches and first weights, as if they were a file
CAMERA = (1, 1, 24, 32, 8, 32, 4)
FRAMES, HELD_OUT, STEPS, BATCH, LEARNING_RATE = 1000, 300, 150, 32, 0.008
BAR = 0.14  # mid-way between equal weights, 0.20, and what a right solution reached, 0.09


class _Net(nn.Module):
    """The oracle: three layers that are shared, three that are not."""

    def __init__(self, channels, rows, columns, width, features, classes):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, 2, 1)
        self.second = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.squeeze = nn.Linear(2 * width * -(-rows // 4) * -(-columns // 4), features)
        self.offset, self.gap, self.sign = (nn.Linear(features, outputs) for outputs in (1, 1, classes))
        self.log_variances = nn.Parameter(torch.zeros(3))
        self.double()

    def forward(self, images):
        relu, flat = nn.ReLU(), nn.Flatten()
        found = nn.Sequential(self.first, relu, self.second, relu, flat, self.squeeze, relu)(images)
        return self.offset(found).squeeze(1), self.gap(found).squeeze(1), self.sign(found)


def _shapes(size):
    return {name: tuple(value.shape) for name, value in _Net(*size[1:]).named_parameters()}


def _make(solution, size, dtype=torch.float64):
    return assert_state(solution.RoadNet(*size[1:], dtype=dtype), _shapes(size), dtype=dtype, name="RoadNet")


def _weights(rng, size):
    """Numbers of order one all the way, biases and log variances too."""
    fans = {name: np.prod(shape[1:]) if len(shape) > 1 else 2 for name, shape in _shapes(size).items()}
    return {name: normal(rng, *shape) * fans[name] ** -0.5 for name, shape in _shapes(size).items()}


def _models(solution, rng, size):
    """The learner's network and the oracle's, with the same weights."""
    weights = _weights(rng, size)
    return load_state(_make(solution, size), weights), load_state(_Net(*size[1:]), weights)


def _labels(rng, frames, classes, share):
    """Targets of which a share is known: where one is not, there is NaN, or a sign that is none."""
    known = torch.from_numpy(rng.random((frames, 3)) < share)
    offsets, gaps = normal(rng, frames), 3 * normal(rng, frames)
    signs = torch.from_numpy(rng.integers(0, classes, frames))
    nowhere = torch.from_numpy(rng.choice([-1, 70_000], frames))
    numbers = [torch.where(known[:, task], value, torch.nan) for task, value in enumerate((offsets, gaps))]
    return (*numbers, torch.where(known[:, 2], signs, nowhere)), known


def _losses(outputs, targets, known):
    """torch's losses of the rows that are known."""
    found = []
    for task, (output, target) in enumerate(zip(outputs, targets, strict=True)):
        rows = known[:, task].nonzero()[:, 0]
        loss = F.cross_entropy if task == 2 else F.mse_loss
        found.append(loss(output[rows], target[rows]) if len(rows) else 0 * output[0].sum())
    return torch.stack(found)


def _terms(losses, log_variances, labelled):
    """Negative log likelihoods of a Gaussian whose squared error is the loss, or twice the loss for cross-entropy."""
    squares = losses * torch.tensor([1, 1, 2])
    each = (log_variances + squares / log_variances.exp()) / 2
    return torch.stack([term if there else 0 * loss for term, there, loss in zip(each, labelled, losses, strict=True)])


def _flat(function):
    """A function of outputs and targets as one whose arguments are tensors by name, for comparing it."""
    return lambda known, **tensors: function(*(tuple(map(tensors.get, names)) for names in (TASKS, LABELS)), known)


def _answers(rng, size, share, far=1):
    """Arguments of _flat's function: answers, targets, and which of these are known."""
    frames, classes = size[0], size[-1]
    targets, known = _labels(rng, frames, classes, share)
    answers = {"offset": normal(rng, frames), "gap": 3 * normal(rng, frames), "sign": normal(rng, frames, classes)}
    answers = {name: far * value for name, value in answers.items()}
    return answers | dict(zip(LABELS, targets, strict=True)) | {"known": known}


def _moves(oracle, images, targets, known, order, reference):
    """The loss, and by name what a step moves: Jacobians of the terms by torch.func; of the trunk's, rows are projected."""
    values = {name: value.detach() for name, value in oracle.named_parameters()}

    def terms(values):
        outputs = torch.func.functional_call(oracle, values, (images,))
        return _terms(_losses(outputs, targets, known), values["log_variances"], known.any(0))

    slopes = torch.func.jacrev(terms)(values)
    trunk = [name for name in slopes if name.startswith(("first", "second", "squeeze"))]
    moved = reference.project_conflicts(torch.cat([slopes[name].flatten(1) for name in trunk], 1), order).sum(0)
    pieces = moved.split([values[name].numel() for name in trunk])
    pieces = {name: piece.reshape(values[name].shape) for name, piece in zip(trunk, pieces, strict=True)}
    return terms(values).sum(), {name: slope.sum(0) for name, slope in slopes.items()} | pieces


def _descent(oracle, images, targets, known, batches, orders, rate, reference):
    """The oracle's steps, each with the loss of its batch and a slope that moves what the step moves; and its Adam."""
    groups = [{"params": list(oracle.parameters())[1:]}, {"params": [oracle.log_variances], "lr": 10 * rate}]
    adam = torch.optim.Adam(groups, lr=rate)

    def losses():
        for step, (rows, order) in enumerate(zip(batches, orders, strict=True)):
            for group, first in zip(adam.param_groups, (rate, 10 * rate), strict=True):
                group["lr"] = first * (1 - step / len(batches))
            batch = images[rows], [target[rows] for target in targets], known[rows], order
            loss, moves = _moves(oracle, *batch, reference)
            slope = sum((moves[name] * value).sum() for name, value in oracle.named_parameters())
            yield loss + slope - slope.detach()

    return losses(), adam


def _asked(solution, model, size, *batch):
    """The learner's loss and gradients, in the form that they must have."""
    loss, gradients = assert_parts(solution.step_gradients(model, *batch), ("loss", "gradients"), name="step_gradients")
    assert_shape(loss, (), name="loss", help="one number, the sum of the three terms")
    right = isinstance(gradients, dict) and set(gradients) == set(_shapes(size))
    assert_that(right, "gradients must be a dict with the name of every parameter, and no others")
    for name, shape in _shapes(size).items():
        assert_shape(gradients[name], shape, name=text("gradient of {name}", name=name))
    return loss.detach(), {name: gradient.detach() for name, gradient in gradients.items()}


def _orders(rng, steps):
    return torch.from_numpy(np.stack([rng.permutation(3) for _ in range(steps)]))


def _road(offsets, gaps, signs, places):
    """Frames (N, 24, 32) of a camera 1.5 m above the road: two lines 3.5 m apart, a car 1.8 m wide, a sign.

    offsets (N,) and gaps (N,) in metres, the gap from the camera; signs (N,); places (N, 2), the sign's upper left corner
    """
    offsets, gaps = (np.reshape(value, (-1, 1, 1)) for value in (offsets, gaps))
    y, x = np.mgrid[0:24, 0:32] + 0.5
    scale = np.maximum(y - 8, 0.5) / 1.5  # pixels per metre on the ground; the horizon is row 8
    across = (x - 16) / scale + offsets
    frames = np.where(y < 8, 0.8, np.where(np.abs(across) < 1.9, 0.35, 0.5))
    line = np.abs(np.abs(across) - 1.75) < np.maximum(0.12, 0.5 / scale)
    frames = np.where((y > 8) & line, 1.0, frames)
    bottom, middle = 8 + 36 / gaps, 16 - 24 * offsets / gaps
    wide = np.minimum(x + 0.5, middle + 21.6 / gaps) - np.maximum(x - 0.5, middle - 21.6 / gaps)
    high = np.minimum(y + 0.5, bottom) - np.maximum(y - 0.5, bottom - 33.6 / gaps)
    cover = wide.clip(0, 1) * high.clip(0, 1)
    frames = frames * (1 - cover) + 0.1 * cover
    for frame, sign, (row, column) in zip(frames, signs, places, strict=True):
        frame[row : row + 7, column : column + 7][SIGNS[sign] == 1] = 0.1
    return frames


def _drive(rng, frames):
    """Frames as a camera has them, with light and noise, and what is true of each."""
    offsets, gaps = rng.uniform(-0.6, 0.6, frames), np.exp(rng.uniform(np.log(5), np.log(60), frames))
    signs, places = rng.integers(0, 4, frames), rng.integers((0, 23), (2, 26), (frames, 2))
    seen = _road(offsets, gaps, signs, places) * rng.uniform(0.7, 1.0, (frames, 1, 1))
    seen = 3 * (seen + rng.normal(0, 0.04, seen.shape) - 0.5)
    images, offsets, gaps = (torch.from_numpy(value).float() for value in (seen[:, None], offsets, gaps - 20))
    return images, (offsets, gaps, torch.from_numpy(signs))


def _lesson():
    """What everyone learns from: frames, targets of which half are known, batches, orders, and the network's first weights."""
    rng = np.random.default_rng(LESSON)
    images, (offsets, gaps, signs) = _drive(rng, FRAMES)
    radar = gaps + torch.from_numpy(rng.normal(0, 2, FRAMES)).float()
    known = torch.from_numpy(rng.random((FRAMES, 3)) < 0.5)
    batches = torch.from_numpy(rng.integers(0, FRAMES, (STEPS, BATCH)))
    lesson = images, (offsets, radar, signs), known, batches, _orders(rng, STEPS)
    return lesson, {name: value.float() * (value.ndim > 1) for name, value in _weights(rng, CAMERA).items()}


@pytest.mark.shape
def test_shapes(solution, rng):
    """Numbers come one per frame, scores in rows, losses and terms three by three, gradients as their parameters"""
    for place, size in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[place % 2]
        frames, classes, images = size[0], size[-1], normal(rng, *size[:4]).to(dtype)
        model = _make(solution, size, dtype)
        outputs = assert_parts(model(images), TASKS, name="RoadNet")
        for output, shape, name in zip(outputs, [(frames,), (frames,), (frames, classes)], TASKS, strict=True):
            assert_shape(output, shape, dtype=dtype, name=name, help="one number per frame has one axis, not two")
        targets, known = _labels(rng, frames, classes, 0.5)
        targets = [target.to(dtype) if target.is_floating_point() else target for target in targets]
        losses = solution.masked_losses(outputs, targets, known)
        assert_shape(losses, (3,), dtype=dtype, name="losses")
        terms = solution.weighted_terms(losses, torch.zeros(3, dtype=dtype), known.any(0))
        assert_shape(terms, (3,), dtype=dtype, name="terms")
        projected = solution.project_conflicts(images.flatten(1), torch.arange(frames))
        assert_shape(projected, (frames, images[0].numel()), dtype=dtype, name="projected")
        _asked(solution, model, size, images, targets, known, torch.tensor([2, 0, 1]))
        assert_shape(solution.multitask_gain(losses, losses + 1, known.any(0)), (), dtype=dtype, name="gain")
    assert_state(solution.RoadNet(*SIZES[0][1:]), _shapes(SIZES[0]), dtype=torch.float32, name="RoadNet")


@pytest.mark.value
def test_weighted_terms(solution, rng):
    """A term is what a Gaussian of this variance says of the loss, and nothing where nobody is labelled"""
    help = "factor * exp(-log_variance) * loss + log_variance / 2, with the factors 1/2, 1/2 and 1; 0 without a label"
    for far in (1, 1, 1, 10, 40):
        for labelled in ([True] * 3, [True, False, True], [False, True, False], [False] * 3):
            inputs = {"losses": far * normal(rng, 3).square(), "log_variances": far * normal(rng, 3)}
            inputs["labelled"] = torch.tensor(labelled)
            agree = {"gradients": any(labelled), "tol": TOL, "name": "terms", "help": help}
            assert_agrees(solution.weighted_terms, _terms, inputs, rng, **agree)


@pytest.mark.behaviour
def test_units_do_not_matter(solution, rng):
    """At the best log variance every task has an equal say, in whichever unit it is measured"""
    help = "exp(-s) * loss / 2 + s / 2 is least where s is the logarithm of the loss, for sign of twice the loss"
    for _ in range(5):
        losses, everyone = normal(rng, 3).square() + 0.1, torch.tensor([True] * 3)
        best = torch.log(losses * torch.tensor([1, 1, 2]))
        for unit in (1, 1e-4, 1e6):
            scales = (best + np.log(unit)).requires_grad_()
            terms = solution.weighted_terms(losses * unit, scales, everyone)
            (slopes,) = torch.autograd.grad(terms.sum(), scales)
            name = text("terms at the best log variances, in units of {unit}", unit=unit)
            assert_close(terms.detach(), (1 + best + np.log(unit)) / 2, tol=TOL, name=name, help=help)
            name = text("slopes by the best log variances, in units of {unit}", unit=unit)
            assert_close(slopes, torch.zeros(3).double(), tol=TOL, name=name, help=help)


@pytest.mark.value
def test_masked_losses(solution, rng):
    """Each loss is the mean over its own labelled frames, and what stands where there is no label takes no part"""
    help = "choose the frames of each task first, divide by how many they are; no frame at all gives 0"
    for size in [*SIZES, CROWD]:
        for share, far in ((0.5, 1), (0.5, 1000), (1.0, 1), (0.2, 1), (0.0, 1)):
            inputs, function = _answers(rng, size, share, far), _flat(solution.masked_losses)
            names = {"tol": TOL, "name": "losses", "help": help}
            assert_agrees(function, _flat(_losses), inputs, rng, gradients=False, **names)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the answers of labelled frames, and from all three heads the whole trunk"""
    help = "no detach, no NaN times 0: a gradient through a value that was masked afterwards is NaN"
    for size in SIZES:
        for share, far in ((0.5, 1), (0.2, 100), (1.0, 1)):
            inputs = _answers(rng, size, share, far)
            both = _flat(solution.masked_losses), _flat(_losses)
            assert_agrees(*both, inputs, rng, fixed=("offsets", "gaps"), tol=TOL, name="losses", help=help)
        both, images = _models(solution, rng, size), {"images": (1, 100)[size[0] % 2] * normal(rng, *size[:4])}
        names = {"parameters": list(_shapes(size))[:-1], "name": TASKS}
        assert_agrees(*both, images, rng, modules=both, tol=TOL, help=help, **names)


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights the three answers are those of torch's own layers, in both modes"""
    help = "relu after each layer of the trunk, none after a head; every head on all that the trunk found"
    for place, size in enumerate([*SIZES * 2, MANY]):
        both, images = _models(solution, rng, size), {"images": (1, 100)[place % 2] * normal(rng, *size[:4])}
        assert_agrees(*both, images, rng, modules=both, gradients=False, tol=TOL, name=TASKS, help=help)


@pytest.mark.value
def test_two_tasks(solution, rng):
    """Of two gradients that pull apart each loses its component along the other; two that agree stay"""
    cases = [([1, 0], [-1, 1], [0.5, 0.5], [0, 1]), ([1, 0], [0, 2], [1, 0], [0, 2]), ([3, 4], [0, 0], [3, 4], [0, 0])]
    cases += [([1, 2], [-2, -4], [0, 0], [0, 0]), ([2, 1], [1, 3], [2, 1], [1, 3])]
    for far in (1.0, 1e-6, 1e6):
        for *rows, one, other in cases:
            found = solution.project_conflicts(far * torch.tensor(rows).double(), torch.tensor([1, 0]))
            wanted = far * torch.tensor([one, other]).double()
            name = text("projected, of {one} and {other}", one=rows[0], other=rows[1])
            help = "a negative product: take off product / (other's squared length) * other"
            assert_close(found / far, wanted / far, tol=TOL, name=name, help=help)


@pytest.mark.value
def test_many_tasks(solution, reference, rng):
    """Of many gradients each meets the others in the given order, as it stands by then, and they as they came"""
    help = "every row meets the rows that were passed in, in this order, and is changed on the way"
    for tasks, numbers in ROWS:
        for far in (1, 100):
            rows, order = far * normal(rng, tasks, numbers), torch.from_numpy(rng.permutation(tasks))
            rows[:, 0] += torch.linspace(-far, far, tasks).double() * numbers**0.5
            wanted = reference.project_conflicts(rows.contiguous(), order)
            for given in ((rows, order), map(as_view, (rows, order))):
                found = solution.project_conflicts(*given)
                assert_close(found, wanted, tol=TOL, name="projected", help=help)


@pytest.mark.value
def test_step_gradients(solution, reference, rng):
    """The trunk is moved by the sum of the projected gradients, all else by the plain gradient of the loss"""
    help = "one row per term, over the whole trunk at once; heads and log variances are not projected"
    for place, size in enumerate([*SIZES * 2, MANY]):
        model, oracle = _models(solution, rng, size)
        targets, known = _labels(rng, size[0], size[-1], (0.5, 1.0, 0.5, 0.0)[place % 4])
        batch = normal(rng, *size[:4]), targets, as_view(known), _orders(rng, 1)[0]
        wanted, moves = _moves(oracle, *batch, reference)
        loss, gradients = _asked(solution, model, size, *batch)
        assert_close(loss, wanted, tol=TOL, name="loss", help="the sum of the three terms")
        for name, move in moves.items():
            assert_close(gradients[name], move, tol=TOL, name=text("gradient of {name}", name=name), help=help)


def _gain(together, alone, lower_is_better):
    """In per cent, by ratios."""
    signs = 1 - 2 * lower_is_better.to(together.dtype)
    return 100 * (signs @ (together / alone) - signs.sum()) / len(signs)


@pytest.mark.value
def test_multitask_gain(solution, rng):
    """The gain is the mean of relative differences in per cent, turned round where less is better"""
    cases = [([0.08, 3.0, 0.9], [0.10, 4.0, 0.8], [True, True, False], (20 + 25 + 12.5) / 3)]
    cases += [
        ([2.0], [1.0], [True], -100.0),
        ([2.0], [1.0], [False], 100.0),
        ([5.0, 7.0], [5.0, 7.0], [True, False], 0.0),
    ]
    cases += [([1e-3, 750.0], [2e-3, 600.0], [True, True], 12.5), ([0.0, 0.0], [4.0, 5.0], [True, False], 0.0)]
    help = "each task beside what it reached alone, not their sums"
    for together, alone, lower, gain in cases:
        measures = (torch.tensor(row, dtype=torch.float64) for row in (together, alone))
        found, wanted = solution.multitask_gain(*measures, torch.tensor(lower)), torch.tensor(gain, dtype=torch.float64)
        assert_close(found, wanted, tol=TOL, name="gain", help=help)
    for tasks in 2 * (3, 1, 8, 70, 5003):
        together, alone = normal(rng, tasks).abs(), 0.5 + 100 * normal(rng, tasks).abs()
        inputs = {"together": together, "alone": alone, "lower_is_better": torch.from_numpy(rng.random(tasks) < 0.5)}
        assert_agrees(solution.multitask_gain, _gain, inputs, rng, tol=TOL, name="gain", help=help)


@pytest.mark.value
def test_training(solution, reference, rng):
    """From given weights, the steps of the given fit have the right losses, and the weights after them"""
    for size, share, steps, training in TRAININGS:
        model, oracle = _models(solution, rng, size)
        images, (targets, known) = normal(rng, *size[:4]), _labels(rng, size[0], size[-1], share)
        batches, orders = torch.from_numpy(rng.integers(0, size[0], (steps, 4))), _orders(rng, steps)
        rate = float(rng.uniform(0.01, 0.03))
        losses = solution.fit(model.train(training), images, targets, known, batches, orders, rate)
        assert model.training == training, "fit must leave the model in the mode that it was in"
        steps_of = _descent(oracle, images, targets, known, batches, orders, rate, reference)
        help = "fit is given and right: it moves every parameter by your step_gradients"
        trained = {"parameters": list(_shapes(size)), "name": "loss", "help": help}
        assert_trained(losses, model, oracle, *steps_of, **trained)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and weights stay as they were, an answer repeats, and first values are drawn as stated"""
    for size in SIZES[:2]:
        model, oracle = _models(solution, rng, size)
        images, (targets, known) = normal(rng, *size[:4]), _labels(rng, size[0], size[-1], 0.5)
        batch = images, list(targets), known, torch.tensor([1, 2, 0])
        first, gradients = _asked(solution, model, size, *batch)
        _asked(solution, model, size, 2 * images, *batch[1:])
        again, same = _asked(solution, model, size, *batch)
        assert_close(again, first, tol=SAME, name="loss, asked again", help="state outlives a call")
        for name, gradient in gradients.items():
            asked = text("gradient of {name}, asked again", name=name)
            assert_close(same[name], gradient, tol=SAME, name=asked, help="state outlives a call")
        wanted = _terms(_losses(oracle(images), targets, known), oracle.log_variances, known.any(0)).sum().detach()
        assert_close(first, wanted, tol=TOL, name="loss")
        rows = normal(rng, 3, 8)
        solution.project_conflicts(rows, torch.tensor([2, 1, 0]))
        solution.masked_losses(list(model(images)), list(targets), known)
        solution.weighted_terms(rows[:, 0].abs(), rows[:, 1], known.any(0))
        solution.multitask_gain(rows[:, 0], rows[:, 1].abs() + 1, known.any(0))
        for name, value in state_of(model, list(_shapes(size))).items():
            kept = text("{name} after the calls", name=name)
            assert_close(value, oracle.get_parameter(name).detach(), tol=SAME, name=kept)
    solution.fit(model, images, list(targets), known, torch.zeros(2, 3, dtype=torch.int64), _orders(rng, 2), 0.01)
    assert_unchanged(mutated, but=["model of fit"])
    size = (1, 3, 9, 13, 5, 12, 11)
    layers = {name: shape for name, shape in _shapes(size).items() if name != "log_variances"}
    laws = layer_laws(layers) | {"log_variances": Constant(0.0)}
    assert_drawn(lambda: _make(solution, size, torch.float32), laws, name="RoadNet", help="torch's own first values")


@pytest.mark.convergence
def test_a_drive(solution, rng, record):
    """After 150 steps on half the labels it knows where in the lane it is, although the gap is a thousand times louder"""
    lesson, weights = _lesson()
    model = load_state(_make(solution, CAMERA, torch.float32), weights)
    losses = solution.fit(model, *lesson, LEARNING_RATE)
    record.curve("loss", losses)
    shown, true = _drive(rng, HELD_OUT)
    offset, gap, scores = (answer.detach() for answer in model(shown))
    answers = offset, gap.nan_to_num().clip(-15, 80), scores.argmax(1)
    wrong = [(answer - right).abs().double() for answer, right in zip(answers, true, strict=True)]
    lines = [f"{name} {each.mean():.3f} m" for name, each in zip(TASKS, wrong[:2], strict=False)]
    lines += [f"sign {100 * (wrong[2] > 0).double().mean():.0f} %"]
    scales = (state_of(model, ["log_variances"])["log_variances"] / 2).exp().tolist()
    lines += ["deviations " + ", ".join(f"{scale:.3f}" for scale in scales)]
    record.text("mean errors on frames never seen, and the deviations that were learnt", "\n".join(lines))
    drawn = [_road(o[:8].numpy(), g[:8].numpy() + 20, k[:8], [(0, 24)] * 8) for o, g, k in (true, answers)]
    frames = np.concatenate([(shown[:8, 0].numpy() / 3 + 0.5).clip(0, 1), *drawn])
    record.images("what the camera saw, what was there, and what the network made of it", frames, columns=8)
    confusion = torch.bincount(true[2] * 4 + answers[2], minlength=16).reshape(4, 4)
    record.matrix("sign (row) and answer (column)", confusion.numpy(), ["stop", "give way", "limit", "no limit"])
    help = "does every task weigh what its own uncertainty says? With equal weights all of the trunk goes to the gap"
    name = "mean error of the offset in metres, on frames never seen"
    assert_beats((offset - true[0]).abs().mean().item(), BAR, name=name, higher=False, help=help)
