"""The suite of kata 38: a sparse matrix beside scipy's, layers beside torch's bags of rows, and a club that splits."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Constant,
    Uniform,
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
    load_state,
    normal,
    state_of,
    text,
)

CLUB = json.loads(Path(__file__).with_name("karate_club.json").read_text(encoding="utf-8"))
# Members, pairs, features, hidden units, sides.
SIZES = [(7, 9, 4, 5, 3), (1, 0, 3, 2, 4), (12, 6, 5, 3, 2), (5, 14, 2, 6, 7), (3, 0, 6, 4, 5)]
LARGE = [(1101, 1500, 3, 2, 4), (5001, 5000, 2, 1, 3)]
# Size, steps, by how much the second layer's weights are larger.
TRAININGS = [
    (SIZES[0], 12, 1),
    (SIZES[0], 12, 1),
    (SIZES[2], 15, 200),
    (SIZES[1], 1, 1),
    (SIZES[3], 12, 1),
    (LARGE[0], 2, 1),
]
TOL, SAME = 1e-8, 1e-9
ENTRIES = ("index", "weights")
MEMBERS, LEADERS, HIDDEN, STEPS, LEARNING_RATE, CLUBS = 34, [0, 33], 16, 60, 0.01, 3
BAR = 0.75  # mid-way between nets without edges, about 1/2, and 30 of 32, the worst that a right solution reached


def _pairs(rng, members, count):
    """Pairs in any order, some listed again and some of a member with themselves; the last few members have no friends."""
    pairs = rng.integers(0, max(1, members - members // 6), (count, 2))
    pairs[: count // 4] = pairs[count // 2 : count // 2 + count // 4, ::-1]
    return torch.from_numpy(rng.permutation(pairs))


def _star(members):
    """Everyone is a friend of the last one, and of nobody else."""
    return torch.stack([torch.arange(members - 1), torch.full((members - 1,), members - 1)], 1)


def _matrix(edges, members):
    """D^-1/2 (A + I) D^-1/2 by scipy, whose entries stand in order of rows and columns."""
    left, right = edges.numpy().T
    listed = scipy.sparse.coo_array((np.ones(len(left)), (left, right)), (members, members)).tocsr()
    friends = ((listed + listed.T + scipy.sparse.eye_array(members, format="csr")) > 0).astype(np.float64)
    roots = scipy.sparse.diags_array(friends.sum(axis=1) ** -0.5)
    return (roots @ friends @ roots).tocsr()


def _entries(edges, members):
    matrix = _matrix(edges, members).tocoo()
    return torch.from_numpy(np.stack(matrix.coords).astype(np.int64)), torch.from_numpy(matrix.data)


def _asked(solution, edges, members, dtype=torch.float64):
    """The learner's entries, in the form that they must have."""
    index, weights = assert_parts(solution.normalised_edges(edges, members, dtype), ENTRIES, name="normalised_edges")
    assert_shape(weights, (weights.numel(),), dtype=dtype, name="weights", help="one number per entry")
    assert_shape(
        index, (2, weights.numel()), dtype=torch.int64, name="index", help="two rows, as many entries as weights"
    )
    inside = index.numel() == 0 or (int(index.min()) >= 0 and int(index.max()) < members)
    assert_that(inside, "index names members that are not there: they are 0 to {last}", last=members - 1)
    return index, weights


def _any_entries(rng, members, count):
    """Entries of a matrix that is not symmetric, some places repeated, some members unheard and some hearing nobody."""
    index = torch.from_numpy(rng.integers(0, members, (2, count)))
    index[:, : count // 3] = index[:, count // 2 : count // 2 + count // 3]
    return index, normal(rng, count)


def _heard(x, index, weights):
    """torch's bags of embeddings: of each member, the weighted sum of the rows that they hear."""
    order = index[0].argsort(stable=True)
    starts = torch.searchsorted(index[0][order], torch.arange(len(x)))
    return F.embedding_bag(index[1][order], x, starts, mode="sum", per_sample_weights=weights[order])


class _Layer(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features, outputs, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float64))

    def forward(self, x, index, weights):
        return _heard(x, index, weights) @ self.weight + self.bias


class _Network(nn.Module):
    def __init__(self, features, hidden, sides):
        super().__init__()
        self.first, self.second = _Layer(features, hidden), _Layer(hidden, sides)

    def forward(self, x, index, weights):
        return self.second(self.first(x, index, weights).clamp(min=0), index, weights)


def _loss(logits, labels, known):
    return F.cross_entropy(logits, torch.where(known, labels, -7), ignore_index=-7)


def _roughness(x, edges, members, depth):
    """By eigenvectors, without a single propagation."""
    values, vectors = torch.linalg.eigh(torch.from_numpy(_matrix(edges, members).toarray()))
    shares = (vectors.T @ x).square().sum(1)
    powers = values.abs() ** (2 * torch.arange(depth + 1)[:, None]) * shares
    return (powers * (1 - values)).sum(1) / powers.sum(1)


def _layer_shapes(features, outputs):
    return {"weight": (features, outputs), "bias": (outputs,)}


def _shapes(features, hidden, sides):
    layers = {"first": _layer_shapes(features, hidden), "second": _layer_shapes(hidden, sides)}
    return {f"{layer}.{name}": shape for layer, shapes in layers.items() for name, shape in shapes.items()}


def _make(solution, features, hidden, sides, dtype=torch.float64):
    model = solution.GCN(features, hidden, sides, dtype=dtype)
    return assert_state(model, _shapes(features, hidden, sides), dtype=dtype, name="GCN")


def _alike(rng, shapes, *modules):
    """The modules with the same weights, which lead to numbers of order one; no bias is zero."""
    weights = {
        name: normal(rng, *shape) * (shape[0] ** -0.5 if len(shape) > 1 else 0.7) for name, shape in shapes.items()
    }
    return [load_state(module, weights) for module in modules]


def _networks(solution, rng, size, far=1):
    """The learner's network and the oracle's, with the same weights; logits are about `far` times as large."""
    both = _alike(rng, _shapes(*size[2:]), _make(solution, *size[2:]), _Network(*size[2:]))
    with torch.no_grad():
        for module in both:
            module.second.weight *= far
    return both


def _layers(solution, rng, features, outputs):
    layer = solution.GraphConvolution(features, outputs, dtype=torch.float64)
    assert_state(layer, _layer_shapes(features, outputs), dtype=torch.float64, name="GraphConvolution")
    return _alike(rng, _layer_shapes(features, outputs), layer, _Layer(features, outputs))


def _sides(rng, members, sides):
    """Labels, of which those that are not known are no sides at all."""
    known = torch.from_numpy(rng.random(members) < 0.5)
    known[int(rng.integers(members))] = True
    labels = torch.from_numpy(rng.integers(0, sides, members))
    return torch.where(known, labels, torch.from_numpy(rng.choice([-1, 70_000], members))), known


@pytest.mark.shape
def test_shapes(solution, rng):
    """Entries come in two rows and a weight each, layers and logits in one row per member, a loss as one number"""
    for index, (members, count, features, hidden, sides) in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[index % 2]
        places, weights = _asked(solution, _pairs(rng, members, count), members, dtype)
        x = normal(rng, members, features).to(dtype)
        assert_shape(solution.propagate(x, places, weights), (members, features), dtype=dtype, name="heard")
        layer = solution.GraphConvolution(features, hidden, dtype=dtype)
        assert_state(layer, _layer_shapes(features, hidden), dtype=dtype, name="GraphConvolution")
        assert_shape(layer(x, places, weights), (members, hidden), dtype=dtype, name="hidden")
        logits = _make(solution, features, hidden, sides, dtype)(x, places, weights)
        assert_shape(logits, (members, sides), dtype=dtype, name="logits", help="one row per member")
        loss = solution.masked_loss(logits, *_sides(rng, members, sides))
        assert_shape(loss, (), dtype=dtype, name="loss", help="one number")
        rough = solution.roughness(x, places, weights, index)
        assert_shape(rough, (index + 1,), dtype=dtype, name="roughness", help="before, and after each propagation")
    _, weights = solution.normalised_edges(_pairs(rng, 4, 3), 4)
    assert weights.dtype == torch.float32, "without a dtype, weights are float32"
    layer = solution.GraphConvolution(4, 3)
    assert_state(layer, _layer_shapes(4, 3), dtype=torch.float32, name="GraphConvolution")
    assert_state(solution.GCN(4, 3, 2), _shapes(4, 3, 2), dtype=torch.float32, name="GCN")


@pytest.mark.value
def test_normalised_edges(solution, rng):
    """Friendships count once and in both directions, everyone hears themselves, and each entry is divided by two roots"""
    help = "A + I first, then its row sums: 1 / sqrt(degree of the one * degree of the other), also for who is alone"
    cases = [(members, _pairs(rng, members, count)) for members, count, *_ in SIZES * 3 + LARGE]
    cases += [(5001, _star(5001)), (2, torch.tensor([[1, 0]])), (1, torch.tensor([[0, 0], [0, 0]]))]
    for case, (members, edges) in enumerate(cases):
        index, weights = _asked(solution, as_view(edges) if case % 2 else edges, members)
        wanted = _matrix(edges, members)
        sizes = {"found": weights.numel(), "wanted": wanted.nnz, "members": members, "pairs": len(edges)}
        got = scipy.sparse.coo_array((weights.numpy(), tuple(index.numpy())), (members, members)).tocsr()
        claim = "{found} entries for {members} members and {pairs} pairs, where there are {wanted} places"
        twice = "a friendship is two entries, however often it is listed, and everyone has one self-loop"
        assert_that(weights.numel() == wanted.nnz, claim, help=twice, **sizes)
        rows = np.diff(got.indptr), np.diff(wanted.indptr)
        assert_close(*map(torch.from_numpy, rows), name="entries of each member", help=twice, dtype=False)
        got.sort_indices()
        assert_close(torch.from_numpy(got.indices), torch.from_numpy(wanted.indices), name="who is heard", dtype=False)
        assert_close(torch.from_numpy(got.data), torch.from_numpy(wanted.data), tol=TOL, name="weights", help=help)


@pytest.mark.value
def test_propagate(solution, rng):
    """Everyone hears the weighted sum of what their entries name, whatever the matrix"""
    help = "row 0 of index hears, row 1 is heard; places that repeat add up, and who hears nobody gets 0"
    agree = {"tol": TOL, "name": "heard", "help": help, "gradients": False}
    for members, count, features, *_ in SIZES * 2 + LARGE:
        for far in (1, 1e3):
            index, weights = _any_entries(rng, members, count)
            inputs = {"x": far * normal(rng, members, features), "index": index, "weights": far * weights}
            assert_agrees(solution.propagate, _heard, inputs, rng, **agree)


@pytest.mark.behaviour
def test_a_large_network(solution, rng):
    """A hundred thousand members and few friendships take little memory: no table of all pairs"""
    members, count = 100_000, 8_000
    edges, x = _pairs(rng, members, count), normal(rng, members, 2)
    index, weights = _asked(solution, edges, members)
    heard = torch.from_numpy(_matrix(edges, members) @ x.numpy())
    help = "keep the entries that are not 0, and nothing else"
    assert_close(solution.propagate(x, index, weights), heard, tol=TOL, name="heard", help=help)


@pytest.mark.value
def test_layers_with_given_weights(solution, rng):
    """With given weights, a layer and the network of two answer as torch's own operations do"""
    help = "propagate(x @ weight), then the bias; relu between the two layers, and nothing after the second"
    agree = {"tol": TOL, "help": help, "gradients": False}
    for place, size in enumerate(SIZES * 2 + LARGE):
        members, count, features, hidden, _ = size
        far = (1, 100)[place % 2]
        entries = _any_entries(rng, members, count) if far > 1 else _entries(_pairs(rng, members, count), members)
        inputs = {"x": far * normal(rng, members, features)} | dict(zip(ENTRIES, entries, strict=True))
        if members < 1000:
            both = _layers(solution, rng, features, hidden)
            assert_agrees(*both, inputs, rng, modules=both, name="hidden", **agree)
        both = _networks(solution, rng, size)
        assert_agrees(*both, inputs, rng, modules=both, name="logits", **agree)


@pytest.mark.value
def test_masked_loss(solution, rng):
    """The loss is the mean over those whose side is known, and nothing of the others enters it"""
    help = "choose the known rows first; divide by how many they are; logits go in raw, whatever their size"
    agree = {"tol": TOL, "name": "loss", "help": help, "gradients": False}
    for members, *_, sides in SIZES * 2 + LARGE:
        for far in (1, 1000):
            labels, known = _sides(rng, members, sides)
            inputs = {"logits": far * normal(rng, members, sides), "labels": labels, "known": known}
            assert_agrees(solution.masked_loss, _loss, inputs, rng, **agree)


@pytest.mark.value
def test_roughness(solution, rng):
    """Roughness at every depth is what the eigenvectors of the matrix say"""
    help = "1 - sum(x * P x) / sum(x * x), before the first propagation and after each"
    for (members, count, features, *_), depth in zip(SIZES * 2, (7, 0, 60, 2, 5, 12, 1, 101, 40, 6), strict=True):
        edges = _pairs(rng, members, count)
        for far in (1, 1e4):
            x = far * normal(rng, members, features)
            index, weights = _entries(edges, members)
            rough = solution.roughness(as_view(x), as_view(index), as_view(weights), depth)
            assert_close(rough, _roughness(x, edges, members, depth), tol=TOL, name="roughness", help=help)
    for members, count, features, *_ in LARGE:
        edges, x = _pairs(rng, members, count), normal(rng, members, features)
        wanted = 1 - (x * torch.from_numpy(_matrix(edges, members) @ x.numpy())).sum() / x.square().sum()
        rough = solution.roughness(x, *_entries(edges, members), 0)
        assert_close(rough, wanted[None], tol=TOL, name="roughness", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach features, weights of entries, every parameter, and the logits of those who are known alone"""
    help = "nothing may cut the graph: no detach, no .data, no numpy, no writing of numbers into a fresh tensor"
    agree = {"tol": TOL, "help": help}
    for place, size in enumerate([*SIZES, *SIZES[:4], LARGE[0]]):
        members, count, features, hidden, sides = size
        far = (1, 100)[place % 2]
        inputs = {"x": far * normal(rng, members, features)}
        inputs |= dict(zip(ENTRIES, _any_entries(rng, members, count), strict=True))
        assert_agrees(solution.propagate, _heard, inputs, rng, name="heard", **agree)
        both, names = _networks(solution, rng, size), list(_shapes(features, hidden, sides))
        assert_agrees(*both, inputs, rng, modules=both, parameters=names, name="logits", **agree)
        labels, known = _sides(rng, members, sides)
        inputs = {"logits": far * normal(rng, members, sides), "labels": labels, "known": known}
        assert_agrees(solution.masked_loss, _loss, inputs, rng, name="loss", **agree)


@pytest.mark.value
def test_training(solution, rng):
    """From given weights, the steps of the given fit have the right losses, and the weights after them"""
    help = "fit is given and right: its loss is your masked_loss of your GCN, and every parameter learns"
    for size, steps, far in TRAININGS:
        members, count, features, _, sides = size
        model, oracle = _networks(solution, rng, size, far)
        entries, x = _entries(_pairs(rng, members, count), members), normal(rng, members, features)
        labels, known = _sides(rng, members, sides)
        rate = 0.0 if steps == 1 else float(rng.uniform(0.01, 0.03))
        model.train(steps != 12)
        losses = solution.fit(model, *map(as_view, (x, *entries, labels, known)), steps, rate)
        assert model.training or steps == 12, "fit must leave the model in the mode that it was in"
        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        wanted = (_loss(oracle(x, *entries), labels, known) for _ in range(steps))
        trained = {"parameters": list(_shapes(*size[2:])), "name": "cross-entropy", "help": help}
        assert_trained(losses, model, oracle, wanted, adam, **trained)


@pytest.mark.behaviour
def test_who_hears_whom(solution, rng):
    """Numbers of members are names, and two layers hear friends of friends and nobody beyond"""
    for members, count, *rest in SIZES[:4]:
        model, _ = _networks(solution, rng, (members, count, *rest))
        edges, x = _pairs(rng, members, count), normal(rng, members, rest[0])
        logits = model(x, *_asked(solution, edges, members))
        names = torch.from_numpy(rng.permutation(members))
        again = model(x[names.argsort()], *_asked(solution, names[edges], members))
        help = "does an answer hang on a member's number, or on the order of the pairs?"
        assert_close(again[names], logits, tol=SAME, name="logits of renumbered members", help=help)
    path = torch.tensor([[place, place + 1] for place in range(6)])
    entries = _asked(solution, path, 8)
    model, _ = _networks(solution, rng, (8, 6, 4, 64, 3))
    x = normal(rng, 8, 4)
    moved = x.clone()
    moved[6] += 1
    steps = (model(moved, *entries) - model(x, *entries)).abs().amax(1)
    help = "the last of a row of seven friends has changed"
    assert_close(steps[[0, 1, 2, 3, 7]], torch.zeros(5).double(), tol=SAME, name="change beyond two steps", help=help)
    assert (steps[4:7] > 1e-9).all(), "a friend of a friend has changed, and the answer has not"


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and weights stay as they were, an answer repeats, and first values are drawn as stated"""
    for size in SIZES[:4]:
        members, count, features, _, sides = size
        model, oracle = _networks(solution, rng, size)
        edges, x = _pairs(rng, members, count), normal(rng, members, features)
        entries = _asked(solution, edges, members)
        first = model(x, *entries)
        model(2 * x, *entries)
        assert_close(model(x, *entries), first, tol=SAME, name="logits, asked again", help="state outlives a call")
        solution.propagate(x, *entries)
        solution.GraphConvolution(features, sides, torch.float64)(x, *entries)
        solution.masked_loss(first, *_sides(rng, members, sides))
        solution.roughness(x, *entries, 4)
        for name, value in oracle.state_dict().items():
            kept = text("{name} after the calls", name=name)
            assert_close(state_of(model, [name])[name], value, tol=SAME, name=kept)
    solution.fit(model, x, *entries, *_sides(rng, members, sides), 2, 0.01)
    assert_unchanged(mutated, but=["model of fit"])
    features, hidden, sides = 30, 20, 25
    laws = {"first.weight": Uniform((6 / (features + hidden)) ** 0.5), "first.bias": Constant(0.0)}
    laws |= {"second.weight": Uniform((6 / (hidden + sides)) ** 0.5), "second.bias": Constant(0.0)}
    help = "weights within the root of 6 / (inputs + outputs), biases 0"
    assert_drawn(lambda: _make(solution, features, hidden, sides, torch.float32), laws, name="GCN", help=help)


@pytest.mark.convergence
def test_karate_club(solution, rng, record):
    """Told where two of a real club's thirty-four went, it says where the other thirty-two did"""
    officer, names = np.zeros(MEMBERS, dtype=np.int64), rng.permutation(MEMBERS)
    officer[names[CLUB["officer"]]] = 1
    known = np.zeros(MEMBERS, dtype=bool)
    known[names[LEADERS]] = True
    labels, known = torch.from_numpy(officer), torch.from_numpy(known)
    entries = _asked(solution, torch.from_numpy(names[np.array(CLUB["friends"])]), MEMBERS, torch.float32)
    x, given, shares, rights = torch.eye(MEMBERS), torch.where(known, labels, -1), [], []
    for _ in range(CLUBS):
        model = _make(solution, MEMBERS, HIDDEN, 2, torch.float32)
        losses = solution.fit(model, x, *entries, given, known, STEPS, LEARNING_RATE)
        shares.append(model(x, *entries).detach().softmax(1)[:, 1])
        rights.append(((shares[-1] > 0.5) == labels.bool())[~known].double().mean().item())
    record.curve("cross-entropy of the two leaders in nats", losses, baseline=math.log(2))
    record.curve("roughness by depth", solution.roughness(x, *entries, 30).tolist())
    chances = [(float(shares[-1][names[member]]), member, member in CLUB["officer"]) for member in range(MEMBERS)]
    lines = [f"{member:2} {'O' if went else 'H'} {100 * share:3.0f}" for share, member, went in sorted(chances)]
    record.text("each member, where they went (H or O), and the chance of O in per cent", "\n".join(lines))
    help = "without edges nothing is known of thirty-two of them: do both layers propagate?"
    assert_beats(float(np.mean(rights)), BAR, name="accuracy on those who were not told", help=help)
