"""The suite of kata 36: filters that read both strands of DNA, beside letters cut out of strings and sites of CTCF."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import dirichlet
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_raises,
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

# Sequences, letters, filters, letters of a filter: one letter, and as many as a sequence has, among them.
SIZES = [(5, 11, 3, 6), (1, 9, 2, 5), (7, 8, 6, 1), (3, 8, 2, 8), (2, 13, 1, 3)]
LARGE = [(1101, 6, 2, 3), (2, 5003, 3, 5), (5001, 3, 1, 2)]
TOL, SAME, FAR = 1e-8, 1e-9, 100.0

# How often A, C, G, T stood at places 4 to 15 of 913 sites of CTCF: profile MA0139.1 of JASPAR, a row a base.
SITES = (
    (56, 8, 744, 40, 107, 851, 5, 333, 54, 12, 56, 104),
    (800, 903, 13, 528, 433, 11, 0, 3, 12, 0, 8, 733),
    (21, 0, 65, 334, 48, 32, 903, 566, 504, 890, 775, 5),
    (36, 2, 91, 11, 324, 18, 3, 9, 341, 8, 71, 67),
)
BACKGROUND = (0.3, 0.2, 0.2, 0.3)  # of a stretch that is richer in A and T, as most of a genome is
WIDTH, LENGTH, FILTERS, STEPS, BATCH, LEARNING_RATE = 12, 50, 16, 60, 128, 0.03
TRAINING, HELD_OUT = 600, 400
BAR, MATRIX_BAR = 0.93, 0.8  # right ones 0.98 to 1 and 0.93 to 1; one strand alone reaches 0.88 at most, chance is 0.5


def _letters(rng, count, length, letters="ACGT"):
    """Random sequences; of `letters` each is as frequent."""
    return ["".join(row) for row in rng.choice(list(letters), (count, length))]


def _other(sequence):
    """The other strand of a string, in its own direction."""
    return sequence[::-1].translate(str.maketrans("ACGTacgt", "TGCAtgca"))


def _one_hot(sequences):
    """scikit-learn's encoder, which gives zeros to what it does not know."""
    encoder = OneHotEncoder(categories=[list("ACGT")], handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    rows = encoder.fit_transform(np.array(list("".join(sequences).upper()))[:, None])
    return torch.from_numpy(rows).reshape(len(sequences), -1, 4).permute(0, 2, 1)


def _turned(x):
    """Partners of A, C, G, T are T, G, C, A; the last letter comes first."""
    return x[:, [3, 2, 1, 0]][..., torch.arange(x.shape[-1] - 1, -1, -1)]


def _scan(x, weight, bias):
    """Every window and its reverse complement, cut out and multiplied."""
    windows = x.unfold(2, weight.shape[2], 1).permute(0, 2, 1, 3)
    both = torch.stack([windows, _turned(windows.flatten(0, 1)).reshape(windows.shape)])
    return torch.einsum("snpbw,kbw->nksp", both, weight) + bias[:, None, None]


class _Net(nn.Module):
    """MotifNet of the function above."""

    def __init__(self, filters, width):
        super().__init__()
        self.filters, self.head = nn.Conv1d(4, filters, width), nn.Linear(filters, 1)
        self.double()

    def forward(self, x):
        best, _ = _scan(x, self.filters.weight, self.filters.bias).flatten(2).max(2)
        return self.head(best.clamp(min=0))[:, 0]


def _shapes(filters, width):
    shapes = {"filters.weight": (filters, 4, width), "filters.bias": (filters,)}
    return shapes | {"head.weight": (1, filters), "head.bias": (1,)}


def _make(solution, filters, width, dtype):
    return assert_state(
        solution.MotifNet(filters, width, dtype=dtype), _shapes(filters, width), dtype=dtype, name="MotifNet"
    )


def _nets(solution, rng, filters, width):
    """The learner's network and the oracle's with the same weights; about a third of the best scores is below zero."""
    weights = {name: normal(rng, *shape) for name, shape in _shapes(filters, width).items()}
    weights["filters.weight"] /= (4 * width) ** 0.5
    weights["filters.bias"] -= 1
    both = _make(solution, filters, width, torch.float64), _Net(filters, width)
    return tuple(load_state(module, weights) for module in both)


def _scan_inputs(rng, count, length, filters, width, far=1.0):
    parts = {"x": far * normal(rng, count, 4, length), "weight": normal(rng, filters, 4, width) / width**0.5}
    return parts | {"bias": normal(rng, filters)}


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one sequence and for several, and depends on the letters"""
    for index, (count, length, filters, width) in enumerate(SIZES):
        dtype, seen, sequences = (torch.float32, torch.float64)[index % 2], [], _letters(rng, count, length)
        model = _make(solution, filters, width, dtype)
        for letters in (sequences, ["N" * length] * count):
            x = solution.one_hot(letters)
            assert_shape(x, (count, 4, length), dtype=torch.float32, name="x", help="bases in rows, letters in columns")
            x = x.to(dtype)
            other, scores = solution.reverse_complement(x), solution.scan(x, *list(model.filters.parameters()))
            assert_shape(other, (count, 4, length), dtype=dtype, name="other")
            places = length - width + 1
            assert_shape(scores, (count, filters, 2, places), dtype=dtype, name="scores", help="strands, then windows")
            logits, counts = model(x), solution.motif_counts(x, scores, -1e3)
            assert_shape(logits, (count,), dtype=dtype, name="logits", help="one number per sequence")
            assert_shape(counts, (filters, 4, width), dtype=dtype, name="counts", help="a filter has L - P + 1 letters")
            bits = solution.log_odds(counts, torch.tensor(BACKGROUND, dtype=dtype), 1.0)
            assert_shape(bits, (filters, 4, width), dtype=dtype, name="bits")
            seen.append((x, other, scores, counts, bits))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "other letters give the same result"
        for part in assert_parts(solution.split(sequences, torch.arange(count), 0), ("train", "test"), name="split"):
            assert isinstance(part, torch.Tensor), "split must return tensors of rows"
            assert part.dtype == torch.int64 and part.ndim == 1, "split must return int64 rows"


@pytest.mark.value
def test_letters(solution, rng):
    """Capital and small letters become columns, N is no base, other letters are refused; the other strand turns both ways"""
    help = "a base is 1 in its own row, A, C, G, T; small letters are the same bases; N is 0 in all four rows"
    for count, length, *_ in [*SIZES, (5001, 2, 0, 0), (2, 5001, 0, 0)]:
        for letters in ("ACGT", "acgtACGTnN") if count + length < 1000 else ("acgtACGTnN",):
            sequences = [*_letters(rng, count, length, letters), "N" * length, "n" * length]
            assert_close(solution.one_hot(sequences), _one_hot(sequences), name="x", help=help)
        x = {"x": normal(rng, count, 4, length)}
        help_other = "A with T and C with G, and the last letter comes first"
        agree = {"name": text("the reverse complement"), "help": help_other, "gradients": False}
        assert_agrees(solution.reverse_complement, _turned, x, rng, tol=SAME, **agree)
        found = solution.reverse_complement(_one_hot(sequences))
        wanted = _one_hot([_other(each) for each in sequences])
        assert_close(found, wanted, name=text("the reverse complement of letters"), help=help_other)
    for letter in "XRU-* .4é":
        assert_raises(ValueError, solution.one_hot, ["ACGT", "ACG" + letter])
        assert_raises(ValueError, solution.one_hot, [letter + "cgt"])
    for lengths in (("ACGT", "ACG"), ("ACG", "ACGT", "ACG"), ("A", "CC", "")):
        assert_raises(ValueError, solution.one_hot, list(lengths))


@pytest.mark.value
def test_scan(solution, rng):
    """A score is a window times the filter, plus its bias: as it is written, and as its reverse complement, place by place"""
    help = "strand 1 of place p is the reverse complement of letters p to p + W - 1: partners, backwards, same place"
    agree = {"tol": TOL, "name": "scores", "help": help, "gradients": False}
    for sizes in SIZES + LARGE:
        for far in (1.0, FAR) if sizes in SIZES else (FAR,):
            assert_agrees(solution.scan, _scan, _scan_inputs(rng, *sizes, far), rng, **agree)


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, a logit is the head of each filter's best score over both strands, nothing below zero"""
    help = "one best score per filter, over strands and windows alone; relu; then the head, and nothing after it"
    for count, length, filters, width in SIZES + LARGE:
        both = _nets(solution, rng, filters, width)
        for far in (1.0, FAR) if count + length < 1000 else (FAR,):
            x = {"x": far * normal(rng, count, 4, length)}
            assert_agrees(*both, x, rng, modules=both, tol=TOL, name="logits", help=help, gradients=False)


@pytest.mark.behaviour
def test_either_strand(solution, rng):
    """A molecule has one logit, whichever strand was written down; what nobody could read adds nothing to a score"""
    for count, length, filters, width in SIZES:
        model, _ = _nets(solution, rng, filters, width)
        weight, bias = normal(rng, filters, 4, width), normal(rng, filters)
        sequences = _letters(rng, count, length, "ACGTacgtN")
        x, other = (solution.one_hot(each).double() for each in (sequences, [_other(each) for each in sequences]))
        help = "who reads the other strand finds the same windows there, in reverse order, with strands exchanged"
        assert_close(model(other), model(x), tol=SAME, name=text("the logits of the other strand"), help=help)
        scores = solution.scan(x, weight, bias)
        wanted, name = scores.flip(2, 3), text("the scores of the other strand")
        assert_close(solution.scan(other, weight, bias), wanted, tol=SAME, name=name, help=help)
        blank = solution.scan(solution.one_hot(["N" * length]).double(), weight, bias)
        wanted, help = bias[None, :, None, None].expand(blank.shape), "N is 0 in all four rows: the bias is left"
        assert_close(blank, wanted, tol=SAME, name=text("the scores of NNN..."), help=help)
        help = "is every sequence scored alone?"
        alone = torch.cat([model(row[None]) for row in x])
        assert_close(model(x), alone, tol=SAME, name=text("logits in a batch"), help=help)


@pytest.mark.value
def test_motif_counts(solution, rng):
    """Of every sequence at most one window counts, if it is above the threshold, and it is read on the strand that scored"""
    help = "a window begins at its place, W = L - P + 1; on strand 1 its reverse complement is counted; N is no base"
    for index, (count, length, filters, width) in enumerate([*SIZES, (5001, 4, 1, 2), (2, 5001, 2, 4)]):
        dtype, places = (torch.float64, torch.float32)[index % 2], length - width + 1
        sequences, wanted = [list(row) for row in _letters(rng, count, length, "ACGTN")], np.zeros((filters, 4, width))
        sites, best = _letters(rng, count, width, "ACGTN"), rng.choice([-0.5, 0.25, 1.0, 77.0], (count, filters))
        strands, begins = rng.integers(2, size=count), rng.integers(places, size=count)
        scores = -(1 + normal(rng, count, filters, 2, places).abs())
        for row, letters in enumerate(sequences):  # all filters look at one planted site, and some fire
            site, strand, place = sites[row], strands[row], begins[row]
            letters[place : place + width] = _other(site) if strand else site
            scores[row, :, strand, place] = torch.from_numpy(best[row])
            for i, letter in enumerate(site):
                if letter != "N":
                    wanted[:, "ACGT".index(letter), i] += best[row] > 0.25
        x = _one_hot(["".join(row) for row in sequences])
        inputs = {"x": x.to(dtype), "scores": scores.to(dtype), "threshold": 0.25}
        agree = {"name": "counts", "help": help, "gradients": False}
        expected = torch.from_numpy(wanted).to(dtype)
        assert_agrees(solution.motif_counts, lambda expected=expected, **_: expected, inputs, rng, **agree)
        nothing = solution.motif_counts(inputs["x"], inputs["scores"], 77.0)
        assert_that(
            not nothing.any(), "a best window must be above the threshold: {n} letters count", n=int(nothing.sum())
        )


@pytest.mark.value
def test_log_odds(solution, rng):
    """Bits are log2 of frequency over background, the imagined observations included, at every place by itself"""

    def bits(counts, background, pseudocount):
        """The mean of the frequencies that are likely after the counts: scipy's own, place by place."""
        alphas = (counts + pseudocount * background[:, None]).permute(0, 2, 1).reshape(-1, 4).double().numpy()
        alphas, which = np.unique(alphas, axis=0, return_inverse=True)
        means = np.array([dirichlet.mean(alpha) for alpha in alphas])[which.ravel()]
        means = means.reshape(len(counts), -1, 4).transpose(0, 2, 1)
        return torch.from_numpy(np.log2(means / background[:, None].double().numpy())).to(counts.dtype)

    help = "counts + pseudocount x background over sum + pseudocount; divided by the background; the logarithm of 2"
    for filters, width, far in [(3, 6, 1), (1, 5, 1), (6, 1, 50), (2, 8, 1e9), (5001, 1, 1), (1, 5001, 50)]:
        for pseudocount in (1.0, 0.01, 25.0) if filters * width < 1000 else (2.5,):
            counts = torch.from_numpy(rng.poisson(1.5, (filters, 4, width))).double() * far
            counts[0, :, 0] = 0
            background = torch.from_numpy(rng.dirichlet([3, 4, 5, 6]))
            inputs = {"counts": counts, "background": background, "pseudocount": pseudocount}
            assert_agrees(solution.log_odds, bits, inputs, rng, tol=TOL, name="bits", help=help, gradients=False)


@pytest.mark.value
def test_split(solution, rng):
    """Both strands of a molecule, in letters of any size, are on one side; the first molecules in order are tested on"""
    for molecules in (9, 0, 1, 30, 2601):
        known = {}
        while len(known) < molecules:
            letters = _letters(rng, 1, int(rng.integers(7, 15)), "ACGTN")[0]
            if _other(letters) not in known:
                known[letters] = None
        if molecules != 1:  # the first is its own reverse complement
            known |= {"ACGT": None, "AAA": None, "TTTT": None, "NNA": None}
        repeats = rng.integers(1, 4, len(known)) if len(known) > 1 else [1]
        rows = [(number, each) for number, each in enumerate(known) for _ in range(repeats[number])]
        rows = [rows[row] for row in rng.permutation(len(rows))]
        sequences = [rng.choice([each, _other(each), each.lower(), _other(each).lower()]) for _, each in rows]
        sequences, molecule = [str(each) for each in sequences], torch.tensor([number for number, _ in rows])
        bounds = (0, 1, len(known) // 3, len(known) // 3, len(known), len(rows), len(rows) + 5)
        for held_out in bounds if molecules < 100 else (700,):
            order = torch.from_numpy(rng.permutation(len(rows)))
            asked = list(dict.fromkeys(molecule[order].tolist()))
            sides = solution.split(list(sequences), order, held_out)
            train, test = assert_parts(sides, ("train", "test"), name="split")
            both = sorted(train.tolist() + test.tolist())
            assert both == list(range(len(rows))), "every row must be on one side, and on one alone"
            twice = set(molecule[train].tolist()) & set(molecule[test].tolist())
            help = "is it the same molecule read from its other end, or in small letters?"
            assert_that(not twice, "{n} molecules are on both sides", n=len(twice), help=help)
            found, wanted = len(set(molecule[test].tolist())), min(held_out, len(known))
            help = "molecules are counted, not rows"
            assert_that(found == wanted, "{n} molecules are tested on, {m} should be", n=found, m=wanted, help=help)
            first = set(molecule[test].tolist()) == set(asked[:held_out])
            assert first, "the molecules that come first in `order` must be tested on"
            assert torch.equal(train, train.sort()[0]) and torch.equal(test, test.sort()[0]), "rows must ascend"


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach letters and weights on both strands, and twelve steps of training go where torch's go"""
    help = "nothing may cut the graph, and both strands have the same filter, not a copy"
    for sizes in SIZES:
        both, names = _nets(solution, rng, *sizes[2:]), list(_shapes(*sizes[2:]))
        for far in (1.0, FAR) if sizes in SIZES[:2] else (1.0,):
            inputs, agree = _scan_inputs(rng, *sizes, far), {"tol": TOL, "help": help}
            x = {"x": inputs["x"]}
            assert_agrees(solution.scan, _scan, inputs, rng, name="scores", **agree)
            assert_agrees(solution.reverse_complement, _turned, x, rng, name=text("the reverse complement"), **agree)
            assert_agrees(*both, x, rng, modules=both, parameters=names, name="logits", **agree)
    for sizes in SIZES[:2]:
        both = model, oracle = _nets(solution, rng, *sizes[2:])
        optimisers = [torch.optim.SGD(module.parameters(), lr=0.1) for module in both]
        batches = [_one_hot(_letters(rng, sizes[0], sizes[1], "ACGTN")).double() for _ in range(12)]
        labels = torch.from_numpy(rng.integers(0, 2, (12, sizes[0]))).double()

        def losses(module, batches=batches, labels=labels):
            for batch, answers in zip(batches, labels, strict=True):
                yield F.binary_cross_entropy_with_logits(module(batch), answers)

        found = descend(losses(model), optimisers[0])
        held = {"parameters": list(_shapes(*sizes[2:])), "weights_tol": 1e-6, "help": help}
        assert_trained(found, model, oracle, losses(oracle), optimisers[1], **held)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and weights stay as they were, an answer repeats, and first values are drawn as torch's layers draw them"""
    for count, length, filters, width in SIZES:
        model, oracle = _nets(solution, rng, filters, width)
        sequences, x = _letters(rng, count, length), normal(rng, count, 4, length)
        first = model(x)
        model(normal(rng, count, 4, length))
        assert_close(model(x), first, tol=SAME, name="logits, asked again", help="state outlives a call")
        letters = solution.one_hot(sequences).double()
        scores = solution.scan(letters, *list(oracle.filters.parameters()))
        counts = solution.motif_counts(solution.reverse_complement(letters), scores, 0.0)
        solution.log_odds(counts, torch.tensor(BACKGROUND).double(), 1.0)
        solution.split(sequences, torch.arange(count), 1)
        for name, value in oracle.state_dict().items():
            found, after = state_of(model, [name])[name], text("{name} after the calls", name=name)
            assert_close(found, value, tol=SAME, name=after)
    assert_unchanged(mutated)
    laws = layer_laws(_shapes(40, 15))
    assert_drawn(lambda: _make(solution, 40, 15, torch.float32), laws, name="MotifNet")


def _windows(rng, count):
    """Stretches of background, in each a site: one that CTCF binds (label 1), or its letters in another order (label 0)."""
    letters, frequencies = rng.choice(4, (count, LENGTH), p=BACKGROUND), np.array(SITES) / np.sum(SITES, axis=0)
    sites = (rng.random((count, 1, WIDTH)) > frequencies.cumsum(0)[None, :3]).sum(1)
    labels = np.arange(count) % 2
    sites[labels == 0] = rng.permuted(sites[labels == 0], axis=1)
    begins = rng.integers(0, LENGTH - WIDTH + 1, count)
    letters[np.arange(count)[:, None], begins[:, None] + np.arange(WIDTH)] = sites
    return ["".join(row) for row in np.array(list("ACGT"))[letters]], torch.from_numpy(labels)


@pytest.mark.convergence
def test_sites_on_the_other_strand(solution, rng, record):
    """Trained on sites that are all written along one strand, it finds new ones on the other; so does the matrix it learnt"""
    sequences, labels = _windows(rng, TRAINING)
    x, model = solution.one_hot(sequences), _make(solution, FILTERS, WIDTH, torch.float32)
    batches = torch.from_numpy(rng.integers(0, TRAINING, (STEPS, BATCH)))
    steps = (F.binary_cross_entropy_with_logits(model(x[rows]), labels[rows].float()) for rows in batches)
    losses = descend(steps, torch.optim.Adam(model.parameters(), lr=LEARNING_RATE))
    record.curve("cross-entropy in nats, beside a coin's", losses, baseline=math.log(2))

    sequences, answers = _windows(rng, HELD_OUT)
    new = solution.one_hot([_other(each) for each in sequences])
    area = roc_auc_score(answers.numpy(), model(new).detach().double().numpy())
    weights = state_of(model, _shapes(FILTERS, WIDTH))
    scores = solution.scan(x, weights["filters.weight"], weights["filters.bias"])
    best = scores.flatten(2).max(2)[0].clamp(min=0)
    k = int((weights["head.weight"][0] * best.std(0)).argmax())
    counts = solution.motif_counts(x, scores, float(best[:, k].max() / 2))
    bits = solution.log_odds(counts[[k]], torch.tensor(BACKGROUND), 1.0)
    record.matrix("bits of A, C, G, T at each place of the filter that decides most", bits[0].numpy())
    found = solution.scan(new, bits, torch.zeros(1)).flatten(1).max(1)[0].double()
    help = "a filter for one strand sees nothing on the other: are both scanned by the same one?"
    assert_beats(area, BAR, name=text("area under the ROC curve on the other strand"), help=help)
    help = "letters counted where a filter fired do nearly what the network does: which windows are counted?"
    name = text("area under the ROC curve of the matrix alone")
    assert_beats(roc_auc_score(answers.numpy(), found.numpy()), MATRIX_BAR, name=name, help=help)
