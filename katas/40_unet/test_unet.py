"""The suite of kata 40: sums and norms by other roads, surfaces beside scipy's, and vessels that are drawn here."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage, special
from torch import nn
from torch.nn import functional as F

from grader.checks import (
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
    text,
)

# Images, channels, rows, columns; width and depth.
NETS = [(3, 2, 7, 9, 4, 1), (1, 3, 13, 8, 2, 2), (2, 1, 10, 15, 3, 2), (4, 2, 11, 17, 1, 3), (2, 3, 4, 8, 1, 2)]
MANY, LONG = (1101, 2, 2, 5, 1, 1), (1, 2, 5003, 3, 1, 1)
# Images, rows, columns, how large the logits are, smooth.
MASKS = [(3, 4, 5, 1, 1.0), (1, 6, 3, 4, 0.1), (2, 1, 7, 100, 1.0), (4, 5, 2, 1000, 5.0), (5, 3, 1, 0.01, 1e-3)]
MASKS += [(1101, 2, 3, 3, 1.0), (5003, 1, 2, 2, 1.0), (2, 5003, 1, 3, 2.0), (1, 1, 1, 2, 1.0)]
# Images, channels, filters, rows and columns of what comes up; rows and columns that it is short.
JOINS = [(2, 3, 4, 6, 5, 0, 0), (1, 2, 1, 4, 6, 1, 0), (3, 1, 2, 5, 8, 0, 1), (2, 4, 3, 2, 1, 1, 1)]
JOINS += [(1101, 2, 1, 2, 3, 1, 0), (5003, 1, 1, 1, 2, 0, 1), (1, 1, 2, 5003, 2, 0, 1)]
# The network, images to learn from, steps, images of each, skips, smooth.
TRAININGS = [(NETS[0], 5, 12, 3, True, 1.0), (NETS[2], 4, 3, 2, True, 0.5), (NETS[1], 3, 3, 4, False, 1.0)]
TRAININGS += [(NETS[3], 1, 2, 1, True, 2.0), (MANY, 1101, 1, 67, True, 1.0)]
# Rows, columns; the share of pixels in a mask; millimetres between rows, between columns; tolerance.
SURFACES = [(9, 12, 0.3, (1.0, 1.0), 1.0), (7, 5, 0.6, (0.5, 2.0), 0.5), (12, 8, 0.9, (3.0, 0.25), 0.75)]
SURFACES += [(20, 31, 0.03, (0.7, 1.3), 2.9), (1, 17, 0.4, (2.0, 0.5), 1.5), (15, 1, 0.4, (0.5, 2.0), 1.0)]
SURFACES += [(6, 7, 1.0, (1.5, 1.0), 0.0), (11, 9, 0.2, (40.0, 90.0), 90.0), (5003, 3, 0.01, (1.0, 0.1), 3.0)]
TOL, SAME = 1e-8, 1e-9
SCORES = ("surface Dice", "Hausdorff distance")
ROWS, COLUMNS, IMAGES, LEARNT, SHOWN = 31, 35, 40, 24, 4
WIDTH, DEPTH, STEPS, BATCH, LEARNING_RATE = 8, 3, 40, 4, 0.01
BAR, THIN_BAR = 0.6, 0.45


class _Double(nn.Module):
    """Norms in as many groups as there are channels."""

    def __init__(self, channels, filters):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.GroupNorm(filters, filters)
        self.conv2, self.norm2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.GroupNorm(filters, filters)
        self.double()

    def forward(self, x):
        for layers in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            x = layers[1](layers[0](x))
            x = torch.where(x > 0, x, 0.01 * x)
        return x


class _UNet(nn.Module):
    """Level within level: what lies below a level is one function of its maps."""

    def __init__(self, channels, width, depth, skips=True):
        super().__init__()
        filters, self.skips = [width * 2**level for level in range(depth + 1)], skips
        self.down = nn.ModuleList(_Double(*pair) for pair in pairwise([channels, *filters]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(*pair[::-1], 2, 2) for pair in pairwise(filters))
        self.merge = nn.ModuleList(_Double(2 * each, each) for each in filters[:-1])
        self.head = nn.Conv2d(width, 1, 1)
        self.double()

    def forward(self, images):
        return self.head(self._level(0, images)).squeeze(1)

    def _level(self, level, x):
        skip = self.down[level](x)
        if level == len(self.up):
            return skip
        rows, columns = (size // 2 for size in skip.shape[2:])
        corners = [skip[:, :, a : 2 * rows : 2, b : 2 * columns : 2] for a in (0, 1) for b in (0, 1)]
        below = self.up[level](self._level(level + 1, torch.stack(corners).amax(0)))
        return self.merge[level](_join(below, skip * self.skips))


def _join(below, skip):
    room = torch.cat([skip, skip.new_zeros(len(skip), below.shape[1], *skip.shape[2:])], 1)
    room[:, skip.shape[1] :, : below.shape[2], : below.shape[3]] = below
    return room


def _dice(logits, truth, smooth=1.0):
    p, t = torch.special.expit(logits).flatten(1), truth.flatten(1)
    return (2 * torch.einsum("np,np->n", p, t) + smooth) / ((p + t).sum(1) + smooth)


def _loss(logits, truth, smooth=1.0):
    return 1 - _dice(logits, truth, smooth).mean() + (F.softplus(logits) - logits * truth).mean()


def _shapes(oracle):
    return {name: tuple(value.shape) for name, value in oracle.named_parameters()}


def _alike(rng, learner, oracle, name, far=1):
    """Both with the same numbers, which lead to results of about `far`; nothing is zero or one."""
    assert_state(learner, _shapes(oracle), dtype=torch.float64, name=name)
    values = {}
    for key, shape in _shapes(oracle).items():
        spread = math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.5
        values[key] = spread * normal(rng, *shape) + ("norm" in key and "weight" in key)
        values[key] *= far if key in ("norm2.weight", "head.weight") else 1
    return [load_state(each, values) for each in (learner, oracle)]


def _models(solution, rng, size, skips=True, far=1):
    learner = solution.UNet(size[1], *size[4:], skips=skips, dtype=torch.float64)
    return _alike(rng, learner, _UNet(size[1], *size[4:], skips), "UNet", far)


def _truth(rng, *shape):
    """Some images are all vessel or have none, and some pixels are a matter of opinion."""
    few, many = rng.integers(0, 4, (2, shape[0], 1, 1)) > 0
    return torch.from_numpy(np.maximum(few * rng.choice([0, 0, 1, 1, 0.3], shape), 1.0 - many))


def _mask_inputs(rng, count, rows, columns, far, smooth):
    """The arguments of both losses; a smooth of 1 need not be said."""
    inputs = {"logits": far * normal(rng, count, rows, columns), "truth": _truth(rng, count, rows, columns)}
    return inputs | ({"smooth": smooth} if smooth != 1 else {})


def _masks(rng, *shape, share=0.4):
    """Two that overlap in part; with a share of 1 they are full."""
    common, *own = rng.random((3, *shape))
    return [torch.from_numpy((common < 0.8 * share) | (each < share**2)) for each in own]


def _outline(mask):
    return mask.numpy() & ~ndimage.binary_erosion(mask.numpy())


def _scores(prediction, truth, spacing=(1.0, 1.0), tolerance=1.0):
    """By distance transforms, in which every pixel knows how far the other surface is."""
    ours, theirs = _outline(prediction), _outline(truth)
    if not (ours.any() and theirs.any()):
        return (
            (0.0, float(np.linalg.norm(np.array(ours.shape) * spacing))) if ours.any() or theirs.any() else (1.0, 0.0)
        )
    there = ndimage.distance_transform_edt(~theirs, sampling=spacing)[ours]
    back = ndimage.distance_transform_edt(~ours, sampling=spacing)[theirs]
    near = (np.concatenate([there, back]) <= tolerance).mean()
    return float(near), float(max(np.percentile(there, 95), np.percentile(back, 95)))


@pytest.mark.shape
def test_shapes(solution, rng):
    """Maps keep rows and columns, a pixel has one logit, an image one Dice and one IoU; float32 unless it is told"""
    for index, (*size, width, depth) in enumerate(NETS):
        dtype = (torch.float32, torch.float64)[index % 2]
        count, channels, rows, columns = size
        given = {"dtype": dtype} if index else {}
        images, truth = normal(rng, *size).to(dtype), _truth(rng, count, rows, columns).to(dtype)
        maps = solution.DoubleConv(channels, width + 1, **given)(images)
        assert_shape(maps, (count, width + 1, rows, columns), dtype=dtype, name="maps")
        model = solution.UNet(channels, width, depth, skips=index != 2, **given)
        logits = assert_state(model, _shapes(_UNet(channels, width, depth)), dtype=dtype, name="UNet")(images)
        assert_shape(logits, (count, rows, columns), dtype=dtype, name="logits", help="one number per pixel")
        dice, loss = solution.soft_dice(logits, truth), solution.segmentation_loss(logits, truth)
        assert_shape(dice, (count,), dtype=dtype, name="dice", help="one number per image")
        assert_shape(loss, (), dtype=dtype, name="loss", help="one number")
        one, two = truth > 0.5, truth > 0
        assert_shape(solution.iou(one, two), (count,), dtype=torch.float64, name="shares", help="one number per image")
        assert_shape(solution.surface(one[0]), (rows, columns), dtype=torch.bool, name="outline")
        scores = assert_parts(solution.surface_scores(one[0], two[0], (1.0, 2.0), 1.0), SCORES, name="surface_scores")
        assert all(isinstance(score, float) for score in scores), "surface_scores must return Python floats"


@pytest.mark.value
def test_soft_dice(solution, rng):
    """Each image has the Dice of its own probabilities, far logits and empty masks included"""
    help = "twice the overlap, over both sums, of one image; smooth is added above and below"
    for size in MASKS * 2:
        inputs = _mask_inputs(rng, *size)
        assert_agrees(solution.soft_dice, _dice, inputs, rng, tol=TOL, name="dice", help=help, gradients=False)
    got = solution.soft_dice(torch.full((2, 3, 4), -900.0).double(), torch.zeros(2, 3, 4).double())
    name = text("dice where nothing is found and nothing is there")
    assert_close(got, torch.ones(2).double(), tol=SAME, name=name, help=help)


@pytest.mark.value
def test_segmentation_loss(solution, rng):
    """The loss is 1 - Dice, a mean over images, plus the cross-entropy, a mean over pixels, and never overflows"""
    help = "the Dice of each image before the mean; no threshold, no logarithm of a rounded probability"
    for size in MASKS * 2:
        inputs = _mask_inputs(rng, *size)
        assert_agrees(solution.segmentation_loss, _loss, inputs, rng, tol=TOL, name="loss", help=help, gradients=False)


@pytest.mark.value
def test_double_conv(solution, rng):
    """With given weights, a double convolution makes the maps that torch's convolutions and group norms make"""
    help = "convolution, norm, leaky ReLU, twice; each channel of each image by its own pixels, in both modes"
    for index, (count, channels, rows, columns, *_) in enumerate([*NETS * 2, MANY, LONG]):
        learner = solution.DoubleConv(channels, 1 + index % 4, dtype=torch.float64)
        both = _alike(rng, learner, _Double(channels, 1 + index % 4), "DoubleConv", (1, 100)[index % 2])
        inputs = {"x": (1, 100)[index % 2] * (normal(rng, count, channels, rows, columns) + 0.5)}
        assert_agrees(*both, inputs, rng, modules=both, tol=TOL, name="maps", help=help, gradients=False)


@pytest.mark.value
def test_join(solution, rng):
    """The skip's channels come first, what came up lies on them pixel on pixel, and where it is short there are zeros"""
    help = "one axis of channels; row 0 on row 0, column 0 on column 0: no stretching, no centring, no cut"
    for index, (count, channels, filters, rows, columns, *short) in enumerate(JOINS * 2):
        inputs = {"below": (1, 100)[index // 2 % 2] * normal(rng, count, filters, rows, columns)}
        inputs["skip"] = (1, 100)[index // 2 % 2] * normal(rng, count, channels, rows + short[0], columns + short[1])
        assert_agrees(solution.join, _join, inputs, rng, tol=TOL, name="joined", help=help)
    for rows, columns in ((3, 5), (6, 5), (4, 4), (4, 7)):
        assert_raises(ValueError, solution.join, normal(rng, 1, 2, 4, 5), normal(rng, 1, 3, rows, columns))


@pytest.mark.value
def test_logits(solution, rng):
    """With given weights, networks of any depth answer for images of any size but too small ones, with skips and without"""
    help = "each level's result goes down halved, and across as it is; without skips, zeros go across"
    for index, size in enumerate([*NETS * 2, MANY, LONG]):
        both = _models(solution, rng, size, index not in (1, 7, 8), (1, 100)[index % 2])
        inputs = {"images": (1, 100)[index % 2] * normal(rng, *size[:4])}
        assert_agrees(*both, inputs, rng, modules=both, tol=TOL, name="logits", help=help, gradients=False)
    for depth, *size in ((2, 7, 7), (1, 1, 9), (3, 15, 8)):
        for training in (True, False):
            assert_raises(ValueError, solution.UNet(1, 2, depth).train(training), torch.zeros(2, 1, *size))


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the logits, the images and every parameter, through skips and round them"""
    agree = {"tol": TOL, "help": "nothing may cut the graph: no detach, no .data, no threshold, no numpy"}
    for size in MASKS:
        inputs = _mask_inputs(rng, *size)
        assert_agrees(solution.soft_dice, _dice, inputs, rng, fixed=["truth"], name="dice", **agree)
        assert_agrees(solution.segmentation_loss, _loss, inputs, rng, fixed=["truth"], name="loss", **agree)
    for index, size in enumerate([*NETS, MANY]):
        inputs = {"images": (1, 100)[index % 2] * normal(rng, *size[:4])}
        both = _models(solution, rng, size, skips=index != 2)
        assert_agrees(*both, inputs, rng, modules=both, parameters=list(_shapes(both[1])), name="logits", **agree)


@pytest.mark.value
def test_training(solution, rng):
    """From given weights, the steps of the given fit have the right losses, and the weights after them"""
    help = "fit is given and right: its loss is your segmentation_loss of your UNet, and every parameter learns"
    for index, (size, count, steps, batch, skips, smooth) in enumerate(TRAININGS):
        model, oracle = _models(solution, rng, size, skips)
        model.train(index % 2 == 0)
        images, truth = normal(rng, count, *size[1:4]), _truth(rng, count, *size[2:4])
        batches, rate = torch.from_numpy(rng.integers(0, count, (steps, batch))), float(rng.uniform(0.003, 0.01))
        losses = solution.fit(model, *map(as_view, (images, truth, batches)), rate, smooth)
        assert model.training == (index % 2 == 0), "training must leave the model in the mode in which it came"
        wanted = (_loss(oracle(images[rows]), truth[rows], smooth) for rows in batches)
        adam, parameters = torch.optim.Adam(oracle.parameters(), lr=rate), list(_shapes(oracle))
        assert_trained(losses, model, oracle, wanted, adam, parameters=parameters, name="loss", help=help)


@pytest.mark.value
def test_iou(solution, rng):
    """The share of either mask that is in both is counted for each image, and two empty masks agree"""
    help = "pixels of both over pixels of either, image by image; 1 where either has none"
    for count, rows, columns, *_ in MASKS * 2:
        kept = torch.from_numpy(rng.random((2, count, 1, 1)) < 0.7)
        masks = [mask & keep for mask, keep in zip(_masks(rng, count, rows, columns), kept, strict=True)]
        pairs = [[set(np.flatnonzero(mask)) for mask in pair] for pair in zip(*masks, strict=True)]
        expected = torch.tensor([len(a & b) / len(a | b) if a | b else 1.0 for a, b in pairs], dtype=torch.float64)
        for given in (masks, map(as_view, masks)):
            assert_close(solution.iou(*given), expected, tol=TOL, name="shares", help=help)
        shares, full = masks[0].double().mean((1, 2)), masks[0] | True
        assert_close(solution.iou(masks[0], full), shares, tol=TOL, name=text("shares of a full mask"), help=help)


@pytest.mark.value
def test_surface(solution, rng):
    """A pixel is on the surface where a neighbour above, below, left or right is not in the mask, the edge included"""
    help = "four neighbours, no diagonals; what lies beyond the image is not in the mask, and nothing wraps round"
    for rows, columns, share, *_ in SURFACES * 2:
        mask, other = _masks(rng, rows, columns, share=share)
        for each in (mask, as_view(mask | other), mask & False, mask | True):
            expected = torch.from_numpy(_outline(each))
            assert_close(solution.surface(each), expected, name="outline", help=help)


@pytest.mark.value
def test_surface_scores(solution, rng):
    """The share of surface within the tolerance, and the larger of two 95th percentiles, in millimetres"""
    help = "from each surface to the other one; rows and columns by their own spacing; at most the tolerance; the diagonal if one is empty"
    for rows, columns, share, *how in SURFACES * 2:
        one, two = _masks(rng, rows, columns, share=share)
        none = one & False
        for masks in ((one, two), (as_view(two), as_view(one)), (two, two), (none, two), (one, none), (none, none)):
            scores = assert_parts(solution.surface_scores(*masks, *how), SCORES, name="surface_scores")
            for name, score, expected in zip(SCORES, scores, _scores(*masks, *how), strict=True):
                assert_close(score, expected, tol=TOL, name=name, help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Images hear nothing of each other, arguments stay, answers repeat, and first values are those of torch's layers"""
    for size in NETS:
        model, oracle = _models(solution, rng, size)
        images, truth = normal(rng, 3, *size[1:4]), _truth(rng, 3, *size[2:4])
        logits, help = (
            oracle(images).detach(),
            "a norm of its own for each image, in both modes; no call leaves a trace",
        )
        for name, rows in (("logits", slice(3)), ("logits of an image alone", slice(1)), ("logits again", slice(3))):
            assert_close(model.eval()(images[rows]).detach(), logits[rows], tol=TOL, name=name, help=help)
        solution.soft_dice(logits, truth)
        solution.segmentation_loss(logits, truth)
        solution.DoubleConv(size[1], 2, dtype=torch.float64)(images)
        solution.surface(logits[0] > 0)
        solution.iou(logits > 0, truth > 0)
        solution.surface_scores(logits[0] > 0, truth[0] > 0, (1.0, 2.0), 1.0)
        solution.join(images[:, :, :-1], images)
        for name, value in state_of(oracle, list(_shapes(oracle))).items():
            after = text("{name} after the calls", name=name)
            assert_close(state_of(model, [name])[name], value, tol=SAME, name=after)
        solution.fit(model, images, truth, torch.zeros(2, 2, dtype=torch.int64), 0.01)
    assert_unchanged(mutated, but=["model of fit"])
    shapes = _shapes(_UNet(3, 12, 1))
    laws = layer_laws(shapes, norms=[name.rpartition(".")[0] for name in shapes if "norm" in name])
    assert_drawn(lambda: solution.UNet(3, 12, 1), laws, name="UNet", help="nothing is drawn but by torch's layers")


def _vessels(rng):
    """2 where a trunk crosses the image, 1 where a twig leaves it, 0 elsewhere: paths that turn a little at each step."""
    kinds, size = np.zeros((ROWS, COLUMNS), dtype=np.int64), np.array([ROWS, COLUMNS])
    points = rng.random((1, 2)) * np.eye(2)[rng.integers(2)] * size  # on the upper or on the left edge
    angles = np.arctan2(*(size * rng.uniform(0.3, 0.7, 2) - points)[0][::-1])[None]
    for kind, radius, count, length in ((2, 1.5, 1, 120), (1, 0.5, 9, 70)):
        if kind == 1:
            which = rng.integers(0, len(points), count)
            points, angles = points[which], angles[which] + rng.choice([-1, 1], count) * rng.uniform(0.5, 1.1, count)
        turned = angles[:, None] + 0.1 * rng.normal(size=(count, length)).cumsum(1)
        paths = points[:, None] + 0.5 * np.stack([np.cos(turned), np.sin(turned)], 2).cumsum(1)
        inside = ((paths >= 0) & (paths < size)).all(2)
        points, angles, away = paths[inside], turned[inside], np.ones((ROWS, COLUMNS))
        away[tuple(points.astype(int).T)] = 0
        kinds = np.maximum(kinds, kind * (ndimage.distance_transform_edt(away) <= radius))
    return kinds


def _image(rng, kinds):
    """Dark vessels, and round spots that are none, blurred a little, in uneven light and grain."""
    light, grain = rng.normal(size=(2, ROWS, COLUMNS))
    light = ndimage.gaussian_filter(light, 9, mode="nearest")
    middles = rng.uniform(0, [ROWS, COLUMNS], (4, 2))
    spots = [np.hypot(np.arange(ROWS)[:, None] - row, np.arange(COLUMNS) - column) < 2.5 for row, column in middles]
    dark = ndimage.gaussian_filter(np.maximum(np.array([0, 1.3, 1.6])[kinds], 1.4 * np.any(spots, 0)), 0.5)
    return 1.2 * light / light.std() - dark + 0.25 * grain


@pytest.mark.convergence
def test_vessels(solution, rng, record):
    """On unseen images it outlines the vessels, and it keeps the thin ones, which the same network without skips loses"""
    kinds = np.stack([_vessels(rng) for _ in range(IMAGES)])
    drawn = np.stack([_image(rng, each) for each in kinds])
    images, truth = torch.from_numpy(drawn).float()[:, None], torch.from_numpy(kinds > 0)
    known, unseen, thin = truth[:LEARNT].double(), truth[LEARNT:], torch.from_numpy(kinds == 1)[LEARNT:]
    batches = torch.from_numpy(rng.integers(0, LEARNT, (STEPS, BATCH)))
    losses, answers, rows = [], [], []
    for skips in (True, False):
        model = solution.UNet(1, WIDTH, DEPTH, skips)
        losses.append(solution.fit(model, images[:LEARNT], known.float(), batches, LEARNING_RATE))
        answers.append(model(images[LEARNT:]).detach() > 0)
        pairs = list(zip(answers[-1], unseen, strict=True))
        dice = np.mean([2 * (a & t).sum().item() / (a.sum() + t.sum()).item() for a, t in pairs])
        found = (answers[-1] & thin).sum().item() / thin.sum().item()
        rows.append([dice, found, *np.mean([_scores(*pair) for pair in pairs], 0)])
    constant = _loss(torch.full_like(known, special.logit(known.mean().item())), known).item()
    record.curve("loss, beside that of one probability for all pixels", losses[0], constant, losses[1])
    shades = (drawn - drawn.min((1, 2), keepdims=True)) / np.ptp(drawn, (1, 2), keepdims=True)
    panels = np.stack([shades[LEARNT:], unseen.numpy(), *(answer.numpy() for answer in answers)], 1)[:SHOWN]
    record.images("image, truth, answer with skips, answer without", panels.reshape(-1, ROWS, COLUMNS), 4)
    titles = ["Dice", "share of thin vessels found", "surface Dice within a pixel", "Hausdorff distance in pixels"]
    lines = [f"{title:28} {one:6.2f} {two:6.2f}" for title, one, two in zip(titles, *rows, strict=True)]
    record.text("sixteen unseen images, with skips and without", "\n".join(lines))
    help = "do skips arrive, pixel on pixel, and is what is learnt the overlap with the truth?"
    assert_beats(rows[0][0], BAR, name="mean Dice on unseen images", help=help)
    assert_beats(rows[0][1], THIN_BAR, name="share of thin vessels found", help=help)
