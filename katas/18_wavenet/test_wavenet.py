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
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
    assert_parts,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    state_of,
    tensors_of,
)

# Clips, frames, levels, channels, skip channels, taps and dilations of each case; the first six differ within a case.
SIZES = [
    (3, 17, 7, 4, 5, 2, (1, 2, 4)),
    (1, 14, 6, 4, 8, 3, (1, 3)),
    (4, 12, 5, 3, 6, 2, (2, 3)),
    (2, 5, 8, 3, 7, 4, (1, 4)),  # hears further back than there are frames
    (5, 9, 8, 3, 10, 1, (1, 4)),  # hears the present frame and nothing else
]
REACHES = [(2, (1, 2, 4)), (3, (1, 3)), (2, (2, 3)), (1, (1, 2)), (4, (2,)), (3, (4, 1))]  # taps, dilations
PARTS = ("conv", "residual", "skip")
EXACT = 1e-9  # relative tolerance where float64 has to agree with itself

COUNTED = (2, 3, 7, 6, 5, 2, (1, 2, 4, 8, 16))  # a model that hears 32 frames
COST = 2  # forward spends 1 a frame; convolving all that is remembered 5, hearing 32 frames again for each code over 20

PERIOD, HARMONICS, LEVELS, FRAMES = 20, 7, 8, 64
CHANNELS, SKIPS, TAPS, DILATIONS = 16, 24, 3, [1, 3, 9]  # hears 27 frames; without dilation it would hear 7
CLIPS, HELD_OUT, STEPS, BATCH, LEARNING_RATE = 256, 64, 130, 6, 0.02
BAR = 1.3  # bits a code: right solutions need 0.33 at worst in 20 runs, dilations of 1 need 2.6, pairs of codes 2.9


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


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


def _weights(rng, shapes):
    """Weights whose pre-activations are of order one; no bias is zero, and the last relu lets most of its units live."""
    scales = {name: math.prod(size[1:]) ** 0.5 if len(size) == 3 else 1.5 for name, size in shapes.items()}
    weights = {name: _normal(rng, *size) / scales[name] for name, size in shapes.items()}
    if "hidden.bias" in weights:
        weights["hidden.bias"] = weights["hidden.bias"].abs() + 0.5
    return weights


def _make_block(solution, channels, skips, taps, dilation, dtype):
    block = solution.GatedBlock(channels, skips, taps, dilation, dtype=dtype)
    return assert_state(block, _block_shapes(channels, skips, taps), dtype=dtype, name="GatedBlock")


def _make(solution, levels, channels, skips, taps, dilations, dtype):
    model = solution.WaveNet(levels, channels, skips, taps, list(dilations), dtype=dtype)
    return assert_state(model, _shapes(levels, channels, skips, taps, dilations), dtype=dtype, name="WaveNet")


def _model(solution, rng, size):
    """The learner's model in float64 with given weights, and those weights."""
    weights = _weights(rng, _shapes(*size[2:]))
    model = _make(solution, *size[2:], torch.float64)
    return load_state(model, weights), weights


def _listen(model, codes, cache=None):
    """(logits, cache) of the learner's model, of the right form."""
    result = model(codes) if cache is None else model(codes, cache)
    assert_parts(result, ("logits", "cache"), name="forward")
    head = tensors_of(model, ["head.bias"])["head.bias"]
    size = (len(codes), len(head), codes.shape[1])
    assert_shape(result[0], size, dtype=head.dtype, name="logits", help="clips, levels, frames: one frame a new code")
    return result


def _through(block, x, past=None):
    """(y, s) of the learner's block, of the right form."""
    result = block(x) if past is None else block(x, past)
    assert_parts(result, "ys", name="GatedBlock")
    assert_shape(result[0], tuple(x.shape), dtype=x.dtype, name="y of GatedBlock")
    size = (len(x), len(tensors_of(block, ["skip.bias"])["skip.bias"]), x.shape[2])
    assert_shape(result[1], size, dtype=x.dtype, name="s of GatedBlock")
    return result


def _convolved(x, weight, bias, dilation):
    """By matrices: for each tap one that moves every frame to where the tap hears it, and lets the first ones go."""
    taps, frames = weight.shape[2], x.shape[2]
    moves = np.stack([np.eye(frames, k=(taps - 1 - tap) * dilation) for tap in range(taps)])
    return torch.einsum("ock,nct,ktu->nou", weight, x, torch.from_numpy(moves)) + bias[:, None]


def _blocked(weights, x, dilation, prefix=""):
    """(y, s) of a block that hears x from its first frame, in plain algebra."""
    conv, residual, skip = ([weights[f"{prefix}{name}.{kind}"] for kind in ("weight", "bias")] for name in PARTS)
    total = _convolved(x, *conv, dilation)
    half = total.shape[1] // 2
    z = torch.tanh(total[:, :half]) / (1 + torch.exp(-total[:, half:]))
    return x + _convolved(z, *residual, 1), _convolved(z, *skip, 1)


def _oracle(weights, codes, dilations):
    """The logits of the whole in one piece, in plain algebra."""
    x, skips = weights["embed.weight"][codes].transpose(1, 2), []
    for index, dilation in enumerate(dilations):
        x, skip = _blocked(weights, x, dilation, f"blocks.{index}.")
        skips.append(skip)
    hidden = _convolved(F.relu(sum(skips)), weights["hidden.weight"], weights["hidden.bias"], 1)
    return _convolved(F.relu(hidden), weights["head.weight"], weights["head.bias"], 1)


def _surprise(logits, codes):
    """Mean of -log p of each code but the first, in nats, from the logits one frame before it."""
    chances = F.log_softmax(logits[:, :, :-1], dim=1)
    return -torch.gather(chances, 1, codes[:, None, 1:]).mean()


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
        assert_shape(codes, (count, frames), dtype=torch.int64, name="codes of mu_law_encode")
        assert codes.min() >= 0 and codes.max() < levels, f"the codes of {levels} levels go from 0 to {levels - 1}"
        wave = solution.mu_law_decode(codes, levels, dtype=dtype)
        assert_shape(wave, (count, frames), dtype=dtype, name="wave of mu_law_decode")
        x, weight, bias = (_normal(rng, *axes).to(dtype) for axes in ((count, 3, frames), (skips, 3, taps), (skips,)))
        help = "one output for each new frame"
        y = solution.causal_conv(x, weight, bias, dilations[1])
        assert_shape(y, (count, skips, frames), dtype=dtype, name="y of causal_conv", help=help)
        block = _make_block(solution, channels, skips, taps, dilations[1], dtype)
        _through(block, _normal(rng, count, channels, frames).to(dtype))
        model = _make(solution, *size[2:], dtype)
        codes = _codes(rng, levels, count, frames)
        _listen(model, codes)
        losses = solution.fit(model, codes, torch.zeros(2, 3).long(), 0.01)
        assert isinstance(losses, list | tuple) and len(losses) == 2, "fit must return a list of one loss a batch"
        text = solution.generate(model, codes, torch.from_numpy(rng.random((count, 2))).to(dtype))
        assert_shape(text, (count, frames + 2), dtype=torch.int64, name="text of generate")
    size = 40, 25, 30, 2, (1, 2)
    laws, help = layer_laws(_shapes(*size), embeddings=["embed"]), "as torch's layers of these names draw them"
    assert_drawn(lambda: _make(solution, *size, torch.float32), laws, name="WaveNet", help=help)


@pytest.mark.value
def test_mu_law(solution, rng):
    """Each sample gets the code that is nearest on the scale of f, each code gives its own sample, there and back."""
    for index, (levels, *shape) in enumerate(((256, 40), (16, 5, 7), (9, 2, 3, 4), (3, 1), (2, 6), (33,))):
        mu, dtype = levels - 1, (torch.float64, torch.float32)[index % 2]
        codes = rng.integers(0, levels, shape)
        places = np.clip(codes + rng.uniform(-0.45, 0.45, shape), 0, mu)
        wave = torch.tensor(_expanded(2 * places / mu - 1, mu)).to(dtype)
        found, help = solution.mu_law_encode(wave, levels), "mu is Q - 1; compress, stretch to 0 ... Q - 1, then round"
        assert_close(found, torch.tensor(codes), tol=0, name=f"codes of {levels} levels", help=help)
        codes = torch.arange(levels)
        places = _expanded(2 * np.arange(levels) / mu - 1, mu)
        wave = solution.mu_law_decode(codes, levels, dtype=dtype)
        help = "code 0 is -1 and code Q - 1 is 1; the steps are finest in the middle"
        tol = EXACT if dtype == torch.float64 else 1e-4
        assert_close(wave, torch.tensor(places).to(dtype), tol=tol, name=f"samples of {levels} levels", help=help)
        found, help = solution.mu_law_encode(wave, levels), "decode must be the inverse of encode"
        assert_close(found, codes, tol=0, name=f"codes of {levels} levels, decoded and encoded", help=help)
    ends = torch.tensor([-1.0, 0.0, 1.0])
    found = solution.mu_law_encode(ends, 5)
    assert_close(found, torch.tensor([0, 2, 4]), tol=0, name="codes of -1, 0 and 1", help="of five levels: 0, 2, 4")


@pytest.mark.value
def test_causal_conv(solution, rng):
    """Each tap hears its own frame, `dilation` apart and none later, and what came before is zeros or the past."""
    sizes = ((2, 4, 3, 9, 2, 1), (3, 2, 5, 8, 3, 2), (1, 3, 2, 6, 2, 5), (4, 5, 1, 3, 4, 2), (2, 3, 4, 7, 1, 3))
    for count, channels, outputs, frames, taps, dilation in sizes:
        x, weight = _normal(rng, count, channels, frames), _normal(rng, outputs, channels, taps)
        bias, reach = _normal(rng, outputs), (taps - 1) * dilation
        past = _normal(rng, count, channels, reach)
        for before, name in ((None, "y without a past"), (past, "y with a past")):
            stream = torch.cat([torch.zeros_like(past) if before is None else before, x], dim=2)
            expected = torch.zeros(count, outputs, frames, dtype=torch.float64)
            for t, tap in itertools.product(range(frames), range(taps)):
                expected[:, :, t] += stream[:, :, t + tap * dilation] @ weight[:, :, tap].T
            given = (x, weight, bias, dilation) if before is None else (x, weight, bias, dilation, past)
            y, help = solution.causal_conv(*given), "the last tap hears frame t, the one before it frame t - dilation"
            assert_close(y, expected + bias[:, None], tol=EXACT, name=name, help=help)


@pytest.mark.value
def test_gated_block(solution, rng):
    """With given weights, the gate opens for the filter, and the two branches leave from what came through."""
    for count, frames, _, channels, skips, taps, dilations in SIZES:
        dilation = dilations[1]
        weights = _weights(rng, _block_shapes(channels, skips, taps))
        block = load_state(_make_block(solution, channels, skips, taps, dilation, torch.float64), weights)
        stream, reach = _normal(rng, count, channels, (taps - 1) * dilation + frames), (taps - 1) * dilation
        help = "tanh of the first C outputs times sigmoid of the last C"
        y, s = _through(block, stream[:, :, reach:])
        expected = _blocked(weights, stream[:, :, reach:], dilation)
        assert_close(s, expected[1], tol=EXACT, name="s", help=help)
        assert_close(y, expected[0], tol=EXACT, name="y", help="s is right: now the residual branch, and the x in y")
        y, s = _through(block, stream[:, :, reach:], stream[:, :, :reach])
        expected = _blocked(weights, stream, dilation)
        assert_close(s, expected[1][:, :, reach:], tol=EXACT, name="s with a past", help="hand the past on")
        assert_close(y, expected[0][:, :, reach:], tol=EXACT, name="y with a past", help="hand the past on")


@pytest.mark.value
def test_model_with_given_weights(solution, rng):
    """With given weights, the logits are those of the formula."""
    for size in SIZES:
        model, weights = _model(solution, rng, size)
        codes = _codes(rng, size[2], *size[:2])
        logits, help = _listen(model, codes)[0], "every block's skip counts; relu, hidden, relu, head; no softmax"
        assert_close(logits, _oracle(weights, codes, size[-1]), tol=EXACT, name="logits", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients of causal_conv reach all that it was given; those of the logits reach every parameter."""
    help = "nothing may cut the graph: no detach, no .data, no no_grad"
    for count, channels, outputs, frames, taps, dilation in ((2, 3, 2, 4, 2, 2), (1, 2, 3, 3, 3, 1)):
        sizes = {"x": (count, channels, frames), "weight": (outputs, channels, taps), "bias": (outputs,)}
        sizes["past"] = (count, channels, (taps - 1) * dilation)
        inputs = {name: _normal(rng, *size) for name, size in sizes.items()}

        def run(x, weight, bias, past, dilation=dilation):
            return solution.causal_conv(x, weight, bias, dilation, past)

        assert_gradients(run, inputs, rng, name="gradient of causal_conv", help=help)
    for size in SIZES[:3]:
        model, weights = _model(solution, rng, size)
        weights = {name: value.clone().requires_grad_() for name, value in weights.items()}
        codes, upstream = _codes(rng, size[2], *size[:2]), _normal(rng, size[0], size[2], size[1])
        expected = _oracle(weights, codes, size[-1])
        slopes = torch.autograd.grad((expected * upstream).sum(), list(weights.values()), allow_unused=True)
        logits = _listen(model, codes)[0]
        assert logits.requires_grad, "the logits do not depend on the parameters: is something detached?"
        given = tensors_of(model, weights)
        found = torch.autograd.grad((logits * upstream).sum(), list(given.values()), allow_unused=True)
        for name, value, want in zip(weights, found, slopes, strict=True):
            if want is None:  # nothing comes after the last block's residual branch
                assert value is None or not value.any(), f"{name} is used by nothing, and yet has a gradient"
                continue
            assert value is not None, f"no gradient of the logits reaches {name}: is something detached?"
            assert_close(value, want, name=f"gradient of {name}", help=help)


@pytest.mark.gradient
def test_three_training_steps(solution, rng):
    """From given weights, three steps of fit have the losses of plain algebra and Adam, and the weights after them."""
    for size in SIZES[:3]:
        model, weights = _model(solution, rng, size)
        weights = {name: value.clone().requires_grad_() for name, value in weights.items()}
        codes = _codes(rng, size[2], 7, size[1])
        batches = torch.from_numpy(np.stack([rng.permutation(7)[: size[0]] for _ in range(3)]))
        rate = float(rng.uniform(0.01, 0.04))
        losses = solution.fit(model, codes, batches, rate)
        adam, expected = torch.optim.Adam(weights.values(), lr=rate), []
        for rows in batches:
            loss = _surprise(_oracle(weights, codes[rows], size[-1]), codes[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            expected.append(loss.item())
        help = "codes are classes: -log of the probability of the code that comes next, in nats, mean over N * (T - 1)"
        assert_trajectory(losses, expected, help=help)
        help = "Adam made once, gradients cleared at every step, an update after every batch"
        trained = state_of(model, weights)
        for name, value in weights.items():
            assert_close(trained[name], value.detach(), name=f"{name} after three steps", help=help)


@pytest.mark.behaviour
def test_no_logit_hears_the_future(solution, rng):
    """Changing one code changes no logits before it and those of no other clip, but does change those of its own frame."""
    moved = []
    for size in SIZES:
        model, _ = _model(solution, rng, size)
        codes = _codes(rng, size[2], *size[:2])
        with torch.no_grad():
            before = _listen(model, codes)[0]
            for place in range(size[1]):
                changed = codes.clone()
                changed[0, place] = (changed[0, place] + 1) % size[2]
                after, help = _listen(model, changed)[0], f"code {place} was changed: all padding goes in front"
                assert_close(after[0, :, :place], before[0, :, :place], tol=EXACT, name="earlier logits", help=help)
                assert_close(after[1:], before[1:], tol=EXACT, name="logits of the other clips", help="the batch axis")
                moved.append((after[0, :, place] != before[0, :, place]).any())
    assert any(moved), "no code has any influence on the logits of its own frame, which score the next one"


@pytest.mark.behaviour
def test_receptive_field(solution, rng):
    """A code is heard just as long as taps and dilations say, at just their distances, and receptive_field tells it."""
    for taps, dilations in REACHES:
        distances = _heard(taps, dilations)
        reach, size = max(distances), (6, max(distances) + 6, 5, 4, 32, taps, dilations)
        model, weights = _model(solution, rng, size)
        alive = {name: value.abs() + 1 for name, value in weights.items() if name.endswith("skip.bias")}
        load_state(model, alive)  # with so many skips and none dead, some always tell
        told = model.receptive_field()
        story = f"of {taps} taps and the dilations {list(dilations)}"
        assert isinstance(told, int | np.integer), "receptive_field must return a whole number"
        why = "count from the oldest frame to the present one, both of them"
        assert told == reach + 1, f"a model {story} does not hear {told} frames: {why}"
        codes = _codes(rng, size[2], *size[:2])
        changed = codes.clone()
        changed[:, 1] = (changed[:, 1] + 1 + _codes(rng, size[2] - 1, size[0])) % size[2]
        with torch.no_grad():
            moved = (_listen(model, changed)[0] - _listen(model, codes)[0]).abs().amax((0, 1))
        for frame, change in enumerate(moved[1:].tolist()):
            if frame in distances:
                assert change > 1e-9, f"a model {story} does not hear the code {frame} frames ago"
            else:
                assert change < 1e-12, f"a model {story} still hears the code {frame} frames ago, and should not"


@pytest.mark.behaviour
def test_pieces(solution, rng, mutated):
    """With a cache, code by code or in pieces, the logits are those of one piece; and no call leaves a trace."""
    told_apart = []
    for size in SIZES:
        model, weights = _model(solution, rng, size)
        count, frames, levels = size[:3]
        codes, other = (_codes(rng, levels, count, frames) for _ in range(2))
        with torch.no_grad():
            whole = _listen(model, codes)[0]
            told_apart.append((whole != _listen(model, other)[0]).any())
            for pieces in ([1] * frames, [2, 1, frames - 3], [3, frames - 3], [frames - 1, 1]):
                found, cache = [], None
                for piece in codes.split(pieces, dim=1):
                    logits, cache = _listen(model, piece, cache)
                    found.append(logits)
                help = "each block's past is its own stream, the last (K - 1) * dilation frames, old ones included"
                name = "logits code by code" if pieces[0] == pieces[-1] == 1 else f"logits in pieces of {pieces}"
                assert_close(torch.cat(found, dim=2), whole, tol=EXACT, name=name, help=help)
            _, cache = _listen(model, codes[:, :2])
            _listen(model, other[:, 2:], cache)
            again, help = _listen(model, codes[:, 2:], cache)[0], "a call may not change the cache that it was given"
            assert_close(again, whole[:, :, 2:], tol=EXACT, name="logits of a second continuation", help=help)
            help = "state outlives a call"
            assert_close(_listen(model, codes)[0], whole, tol=EXACT, name="logits, asked again", help=help)
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], tol=EXACT, name=f"{name} after all calls")
        uniforms = torch.from_numpy(rng.random((count, 2)))
        solution.generate(model, codes, uniforms)
        block = solution.GatedBlock(3, 2, 2, 2, dtype=torch.float64)
        _through(block, _normal(rng, 2, 3, 4), _normal(rng, 2, 3, 2))
        solution.causal_conv(_normal(rng, 2, 3, 4), _normal(rng, 4, 3, 2), _normal(rng, 4), 2, _normal(rng, 2, 3, 2))
        wave = torch.from_numpy(rng.uniform(-1, 1, 9))
        solution.mu_law_decode(solution.mu_law_encode(wave, levels), levels)
        solution.fit(model, codes, torch.zeros(2, 3).long(), 0.01)
    assert any(told_apart), "other codes give the same logits"
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.behaviour
def test_generate(solution, rng, operations):
    """Uniforms draw exactly the codes that the model's probabilities say, and no frame is worked out twice."""
    for index, size in enumerate(SIZES):
        model, weights = _model(solution, rng, size)
        weights["head.weight"] *= 4  # what was heard decides much of what is drawn
        weights["head.bias"][0] = -1e4  # code 0 has no chance at all
        load_state(model, weights)
        count, (frames, levels), reach = 16 * size[0], size[1:3], (size[5] - 1) * sum(size[6]) * (index > 0)
        start, more = 2 + frames // 4 + reach, frames  # the prompt is once shorter and else longer than what is heard
        prompt, uniforms = _codes(rng, levels, count, start), torch.from_numpy(rng.random((count, more)))
        uniforms[:, -4], uniforms[:, -1] = 0.0, math.nextafter(1, 0)
        text = solution.generate(model, prompt, uniforms)
        assert_shape(text, (count, start + more), dtype=torch.int64, name="text of generate")
        assert_close(text[:, :start], prompt, tol=0, name="the beginning of the text", help="the prompt comes first")
        new = text[:, start:]
        assert new.min() >= 0 and new.max() < levels, "a uniform near 1 drew a code that is none of the levels"
        logits = _oracle(weights, text[:, :-1], size[-1])[:, :, start - 1 :]
        chances = F.softmax(logits, dim=1)
        chance = chances.gather(1, new[:, None])[:, 0]
        assert (chance > 0).all(), "a code of probability 0 was drawn: the sum must exceed the uniform, not equal it"
        above = chances.cumsum(1).gather(1, new[:, None])[:, 0] - uniforms
        follows = (above > -1e-9) & (above <= chance + 1e-9)
        wrong = int((~follows).any(0).int().argmax()) + 1
        assert follows.all(), f"new code {wrong} of {more} is not the one that the probabilities and its uniform pick"
    model, _ = _model(solution, rng, COUNTED)
    count, start, levels, channels, skips, taps, dilations = COUNTED
    prompt, uniforms = _codes(rng, levels, count, start), torch.from_numpy(rng.random((count, 45)))
    products = len(dilations) * channels * (2 * channels * taps + channels + skips) + skips * (skips + levels)
    ratio = operations(solution.generate, model, prompt, uniforms) / (2 * products * count * (start + 45 - 1))
    slow = "hear each new code once, with the cache, and convolve nothing but its own frame"
    assert ratio < COST, f"generate spends {ratio:.1f} times the operations of forward, and may spend {COST}: {slow}"


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
    text = solution.generate(model, held_out[:4, :start], torch.full((4, FRAMES - start), 0.5))
    record.curve("a tone: half of it heard, half of it written", text[0].tolist())
    lines = []
    for one, tone in zip(text, held_out[:4], strict=True):
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
