"""The suite of kata 18: WaveNet beside shift matrices, poked frame by frame, in pieces, counted, and on tones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
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
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

# Clips, frames, levels, channels, skip channels, taps and dilations of each case; the first six differ within a case.
SIZES = [
    (3, 17, 7, 4, 5, 2, (1, 2, 4)),
    (1, 14, 6, 4, 8, 3, (1, 3)),
    (4, 12, 5, 3, 6, 2, (2, 3)),
    (2, 5, 8, 3, 7, 4, (1, 4)),  # hears further back than there are frames
    (5, 9, 8, 3, 10, 1, (1, 4)),  # hears the present frame and nothing else
]
LARGE = [(2, 1, 6, 4, 3, 2, (1, 2)), (1101, 4, 5, 2, 3, 2, (1, 2)), (1, 1101, 5, 3, 4, 2, (1, 300, 40))]
# Clips, frames, channels, outputs, taps and the dilation.
CONVOLUTIONS = [(2, 9, 4, 3, 2, 1), (3, 8, 2, 5, 3, 2), (1, 5, 3, 2, 2, 5), (4, 3, 5, 1, 4, 2), (2, 7, 3, 4, 1, 3)]
CONVOLUTIONS += [(3, 1, 2, 4, 2, 2), (5001, 3, 1, 2, 2, 1), (1, 5001, 2, 3, 3, 1201)]
# Clips in all, frames, steps, clips of each, by how much logits are larger, the model.
TRAININGS = [(7, 17, 15, 4, 1, SIZES[0]), (7, 17, 15, 4, 100, SIZES[0]), (6, 12, 12, 3, 1, SIZES[2])]
TRAININGS += [(1, 2, 1, 1, 1, SIZES[1]), (1101, 9, 2, 3, 1, SIZES[1]), (2, 1101, 2, 1, 1, LARGE[2])]
REACHES = [(2, (1, 2, 4)), (3, (1, 3)), (2, (2, 3)), (1, (1, 2)), (4, (2,)), (3, (4, 1)), (2, (1,))]  # taps, dilations
EXACT = 1e-9  # relative tolerance where float64 has to agree with itself
BRANCHES = ("y", "s")

COUNTED = (2, 3, 7, 6, 5, 2, (1, 2, 4, 8, 16))  # a model that hears 32 frames
COST = 2  # forward spends 1 a frame; convolving all that is remembered 5, hearing 32 frames again for each code over 20

PERIOD, HARMONICS, LEVELS, FRAMES = 20, 7, 8, 64
CHANNELS, SKIPS, TAPS, DILATIONS = 16, 24, 3, [1, 3, 9]  # hears 27 frames; without dilation it would hear 7
CLIPS, HELD_OUT, STEPS, BATCH, LEARNING_RATE = 256, 64, 130, 6, 0.02
BAR = 1.3  # bits a code: right solutions need 0.33 at worst in 20 runs, dilations of 1 need 2.6, pairs of codes 2.9


def _codes(rng, levels, *shape):
    return torch.from_numpy(rng.integers(0, levels, shape))


def _block_shapes(channels, skips, taps):
    sizes = {"conv": (2 * channels, channels, taps), "residual": (channels, channels, 1), "skip": (skips, channels, 1)}
    shapes = {f"{name}.weight": size for name, size in sizes.items()}
    return shapes | {f"{name}.bias": size[:1] for name, size in sizes.items()}


def _shapes(levels, channels, skips, taps, dilations):
    shapes = {"embed.weight": (levels, channels), "hidden.weight": (skips, skips, 1), "hidden.bias": (skips,)}
    shapes |= {"head.weight": (levels, skips, 1), "head.bias": (levels,)}
    for index in range(len(dilations)):
        shapes |= {f"blocks.{index}.{name}": size for name, size in _block_shapes(channels, skips, taps).items()}
    return shapes


def _convolved(x, weight, bias, dilation=1, past=None):
    """Tap by tap: each hears the stream some frames later than the one before it."""
    taps, frames = weight.shape[2], x.shape[2]
    past = x.new_zeros(*x.shape[:2], (taps - 1) * dilation) if past is None else past
    heard = torch.cat([past, x], 2).unfold(2, frames, 1)[:, :, ::dilation]  # (N, C, K, T)
    return torch.einsum("ock,nckt->not", weight, heard) + bias[:, None]


class _Block(nn.Module):
    """A block in plain algebra."""

    def __init__(self, channels, skips, taps, dilation):
        super().__init__()
        self.conv, self.residual = nn.Conv1d(channels, 2 * channels, taps), nn.Conv1d(channels, channels, 1)
        self.skip, self.dilation = nn.Conv1d(channels, skips, 1), dilation
        self.double()

    def forward(self, x, past=None):
        total = _convolved(x, self.conv.weight, self.conv.bias, self.dilation, past)
        half = total.shape[1] // 2
        z = torch.tanh(total[:, :half]) / (1 + torch.exp(-total[:, half:]))
        return x + _convolved(z, self.residual.weight, self.residual.bias), self.skip(z)


class _WaveNet(nn.Module):
    """The whole in one piece, with no cache."""

    def __init__(self, levels, channels, skips, taps, dilations):
        super().__init__()
        self.embed, self.head = nn.Embedding(levels, channels), nn.Conv1d(skips, levels, 1)
        self.blocks = nn.ModuleList(_Block(channels, skips, taps, dilation) for dilation in dilations)
        self.hidden = nn.Conv1d(skips, skips, 1)
        self.double()

    def forward(self, codes):
        x, total = self.embed(codes).transpose(1, 2), 0
        for block in self.blocks:
            x, skip = block(x)
            total = total + skip
        return self.head(F.relu(self.hidden(F.relu(total))))


def _make_block(solution, channels, skips, taps, dilation, dtype=torch.float64):
    block = solution.GatedBlock(channels, skips, taps, dilation, dtype=dtype)
    return assert_state(block, _block_shapes(channels, skips, taps), dtype=dtype, name="GatedBlock")


def _make(solution, levels, channels, skips, taps, dilations, dtype=torch.float64):
    model = solution.WaveNet(levels, channels, skips, taps, list(dilations), dtype=dtype)
    return assert_state(model, _shapes(levels, channels, skips, taps, dilations), dtype=dtype, name="WaveNet")


def _alike(rng, shapes, *modules, far=1):
    """Modules with the same weights, the head's `far` times as large as what makes logits of order one.

    No bias is zero, and the last relu lets most of its units live.
    """
    scales = {name: math.prod(size[1:]) ** 0.5 if len(size) == 3 else 1.5 for name, size in shapes.items()}
    weights = {name: normal(rng, *size) / scales[name] for name, size in shapes.items()}
    if "head.weight" in weights:
        weights["hidden.bias"] = weights["hidden.bias"].abs() + 0.5
        weights["head.weight"] *= far
    return [load_state(module, weights) for module in modules]


def _blocks(solution, rng, *size):
    """The learner's block and the oracle's, with the same weights."""
    return _alike(rng, _block_shapes(*size[:3]), _make_block(solution, *size), _Block(*size))


def _models(solution, rng, size, far=1):
    """The learner's model and the oracle's, with the same weights."""
    return _alike(rng, _shapes(*size[2:]), _make(solution, *size[2:]), _WaveNet(*size[2:]), far=far)


def _listen(model, codes, cache=None):
    """(logits, cache) of the learner's model, of the right form."""
    result = model(codes) if cache is None else model(codes, cache)
    assert_parts(result, ("logits", "cache"), name="forward")
    head = state_of(model, ["head.bias"])["head.bias"]
    size = (len(codes), len(head), codes.shape[1])
    assert_shape(result[0], size, dtype=head.dtype, name="logits", help="clips, levels, frames: one frame a new code")
    return result


def _logits(model):
    """The learner's model as a function of codes alone."""
    return lambda codes: _listen(model, codes)[0]


def _heard(taps, dilations):
    """How many frames back a model hears, by trying every way from block to block; 0 is the present frame."""
    return {sum(way) for way in itertools.product(*([tap * step for tap in range(taps)] for step in dilations))}


def _compressed(wave, mu):
    return np.sign(wave) * np.log(1 + mu * np.abs(wave)) / np.log(1 + mu)


def _expanded(places, mu):
    return np.sign(places) * ((1 + mu) ** np.abs(places) - 1) / mu


def _tones(rng, count):
    """Clips (N, T) of codes: tones of one pitch, whose seven harmonics have strengths and phases of their own."""
    frames = np.arange(FRAMES) + rng.integers(0, PERIOD, (count, 1))
    turns = 2 * np.pi / PERIOD * np.arange(1, HARMONICS + 1)[:, None, None] * frames
    strengths = rng.normal(size=(2, HARMONICS, count, 1))
    wave = (strengths[0] * np.cos(turns) + strengths[1] * np.sin(turns)).sum(0)
    wave *= 0.95 / np.abs(wave).max(1, keepdims=True)
    mu = LEVELS - 1
    return torch.from_numpy(np.rint((_compressed(wave, mu) + 1) / 2 * mu).astype(np.int64))


@pytest.mark.shape
def test_shapes(solution, rng):
    """Results have the stated shapes and dtypes, for one clip and for several; fresh parameters are as stated."""
    for index, size in enumerate(SIZES):
        count, frames, levels, channels, skips, taps, dilations = size
        dtype = (torch.float32, torch.float64)[index % 2]
        wave = torch.from_numpy(rng.uniform(-0.9, 0.9, (count, frames))).to(dtype)
        codes = solution.mu_law_encode(wave, levels)
        assert_shape(codes, (count, frames), dtype=torch.int64, name="codes")
        inside = codes.min() >= 0 and codes.max() < levels
        assert_that(inside, "the codes of {levels} levels go from 0 to {most}", levels=levels, most=levels - 1)
        wave = solution.mu_law_decode(codes, levels, dtype=dtype)
        assert_shape(wave, (count, frames), dtype=dtype, name="wave")
        x, weight, bias = (normal(rng, *axes).to(dtype) for axes in ((count, 3, frames), (skips, 3, taps), (skips,)))
        y = solution.causal_conv(x, weight, bias, dilations[1])
        assert_shape(y, (count, skips, frames), dtype=dtype, name="y", help="one output for each new frame")
        block, x = _make_block(solution, *size[3:6], dilations[1], dtype), normal(rng, count, channels, frames)
        y, s = assert_parts(block(x.to(dtype)), BRANCHES, name="GatedBlock")
        assert_shape(y, (count, channels, frames), dtype=dtype, name="y")
        assert_shape(s, (count, skips, frames), dtype=dtype, name="s")
        model, codes = _make(solution, *size[2:], dtype), _codes(rng, levels, count, frames)
        _listen(model, codes)
        losses = solution.fit(model, codes, torch.zeros(2, 3).long(), 0.01)
        assert isinstance(losses, list | tuple) and len(losses) == 2, "fit must return a list of one loss a batch"
        written = solution.generate(model, codes, torch.from_numpy(rng.random((count, 2))).to(dtype))
        assert_shape(written, (count, frames + 2), dtype=torch.int64, name="text")
    size = 40, 25, 30, 2, (1, 2)
    laws = layer_laws(_shapes(*size), embeddings=["embed"])
    help = "as torch's layers of these names draw them"
    assert_drawn(lambda: _make(solution, *size, torch.float32), laws, name="WaveNet", help=help)
    laws = layer_laws(_block_shapes(*size[1:4]))
    assert_drawn(lambda: _make_block(solution, *size[1:4], 2, torch.float32), laws, name="GatedBlock", help=help)


@pytest.mark.value
def test_mu_law(solution, rng):
    """Each sample gets the code that is nearest on the scale of f, each code gives its own sample, there and back."""
    shapes = ((256, 40), (16, 5, 7), (9, 2, 3, 4), (3, 1), (2, 6), (33,), (8, 5001), (8, 5001), (65536, 70, 1))
    for index, (levels, *shape) in enumerate(shapes):
        mu, dtype = levels - 1, (torch.float64, torch.float32)[index % 2]
        codes = rng.integers(0, levels, shape)
        places = np.clip(codes + rng.uniform(-0.45, 0.45, shape), 0, mu)
        wave = as_view(torch.tensor(_expanded(2 * places / mu - 1, mu)).to(dtype))
        found = solution.mu_law_encode(wave, levels)
        help = "mu is Q - 1; compress, stretch to 0 ... Q - 1, then round"
        name = text("codes of {levels} levels", levels=levels)
        assert_close(found, torch.tensor(codes), tol=0, name=name, help=help)
        tol = EXACT if dtype == torch.float64 else 1e-4
        help = "code 0 is -1, code Q - 1 is 1; steps are finest in the middle"
        for codes in (torch.arange(levels), torch.from_numpy(rng.integers(0, levels, shape))):
            expected = torch.tensor(_expanded(2 * codes.numpy() / mu - 1, mu)).to(dtype)
            wave = solution.mu_law_decode(as_view(codes), levels, dtype=dtype)
            name = text("samples of {levels} levels", levels=levels)
            assert_close(wave, expected, tol=tol, name=name, help=help)
            name = text("codes of {levels} levels, decoded and encoded", levels=levels)
            found = solution.mu_law_encode(wave, levels)
            assert_close(found, codes, tol=0, name=name, help="decode must be the inverse of encode")
    ends = torch.tensor([-1.0, 0.0, 1.0])
    found = solution.mu_law_encode(ends, 5)
    assert_close(found, torch.tensor([0, 2, 4]), tol=0, name="codes of -1, 0 and 1", help="of five levels: 0, 2, 4")


@pytest.mark.value
def test_causal_conv(solution, rng):
    """Each tap hears its own frame, `dilation` apart and none later, and what came before is zeros or the past."""
    help = (
        "the last tap hears frame t, the one before it frame t - dilation; before the first there are zeros or the past"
    )
    for inputs, past in _streams(rng):
        for given in (inputs, inputs | past):
            agree = {"tol": EXACT, "name": "y", "help": help, "gradients": False}
            assert_agrees(solution.causal_conv, _convolved, given, rng, **agree)


def _streams(rng):
    """What causal_conv is given, and a past; near numbers and far ones."""
    for count, frames, channels, outputs, taps, dilation in CONVOLUTIONS:
        for far in (1, 50):
            inputs = {"x": far * normal(rng, count, channels, frames), "weight": normal(rng, outputs, channels, taps)}
            inputs |= {"bias": normal(rng, outputs), "dilation": dilation}
            yield inputs, {"past": far * normal(rng, count, channels, (taps - 1) * dilation)}


@pytest.mark.value
def test_gated_block(solution, rng):
    """With given weights, the gate opens for the filter, and the two branches leave from what came through."""
    help = "tanh of the first C outputs times sigmoid of the last C; then skip for s, and for y residual and x; the past goes on"
    for size in SIZES + LARGE:
        for far in (1, 50):
            both, inputs, past = _stream(solution, rng, size, far)
            for given in (inputs, inputs | past):
                agree = {"modules": both, "tol": EXACT, "name": BRANCHES, "help": help, "gradients": False}
                assert_agrees(*both, given, rng, **agree)


def _stream(solution, rng, size, far):
    """The learner's block and the oracle's, x, and a past."""
    count, frames, _, channels, skips, taps, dilations = size
    both = _blocks(solution, rng, channels, skips, taps, dilations[1])
    past = normal(rng, count, channels, (taps - 1) * dilations[1])
    return both, {"x": far * normal(rng, count, channels, frames)}, {"past": far * past}


@pytest.mark.value
def test_model_with_given_weights(solution, rng):
    """With given weights, the logits are those of the formula."""
    help = "every block's skip counts; relu, hidden, relu, head; no softmax"
    for size in SIZES + LARGE:
        for far in (1, 100):
            both, inputs = _models(solution, rng, size, far), {"codes": _codes(rng, size[2], *size[:2])}
            agree = {"modules": both, "tol": EXACT, "name": "logits", "help": help, "gradients": False}
            assert_agrees(_logits(both[0]), both[1], inputs, rng, **agree)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients of causal_conv and of a block reach all that they were given, those of the logits every parameter."""
    agree = {"tol": EXACT, "help": "nothing may cut the graph: no detach, no .data, no no_grad"}
    for inputs, past in _streams(rng):
        assert_agrees(solution.causal_conv, _convolved, inputs | past, rng, name="y", **agree)
    for size in SIZES + LARGE:
        for far in (1, 50):
            both, inputs, past = _stream(solution, rng, size, far)
            held = {"modules": both, "parameters": list(_block_shapes(*size[3:6])), "name": BRANCHES}
            assert_agrees(*both, inputs | past, rng, **held, **agree)
        both, inputs = _models(solution, rng, size), {"codes": _codes(rng, size[2], *size[:2])}
        held = {"modules": both, "parameters": list(_shapes(*size[2:])), "name": "logits"}
        assert_agrees(_logits(both[0]), both[1], inputs, rng, **held, **agree)


@pytest.mark.gradient
def test_training(solution, rng):
    """From given weights, fifteen steps of fit have the losses of plain algebra and Adam, and the weights after them."""
    help = (
        "codes are classes: -log of the probability of the code that comes next, in nats, mean over N * (T - 1); one Adam, "
        "gradients cleared, an update after every batch, a clip that a batch names twice counted twice"
    )
    for clips, frames, steps, batch, far, size in TRAININGS:
        model, oracle = _models(solution, rng, size, far)
        model.train(steps != 12)
        codes, batches = _codes(rng, size[2], clips, frames), torch.from_numpy(rng.integers(0, clips, (steps, batch)))
        rate = float(rng.uniform(0.01, 0.04))
        losses = solution.fit(model, as_view(codes), as_view(batches), rate)
        assert model.training or steps == 12, "fit must leave the model in the mode that it was in"
        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        wanted = (_surprise(oracle(codes[rows]), codes[rows]) for rows in batches)
        assert_trained(losses, model, oracle, wanted, adam, parameters=list(_shapes(*size[2:])), help=help)


def _surprise(logits, codes):
    """Mean of -log p of each code but the first, in nats, from the logits one frame before it."""
    chances = F.log_softmax(logits[:, :, :-1], dim=1)
    return -torch.gather(chances, 1, codes[:, None, 1:]).mean()


@pytest.mark.behaviour
def test_no_logit_hears_the_future(solution, rng):
    """Changing one code changes no logits before it and those of no other clip, but does change those of its own frame."""
    moved = []
    help = "one code was changed: all padding goes in front, and clips do not meet"
    for size in SIZES:
        model, _ = _models(solution, rng, size)
        codes = _codes(rng, size[2], *size[:2])
        before = _listen(model, codes)[0].detach()
        for place in range(size[1]):
            changed = codes.clone()
            changed[0, place] = (changed[0, place] + 1) % size[2]
            after = _listen(model, changed)[0].detach()
            name = text("logits before frame {frame}, where a code was changed", frame=place)
            assert_close(after[0, :, :place], before[0, :, :place], tol=EXACT, name=name, help=help)
            assert_close(after[1:], before[1:], tol=EXACT, name="logits of the other clips", help=help)
            moved.append((after[0, :, place] != before[0, :, place]).any())
    assert any(moved), "no code has any influence on the logits of its own frame, which score the next one"


@pytest.mark.behaviour
def test_receptive_field(solution, rng):
    """A code is heard just as long as taps and dilations say, at just their distances, and receptive_field tells it."""
    for taps, dilations in REACHES:
        distances = _heard(taps, dilations)
        reach, size = max(distances), (6, max(distances) + 6, 5, 4, 32, taps, dilations)
        model, oracle = _models(solution, rng, size)
        alive = {name: value.abs() + 1 for name, value in oracle.state_dict().items() if name.endswith("skip.bias")}
        load_state(model, alive)  # with so many skips and none dead, some always tell
        story = {"taps": taps, "dilations": str(list(dilations))}
        help = "count from the oldest frame to the present one, both of them"
        for training in (False, True):
            told = model.train(training).receptive_field()
            assert isinstance(told, int | np.integer), "receptive_field must return a whole number"
            claim = {"told": int(told), "help": help} | story
            assert_that(told == reach + 1, "{taps} taps, dilations {dilations} do not hear {told} frames", **claim)
            assert model.training == training, "a call may not change the mode of the model"
        codes = _codes(rng, size[2], *size[:2])
        changed = codes.clone()
        changed[:, 1] = (changed[:, 1] + 1 + _codes(rng, size[2] - 1, size[0])) % size[2]
        moved = (_listen(model, changed)[0] - _listen(model, codes)[0]).detach().abs().amax((0, 1))[1:].tolist()
        lost = [frame for frame in sorted(distances) if moved[frame] <= 1e-9]
        assert_that(not lost, "{taps} taps, dilations {dilations}: not heard {lost} frames later", lost=lost, **story)
        late = [frame for frame, change in enumerate(moved) if change >= 1e-12 and frame not in distances]
        assert_that(not late, "{taps} taps, dilations {dilations}: still heard {late} frames later", late=late, **story)


@pytest.mark.behaviour
def test_pieces(solution, rng, mutated):
    """With a cache, code by code or in pieces, the logits are those of one piece; and no call leaves a trace."""
    told_apart = []
    for size in SIZES:
        model, oracle = _models(solution, rng, size)
        count, frames, levels = size[:3]
        codes, other = (_codes(rng, levels, count, frames) for _ in range(2))
        help = "each block's past is its own stream, the last (K - 1) * dilation frames, old ones included"
        for training in (False, True):
            model.train(training)
            whole = _listen(model, codes)[0].detach()
            told_apart.append((whole != _listen(model, other)[0]).any())
            for pieces in ([1] * frames, [2, 1, frames - 3], [3, frames - 3], [frames - 1, 1]):
                found, cache = [], None
                for piece in codes.split(pieces, dim=1):
                    logits, cache = _listen(model, piece, cache)
                    found.append(logits)
                name = text("logits in pieces of {pieces}", pieces=str(pieces))
                assert_close(torch.cat(found, dim=2), whole, tol=EXACT, name=name, help=help)
        _, cache = _listen(model, codes[:, :2])
        _listen(model, other[:, 2:], cache)
        again = _listen(model, codes[:, 2:], cache)[0]
        help = "a call may not change the cache that it was given"
        assert_close(again, whole[:, :, 2:], tol=EXACT, name="logits of a second continuation", help=help)
        again = _listen(model, codes)[0]
        assert_close(again, whole, tol=EXACT, name="logits, asked again", help="state outlives a call")
        solution.generate(model, codes, torch.from_numpy(rng.random((count, 2))))
        block, twin = _blocks(solution, rng, 3, 2, 2, 2)
        block(normal(rng, 2, 3, 4), normal(rng, 2, 3, 2))
        for learner, given in ((model, oracle), (block, twin)):
            for name, value in given.state_dict().items():
                after = text("{name} after all calls", name=name)
                assert_close(state_of(learner, [name])[name], value, tol=EXACT, name=after)
        assert model.training and block.training, "a call may not change the mode of the model"
        solution.causal_conv(normal(rng, 2, 3, 4), normal(rng, 4, 3, 2), normal(rng, 4), 2, normal(rng, 2, 3, 2))
        wave = torch.from_numpy(rng.uniform(-1, 1, 9))
        solution.mu_law_decode(solution.mu_law_encode(wave, levels), levels)
        solution.fit(model, codes, torch.zeros(2, 3).long(), 0.01)
    assert any(told_apart), "other codes give the same logits"
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.behaviour
def test_generate(solution, rng, operations):
    """Uniforms draw exactly the codes that the model's probabilities say, and no frame is worked out twice."""
    cases = []  # clips, frames of the prompt, new codes, the model
    for index, size in enumerate(SIZES):
        reach = (
            (size[5] - 1) * sum(size[6]) * (index > 0)
        )  # the prompt is once shorter and else longer than what is heard
        cases += 2 * [(16 * size[0], 2 + size[1] // 4 + reach, size[1], size)]
    cases += [(1101, 1, 1, LARGE[1]), (1, 1101, 2, LARGE[1]), (1, 1, 1101, LARGE[1])]
    for index, (count, start, more, size) in enumerate(cases):
        model, oracle = _models(solution, rng, size, far=4)  # what was heard decides much of what is drawn
        bias = oracle.head.bias.detach().clone()
        bias[0] = -1e4  # code 0 has no chance at all
        for module in (model.train(index % 2 == 0), oracle):
            load_state(module, {"head.bias": bias})
        prompt, uniforms = _codes(rng, size[2], count, start), torch.from_numpy(rng.random((count, more)))
        uniforms[:, -4:-3], uniforms[:, -1] = 0.0, math.nextafter(1, 0)
        written = solution.generate(model, as_view(prompt), as_view(uniforms))
        assert model.training == (index % 2 == 0), "generate must leave the model in the mode that it was in"
        assert_shape(written, (count, start + more), dtype=torch.int64, name="text")
        assert_close(written[:, :start], prompt, tol=0, name="the beginning of the text", help="the prompt comes first")
        new = written[:, start:]
        assert new.min() >= 0 and new.max() < size[2], "a uniform near 1 drew a code that is none of the levels"
        with torch.no_grad():
            chances = F.softmax(oracle(written[:, :-1])[:, :, start - 1 :], dim=1)
        chance = chances.gather(1, new[:, None])[:, 0]
        assert (chance > 0).all(), "a code of probability 0 was drawn: the sum must exceed the uniform, not equal it"
        above = chances.cumsum(1).gather(1, new[:, None])[:, 0] - uniforms
        follows = (above > -1e-9) & (above <= chance + 1e-9)
        number = int((~follows).any(0).int().argmax()) + 1
        assert_that(
            follows.all(), "new code {number} is not what the probabilities and its uniform pick", number=number
        )
    model, _ = _models(solution, rng, COUNTED)
    count, start, levels, channels, skips, taps, dilations = COUNTED
    prompt, uniforms = _codes(rng, levels, count, start), torch.from_numpy(rng.random((count, 45)))
    products = len(dilations) * channels * (2 * channels * taps + channels + skips) + skips * (skips + levels)
    ratio = operations(solution.generate, model, prompt, uniforms) / (2 * products * count * (start + 45 - 1))
    told = {
        "ratio": ratio,
        "cost": COST,
        "help": "hear each code once, with the cache, and convolve only its own frame",
    }
    assert_that(ratio < COST, "generate spends {ratio:.1f} times the operations of forward, not below {cost}", **told)


@pytest.mark.convergence
def test_tones(solution, rng, record):
    """Trained on tones of one pitch, the model foretells tones of timbres that it has never heard."""
    codes = _tones(rng, CLIPS)
    model = _make(solution, LEVELS, CHANNELS, SKIPS, TAPS, DILATIONS, torch.float32)
    losses = solution.fit(model, codes, torch.from_numpy(rng.integers(0, CLIPS, (STEPS, BATCH))), LEARNING_RATE)
    pairs = torch.full((LEVELS, LEVELS), 0.1)
    pairs.index_put_((codes[:, :-1], codes[:, 1:]), torch.ones(()), accumulate=True)
    held_out = _tones(rng, HELD_OUT)
    bigram = (pairs / pairs.sum(1, keepdim=True)).log()[held_out[:, :-1]].transpose(1, 2)
    bits = [loss / math.log(2) for loss in losses]
    baseline = F.nll_loss(bigram[:, :, PERIOD:], held_out[:, PERIOD + 1 :]).item() / math.log(2)
    record.curve("bits per code, beside pairs of codes", bits, baseline=baseline)

    start = FRAMES // 2
    written = solution.generate(model, held_out[:4, :start], torch.full((4, FRAMES - start), 0.5))
    record.curve("a tone: half of it heard, half of it written", written[0].tolist())
    lines = []
    for one, tone in zip(written, held_out[:4], strict=True):
        lines += [f"{_shown(tone[:start])} {_shown(one[start:])}  as it is written"]
        lines += [f"{_shown(tone[:start])} {_shown(tone[start:])}  as it goes on"]
    record.text("tones that go on", "\n".join(lines))
    with torch.no_grad():
        logits = _listen(model, held_out[:, :-1])[0]
    needed = F.cross_entropy(logits[:, :, PERIOD:].double(), held_out[:, PERIOD + 1 :]).item() / math.log(2)
    help = "a tone repeats after 20 frames: the blocks must reach that far; and the loss is that of the next code"
    assert_beats(needed, BAR, name="bits per code of new tones, after one period", higher=False, help=help)


def _shown(codes):
    return "".join(map(str, codes.tolist()))
