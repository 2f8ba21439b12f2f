"""The suite of kata 33: a filter beside all detections at once, scipy's assignments, groups that cross, clips turned back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.distributions import MultivariateNormal
from torch.nn import functional as F

from grader.checks import (
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
    descend,
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

NOBODY, TOL, SAME, FAR = -1, 1e-8, 1e-9, 1000.0
STATES = [(5, 4, 2), (1, 3, 1), (2, 5, 3), (70, 2, 2), (3, 4, 4)]  # tracks, numbers of a state, of a detection
# Clips, frames, rows, columns, channels, filters, the reach of a filter, classes.
CLIPS = [((3, 5, 6, 7), 2, 4, (2, 3, 1), 5), ((1, 4, 3, 5), 3, 2, (4, 3, 5), 2), ((70, 1, 4, 2), 1, 3, (1, 2, 2), 4)]
LONG = [((2, 5003, 1, 2), 1, 2, (3, 1, 2), 3), ((5003, 2, 1, 2), 2, 1, (2, 1, 1), 2)]

LIMIT, MAX_AGE, MIN_HITS = 12.0, 6, 3
GROUPS, PARTS, WIDTH, DEPTH, VIDEOS = 5, 40, 80, 20, 12
IDF1_BAR = (
    0.74  # right ones had 0.84 to 0.91 in 50 draws, sd 0.017; nearest first at most 0.58 in 25, dying at once 0.69
)
SIGHT, STEPS, BATCH, LEARNING_RATE, HELD_OUT = (6, 9, 14), 30, 48, 0.05, 200
BAR = 0.8  # right ones had 0.995 or more in 50 draws; the mean over frames at most 0.575 in 25, a coin has 0.5


def _spread(rng, *shape):
    """Covariances, neither near to singular nor symmetric in memory."""
    root = normal(rng, *shape, shape[-1]) / shape[-1] ** 0.5
    return root @ root.mT + torch.eye(shape[-1], dtype=torch.float64) / 2


def _world(rng, n, s, m, scale=1.0):
    """Tracks, how they move, and what is seen of them."""
    motion = torch.eye(s, dtype=torch.float64) + normal(rng, s, s) / (2 * s)
    parts = {"mean": scale * normal(rng, n, s), "covariance": _spread(rng, n, s)}
    moving = {"motion": motion, "wander": _spread(rng, s)}
    return parts, moving, {"sensor": normal(rng, m, s) / s**0.5, "blur": _spread(rng, m)}


def _predict(mean, covariance, motion, wander):
    """Sums over indices."""
    moved = torch.einsum("ij,njk,lk->nil", motion, covariance, motion)
    return torch.einsum("ij,nj->ni", motion, mean), moved + wander


def _update(mean, covariance, seen, sensor, blur):
    """Bayes' rule for normal densities: what is known adds up, and doubt is its inverse."""
    known, told = covariance.inverse(), sensor.T @ blur.inverse()
    doubt = (known + told @ sensor).inverse()
    return (doubt @ (known @ mean[:, :, None] + told @ seen[:, :, None]))[:, :, 0], doubt


def _costs(mean, covariance, detections, sensor, blur):
    """torch's own densities."""
    density = MultivariateNormal((mean @ sensor.T)[:, None], (sensor @ covariance @ sensor.T + blur)[:, None])
    return -density.log_prob(detections)


def _match(table, limit):
    """scipy's choice, where every track has a place of its own to be alone."""
    alone = np.full((len(table), len(table)), limit)
    rows, columns = linear_sum_assignment(np.concatenate([np.where(table < limit, table, 1e6), alone], axis=1))
    matches = np.full(len(table), NOBODY)
    matches[rows] = np.where(columns < table.shape[1], columns, NOBODY)
    return torch.from_numpy(matches)


class _Net(nn.Module):
    """ClipNet of torch's layers."""

    def __init__(self, channels, filters, size, classes):
        super().__init__()
        self.conv, self.head = nn.Conv3d(channels, filters, size), nn.Linear(filters, classes)
        self.double()

    def forward(self, clips):
        return self.head(F.relu(self.conv(clips.permute(0, 2, 1, 3, 4))).flatten(2).mean(2))


def _shapes(channels, filters, size, classes):
    shapes = {"conv.weight": (filters, channels, *size), "conv.bias": (filters,)}
    return shapes | {"head.weight": (classes, filters), "head.bias": (classes,)}


def _make(solution, sizes, dtype):
    return assert_state(solution.ClipNet(*sizes, dtype=dtype), _shapes(*sizes), dtype=dtype, name="ClipNet")


def _nets(solution, rng, sizes):
    """The learner's network and the oracle's with the same weights."""
    weights = {name: normal(rng, *shape) for name, shape in _shapes(*sizes).items()}
    weights["conv.weight"] /= math.prod(weights["conv.weight"].shape[1:]) ** 0.5
    return tuple(load_state(each, weights) for each in (_make(solution, sizes, torch.float64), _Net(*sizes)))


def _clips(rng, size, channels):
    """Clips (B, T, C, H, W)."""
    return normal(rng, size[0], size[1], channels, size[2], size[3])


def _video(rng, groups, parts, shake=1.0):
    """Pairs of people walk through each other from both sides, before a camera that shakes: frames, and who is who."""
    side, two = np.repeat(1 - 2 * (np.arange(groups) % 2), 2), np.tile([0.0, 2.0], groups)
    start, angle = np.repeat(rng.uniform(0, (WIDTH / 2, np.pi), (groups, 2)), 2, axis=0).T
    place = np.stack([np.where(side > 0, start, WIDTH - start), np.repeat(rng.uniform(0, DEPTH, groups), 2)], axis=1)
    place += two[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    speed = np.repeat(np.stack([rng.uniform(0.7, 1.3, groups), rng.normal(0, 0.1, groups)], axis=1), 2, axis=0)
    frames, people = [], []
    for _ in range(parts):
        place = place + speed * np.stack([side, np.ones(2 * groups)], axis=1) + rng.normal(0, 0.05, place.shape)
        x, y = place.T
        hidden = ((abs(x[:, None] - x) < 0.5) & (y[:, None] - 3 < y) & (y < y[:, None])).any(axis=1)
        seen = np.flatnonzero((x > 0) & (x < WIDTH) & ~hidden & (rng.random(2 * groups) > 0.03))
        false = rng.uniform(0, (WIDTH, DEPTH), (rng.poisson(0.2), 2))
        points = np.concatenate([place[seen] + rng.normal(0, 0.15, (len(seen), 2)), false]) + rng.normal(0, shake, 2)
        order = rng.permutation(len(points))
        frames.append(torch.from_numpy(points[order]))
        people.append(torch.from_numpy(np.concatenate([seen, np.full(len(false), NOBODY)])[order]))
    return frames, people


def _tracked(solution, frames, limit=LIMIT, max_age=MAX_AGE, min_hits=MIN_HITS):
    """What the learner says of a video: for each frame a vector of names."""
    answers = solution.track([as_view(each) for each in frames], limit, max_age, min_hits)
    assert_that(len(answers) == len(frames), "track: names of {n} frames for {p}", n=len(answers), p=len(frames))
    for t, (names, detections) in enumerate(zip(answers, frames, strict=True)):
        assert_shape(names, (len(detections),), dtype=torch.int64, name=text("names in frame {t}", t=t))
    return answers


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one and for none too, and depends on its arguments"""
    for n, d, s, m in ((5, 6, 4, 2), (1, 4, 3, 1), (2, 1, 5, 3), (0, 3, 4, 2), (4, 0, 4, 2), (0, 0, 2, 1)):
        parts, moving, sight = _world(rng, n, s, m)
        for name, result in {
            "predict": solution.predict(**parts, **moving),
            "update": solution.update(**parts, seen=normal(rng, n, m), **sight),
        }.items():
            mean, covariance = assert_parts(result, ("mean", "covariance"), name=name)
            assert_shape(mean, (n, s), dtype=torch.float64, name=text("the mean of {name}", name=name))
            assert_shape(covariance, (n, s, s), dtype=torch.float64, name=text("the covariance of {name}", name=name))
            assert_that(n == 0 or covariance.std() > 0, "{name}: a covariance of equal numbers", name=name)
        table = solution.costs(**parts, detections=normal(rng, d, m), **sight)
        assert_shape(table, (n, d), dtype=torch.float64, name="table", help="rows are tracks, columns detections")
        matches = solution.match(table, -1000.0)
        assert_close(matches, torch.full((n,), NOBODY), name=text("matches where nobody is near enough"))
    for size, *sizes in CLIPS:
        for dtype in (torch.float32, torch.float64):
            logits = _make(solution, sizes, dtype)(_clips(rng, size, sizes[0]).to(dtype))
            assert_shape(logits, (size[0], sizes[-1]), dtype=dtype, name="logits")
            assert_that(size[0] == 1 or logits.std(0).min() > 0, "logits are the same for every clip")


@pytest.mark.value
def test_filter(solution, rng):
    """One step ahead and one detection: means and covariances are those of Bayes' rule"""
    for n, s, m, scale in [(*sizes, scale) for sizes in STATES for scale in (1.0, FAR)] + [(5003, 2, 1, 1.0)]:
        parts, moving, sight = _world(rng, n, s, m, scale)
        given = {"rng": rng, "gradients": False, "tol": TOL}
        name = (text("the predicted mean"), text("the predicted covariance"))
        assert_agrees(solution.predict, _predict, parts | moving, name=name, **given)
        seen = {"seen": parts["mean"] @ sight["sensor"].T + scale * normal(rng, n, m)}
        name = (text("the updated mean"), text("the updated covariance"))
        assert_agrees(solution.update, _update, parts | seen | sight, name=name, **given)


@pytest.mark.value
def test_costs(solution, rng):
    """The cost of a pair is minus the logarithm of torch's normal density, near and far"""
    for n, s, m in STATES:
        for count, scale, doubt in ((6, 1.0, 1.0), (1, FAR, 1.0), (5003, 1.0, 1e6), (7, 1e-3, 1e-6)):
            parts, _, sight = _world(rng, n, s, m, scale)
            parts["covariance"], sight["blur"] = parts["covariance"] * doubt, sight["blur"] * doubt
            given = {"detections": scale * normal(rng, count, m)}
            help = "half of: the squared distance in units of the doubt, and the logarithm of det(2 pi doubt)"
            given = {"inputs": parts | given | sight, "rng": rng, "gradients": False, "tol": TOL}
            assert_agrees(solution.costs, _costs, name="table", help=help, **given)


@pytest.mark.value
def test_match(solution, rng):
    """Of all choices the cheapest: beside scipy's, and where the nearest pair first goes wrong"""
    for table, limit, expected, said in (
        ([[1.0, 0.0], [9.0, 2.0]], 10.0, [0, 1], text("two whose nearest pair is the wrong one")),
        ([[4.0, 1.0], [5.0, 3.0]], 4.5, [1, -1], text("two pairs that cost more than one pair and being alone")),
        ([[2.0, 6.0], [1.0, 2.5]], 5.0, [0, 1], text("two that both want the first")),
        ([[5.0, 9.0], [1.0, 5.0]], 4.0, [-1, 0], text("two of whom one is better left alone")),
        ([[3.0, 7.0], [1.0, 4.9]], 5.0, [-1, 0], text("two that would both have a detection, at a higher price")),
        ([[-7.0], [-9.0]], -8.0, [-1, 0], text("a limit below zero")),
        ([[-7.0, -9.0]], -10.0, [-1], text("nobody near enough")),
        ([[800.0, 950.0], [700.0, 900.0]], 1000.0, [1, 0], text("costs in the hundreds")),
    ):
        found = solution.match(torch.tensor(table, dtype=torch.float64), limit)
        help = "the sum over all tracks counts, and a track left alone counts as `limit`"
        assert_close(found, torch.tensor(expected), name=text("matches of {said}", said=said), help=help)
    for n, d in ((5, 7), (7, 5), (1, 9), (9, 1), (1, 1), (70, 71), (3, 5003), (12, 12), (90, 8)):
        for limit in (-0.6, 0.0, 0.4, 30.0):
            table = 4 * normal(rng, n, d) + 50 * (limit > 1) * (normal(rng, n, d) > 0.5)
            name = text("matches of {n} tracks and {d} detections, limit {limit}", n=n, d=d, limit=limit)
            assert_close(solution.match(table, limit), _match(table.numpy(), limit), name=name)


@pytest.mark.value
def test_track_by_hand(solution):
    """Births, names, absences and deaths of people on a line"""
    for frames, ages, hits, expected, said in (
        ([[0], [1], [2]], 0, 1, [[0], [0], [0]], text("one who walks")),
        ([[0], [50], [0]], 0, 1, [[0], [1], [2]], text("three who come and go")),
        ([[5, 0]], 0, 1, [[0, 1]], text("a video of one frame")),
        ([[50, 0, 90], [1, 91, 51]], 0, 1, [[0, 1, 2], [1, 2, 0]], text("three in another order")),
        ([[0], [1], [2], [3]], 0, 3, [[-1], [-1], [0], [0]], text("one who is named at the third hit")),
        ([[0], [], [0], [1]], 1, 3, [[-1], [], [-1], [0]], text("one who is named after an absence")),
        ([[0], [], [0]], 0, 1, [[0], [], [1]], text("one who is absent, where nobody may be")),
        ([[0], [], [], [0]], 2, 1, [[0], [], [], [0]], text("one who is absent as long as one may be")),
        ([[0], [], [], [], [0]], 2, 1, [[0], [], [], [], [1]], text("one who is absent a frame too long")),
        ([[0], [], [1], [], [2], [], [3]], 1, 1, [[0], [], [0], [], [0], [], [0]], text("one who is often absent")),
        ([[0], [], [50], [51]], 0, 2, [[-1], [], [-1], [1]], text("one who comes after a death")),
        ([[0], [50], [51, 1]], 0, 1, [[0], [1], [1, 2]], text("one who comes back after death")),
        ([[0], [3], [6], [], [], [6, 15]], 3, 1, [[0], [0], [0], [], [], [1, 0]], text("one who kept walking")),
        ([[0], [8]], 3, 1, [[0], [1]], text("one too far away")),
        ([[0], [2], [4], [6], [], [1]], 3, 1, [[0], [0], [0], [0], [], [1]], text("one who would have to turn round")),
        ([[], [], [7]], 3, 1, [[], [], [0]], text("an empty street")),
        ([], 3, 1, [], text("a video without frames")),
    ):
        points = [torch.tensor([[FAR + x, 5.0] for x in frame], dtype=torch.float64).reshape(-1, 2) for frame in frames]
        for got, wanted in zip(_tracked(solution, points, LIMIT, ages, hits), expected, strict=True):
            name = text("names of {said}", said=said)
            wanted, help = torch.tensor(wanted, dtype=torch.int64), "predict, match, update; die; be born"
            assert_close(got, wanted, name=name, help=help)


@pytest.mark.value
def test_track(solution, reference, rng):
    """Whole videos, frame by frame"""
    for groups, parts, *rules in ((5, 40, 12.0, 6, 3), (3, 70, 6.0, 2, 1), (40, 5, 9.0, 0, 2), (1, 9, 0.0, 9, 1)):
        frames, _ = _video(rng, groups, parts)
        expected = reference.track(frames, *rules)
        for t, (got, wanted) in enumerate(zip(_tracked(solution, frames, *rules), expected, strict=True)):
            assert_close(got, wanted, name="names", help=text("frame {t} of a video is the first that departs", t=t))


@pytest.mark.value
def test_idf1(solution, rng):
    """The score of names: by hand, and beside scipy's choice in a table of counts"""
    for people, names, expected, said in (
        ([0, 0, 1, 1], [5, 5, 9, 9], 1.0, text("everyone named throughout")),
        ([0, 0, 0, 0], [5, 5, 9, 9], 0.5, text("one person with two names")),
        ([0, 0, 1, 1], [5, 5, 5, 5], 0.5, text("two people with one name")),
        ([0, 1, 0, 1, 0, 1], [5, 9, 5, 9, 9, 5], 2 / 3, text("two who change names")),
        ([0, 0, 0, 1, 1], [7, 7, 8, 7, 7], 0.4 * 1.5, text("a name whose two owners cannot both have it")),
        ([0, 0, -1, -1], [5, -1, 5, -1], 0.5, text("one detection unnamed, and one false alarm")),
        ([-1, -1], [3, 3], 0.0, text("false alarms alone")),
        ([4, 4], [-1, -1], 0.0, text("nobody named")),
    ):
        found = solution.idf1(torch.tensor(people), torch.tensor(names))
        assert_close(found, expected, tol=SAME, name=text("idf1 of {said}", said=said))
    for count, persons, tracks in ((60, 5, 8), (9, 9, 2), (1, 1, 1), (700, 70, 40), (5003, 4, 90), (300, 1, 99)):
        people, names = rng.integers(-1, persons, count), rng.integers(-1, tracks, count)
        people[0] = max(people[0], 0)
        true, table = (people >= 0) & (names >= 0), np.zeros((persons, tracks))
        np.add.at(table, (people[true], names[true]), 1)
        right = table[linear_sum_assignment(table, maximize=True)].sum()
        wide = [torch.from_numpy(np.where(each < 0, NOBODY, each * 2**55)) for each in (people, names)]
        found = solution.idf1(*map(as_view, wide))
        name = text("idf1 of {persons} people and {tracks} names", persons=persons, tracks=tracks)
        assert_close(found, 2 * right / ((people >= 0).sum() + (names >= 0).sum()), tol=SAME, name=name)


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """conv3d beside torch's, and logits beside a network of torch's layers, with their gradients, for clips of any size"""
    for size, channels, filters, reach, classes in CLIPS + LONG:
        for scale in (1.0, FAR):
            shapes = _shapes(channels, filters, reach, classes)
            weight, bias = (normal(rng, *shapes[name]) for name in ("conv.weight", "conv.bias"))
            clips = scale * _clips(rng, size, channels)
            inputs = {"x": clips.transpose(1, 2), "weight": weight, "bias": bias}
            assert_agrees(solution.conv3d, F.conv3d, inputs, rng, tol=TOL, name="y")
            both = _nets(solution, rng, (channels, filters, reach, classes))
            help = "channels before frames; relu; one mean per filter, over frames, rows and columns"
            held = {"modules": both, "parameters": list(shapes), "tol": TOL}
            assert_agrees(*both, {"clips": clips}, rng, name="logits", help=help, **held)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients of predictions, updates and costs by every argument: noises can be learnt"""

    def whole(predict, update, costs, frames):
        def belief(mean, root, motion, wander, seen, sensor, blur):
            noise = [each @ each.mT + torch.eye(each.shape[-1]).double() for each in (root, wander, blur)]
            after = mean, noise[0]
            for _ in range(frames):
                before = predict(*after, motion, noise[1])
                after = update(*before, seen, sensor, noise[2])
            return *before, *after, costs(*before, seen, sensor, noise[2])

        return belief

    for n, s, m, frames in ((5, 4, 2, 1), (1, 3, 1, 2), (2, 5, 3, 1), (70, 2, 2, 1), (3, 2, 2, 40)):
        parts, moving, sight = _world(rng, n, s, m)
        inputs = {"mean": parts["mean"], "root": parts["covariance"], **moving, "seen": normal(rng, n, m), **sight}
        name = text("the predicted mean"), text("the predicted covariance"), text("the updated mean")
        name = (*name, text("the updated covariance"), "table")
        oracle = whole(_predict, _update, _costs, frames)
        learner = whole(solution.predict, solution.update, solution.costs, frames)
        assert_agrees(learner, oracle, inputs, rng, tol=1e-7, name=name)


@pytest.mark.behaviour
def test_training(solution, rng):
    """Twelve steps of training give the losses and weights of torch's own layers"""
    for size, *sizes in CLIPS:
        model, oracle = _nets(solution, rng, sizes)
        clips, labels = _clips(rng, size, sizes[0]), torch.from_numpy(rng.integers(0, sizes[-1], size[0]))
        optimisers = [torch.optim.Adam(each.parameters(), lr=0.02) for each in (model, oracle)]

        def losses(module, clips=clips, labels=labels):
            for _ in range(12):
                yield F.cross_entropy(module(clips), labels)

        found = descend(losses(model), optimisers[0])
        assert_trained(found, model, oracle, losses(oracle), optimisers[1], parameters=list(_shapes(*sizes)))


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and weights stay as they were, an answer repeats, and first values are drawn as torch's layers draw them"""
    parts, moving, sight = _world(rng, 5, 4, 2)
    (frames, people), (size, *sizes) = _video(rng, 2, 9), CLIPS[0]
    (model, oracle), clips = _nets(solution, rng, sizes), _clips(rng, size, sizes[0])
    for name, call, *given in (
        ("predict", lambda *a: solution.predict(*a)[1], *parts.values(), *moving.values()),
        ("update", lambda *a: solution.update(*a)[0], *parts.values(), parts["mean"][:, 1:3], *sight.values()),
        ("costs", solution.costs, *parts.values(), frames[0], *sight.values()),
        ("match", solution.match, parts["mean"], 0.1),
        ("track", lambda *a: torch.cat(list(solution.track(*a))), frames, LIMIT, 1, 1),
        ("idf1", solution.idf1, torch.cat(people), torch.cat(people) // 2),
        ("conv3d", solution.conv3d, clips.transpose(1, 2), oracle.conv.weight.detach(), oracle.conv.bias.detach()),
        ("ClipNet", model, clips),
    ):
        assert_close(call(*given), call(*given), tol=SAME, name=text("{name} of a repeated call", name=name))
    for name, value in oracle.state_dict().items():
        after = state_of(model, [name])[name]
        assert_close(after, value, tol=SAME, name=text("{name} after the calls", name=name))
    assert_unchanged(mutated)
    sizes = 3, 12, (2, 3, 4), 11
    assert_drawn(lambda: _make(solution, sizes, torch.float32), layer_laws(_shapes(*sizes)), name="ClipNet")


def _diagram(frames, who):
    """A row for each frame of a video, with a shade for each person."""
    shades = np.zeros((PARTS, WIDTH))
    for row, points, people in zip(shades, frames, who, strict=True):
        row[points[:, 0].long().clamp(0, WIDTH - 1)] = torch.where(people == NOBODY, 0.15, 0.3 + 0.07 * people)
    return shades


@pytest.mark.convergence
def test_groups_that_cross(solution, rng, record):
    """Pairs of people cross each other before a shaking camera, and keep their names"""
    scores = []
    for _ in range(VIDEOS):
        frames, people = _video(rng, GROUPS, PARTS)
        answers = _tracked(solution, frames)
        scores.append(solution.idf1(torch.cat(people), torch.cat(answers)))
    first = zip(torch.cat(answers).flip(0).tolist(), torch.cat(people).flip(0).tolist(), strict=True)
    owners = dict(first) | {NOBODY: NOBODY}  # a name has the shade of the first whom it was given to
    shown = [[torch.tensor([owners[name] for name in names.tolist()]) for names in answers], people]
    name = "Time downwards, a place along the street across, a shade for each person: as tracked, as it was"
    record.images(name, [_diagram(frames, who) for who in shown], columns=2)
    record.curve("IDF1 of each video", scores, baseline=IDF1_BAR)
    help = "do all pairs of a frame decide together? Do tracks move on while nobody is seen?"
    assert_beats(float(np.mean(scores)), IDF1_BAR, name=text("the mean IDF1 of the videos"), help=help)


def _walks(rng, count):
    """Clips of one who walks to the left (0) or to the right (1) past things that stand; and which."""
    t, row, column = np.ogrid[: SIGHT[0], : SIGHT[1], : SIGHT[2]]
    labels = np.arange(count) % 2
    middle, height, speed = (each.reshape(-1, 1, 1, 1) for each in rng.uniform((3, 3, 0.7), (11, 6, 1.3), (count, 3)).T)
    x = middle + (2 * labels - 1).reshape(-1, 1, 1, 1) * speed * (t - (SIGHT[0] - 1) / 2)
    walker = np.exp(-((column - x) ** 2) / 1.5 - (row - height) ** 2 / 4)
    things = 0.5 * rng.normal(size=(count, 1, *SIGHT[1:]))
    clips = rng.choice([-1.5, 1.5], (count, 1, 1, 1)) * walker + things + 0.2 * rng.normal(size=(count, *SIGHT))
    return torch.from_numpy(clips[:, :, None]).float(), torch.from_numpy(labels)


@pytest.mark.convergence
def test_left_from_right(solution, rng, record):
    """Trained on short clips, the network tells on new ones who walks left from who walks right"""
    sizes = 1, 8, (3, 3, 3), 2
    model, twin = _make(solution, sizes, torch.float32), _Net(*sizes).float()
    batches, losses = [_walks(rng, BATCH) for _ in range(STEPS)], []
    for each, seen in (
        (model, lambda clips: clips),
        (twin, lambda clips: clips.mean(1, keepdim=True).expand_as(clips)),
    ):
        steps = (F.cross_entropy(each(seen(clips)), labels) for clips, labels in batches)
        losses.append(descend(steps, torch.optim.Adam(each.parameters(), lr=LEARNING_RATE)))
    name = "cross-entropy in nats, beside a coin's and a twin's that sees the mean of all frames"
    record.curve(name, losses[0], baseline=math.log(2), ablation=losses[1])
    clips, labels = _walks(rng, HELD_OUT)
    answers = model(clips).detach().argmax(1)
    name = "New clips, frame by frame: to the left, to the right, to the left"
    record.images(name, clips[:3, :, 0].flatten(0, 1), columns=SIGHT[0])
    table = torch.zeros(2, 2).index_put_((labels, answers), torch.ones(HELD_OUT), accumulate=True)
    record.matrix(
        "walks to the left and to the right (rows), and what your network took them for", table, ["left", "right"]
    )
    accuracy = (answers == labels).double().mean().item()
    help = "the same frames in another order are another walk: what is lost before the filters see it?"
    assert_beats(accuracy, BAR, name=text("accuracy on new clips"), help=help)
