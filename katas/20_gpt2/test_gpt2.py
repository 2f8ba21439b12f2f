"""The suite of kata 20: GPT-2 against torch's own transformer layers, against brute force, and on a nursery rhyme."""

import itertools
import math
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

from grader.checks import (
    assert_beats,
    assert_close,
    assert_gradients,
    assert_parts,
    assert_raises,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    load_state,
    tensors_of,
)

TEXT = Path(__file__).with_name("house_that_jack_built.txt").read_text(encoding="utf-8")
UNSEEN = "This is the farmer"  # the first words of the two verses that training never shows

# B sequences of T tokens, V tokens in the vocabulary, context C, H heads of D numbers, L blocks.
SIZES = [
    (2, 5, 11, 7, 3, 4, 2),
    (1, 6, 13, 9, 2, 5, 1),
    (3, 4, 10, 6, 5, 2, 2),
    (4, 1, 9, 5, 2, 3, 1),
    (2, 8, 7, 8, 1, 6, 3),
]
TOL = 1e-8
STEPS, BATCH, CONTEXT, WIDTH, HEADS, LAYERS, LEARNING_RATE = 150, 24, 16, 48, 4, 1, 4e-3

# Midway between models without attention (they need all of the bigram's bits) and the worst right run of 50 seeds.
SHARE_OF_BIGRAM = 0.78

ORACLE_NAMES = {
    "norm1": "norm1",
    "attention.qkv.": "self_attn.in_proj_",
    "attention.out": "self_attn.out_proj",
    "norm2": "norm2",
    "up": "linear1",
    "down": "linear2",
}


def _normal(generator, *shape):
    """Standard normal float64 numbers; their axes lie in memory the other way round, so they are not contiguous."""
    numbers = torch.randn(*reversed(shape), generator=generator, dtype=torch.float64)
    return numbers.permute(*reversed(range(len(shape))))


def _tokens(generator, vocabulary, *shape):
    return torch.randint(vocabulary, shape, generator=generator)


def _block_shapes(width):
    linears = {"attention.qkv": (3 * width, width), "attention.out": (width, width)}
    linears |= {"up": (4 * width, width), "down": (width, 4 * width)}
    shapes = {f"{name}.weight": shape for name, shape in linears.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in linears.items()}
    return shapes | {f"{norm}.{kind}": (width,) for norm in ("norm1", "norm2") for kind in ("weight", "bias")}


def _model_shapes(vocabulary, context, width, layers):
    shapes = {"token.weight": (vocabulary, width), "position.weight": (context, width)}
    for layer in range(layers):
        shapes |= {f"blocks.{layer}.{name}": shape for name, shape in _block_shapes(width).items()}
    return shapes | {"norm.weight": (width,), "norm.bias": (width,), "head.weight": (vocabulary, width)}


def _weights(shapes, generator):
    """Matrices ~ 1 / sqrt(fan-in), biases not zero, norms not the identity; one tensor for the tied pair."""
    weights = {}
    for name, shape in shapes.items():
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        norm_weight = name.endswith("weight") and len(shape) == 1
        weights[name] = 1 + 0.3 * drawn if norm_weight else 0.3 * drawn if len(shape) == 1 else drawn / shape[1] ** 0.5
    if "head.weight" in weights:
        weights["head.weight"] = weights["token.weight"]
    return weights


def _make(solution, vocabulary, context, width, heads, layers):
    """The learner's new GPT, whose head is tied to its token embedding."""
    model = solution.GPT(vocabulary, context, width, heads, layers)
    shapes, tied = _model_shapes(vocabulary, context, width, layers), {"head.weight": "token.weight"}
    return assert_state(model, shapes, dtype=torch.float32, tied=tied, name="GPT")


def _model(solution, size, generator):
    """The learner's GPT in float64, and torch's own, with the same weights."""
    _, _, vocabulary, context, heads, head_width, layers = size
    width = heads * head_width
    weights = _weights(_model_shapes(vocabulary, context, width, layers), generator)
    model = _make(solution, vocabulary, context, width, heads, layers).double()
    return load_state(model, weights), _Oracle(weights, heads, layers)


def _layer(weights, heads):
    """torch's pre-norm layer with the weights of one block."""
    width = weights["norm1.weight"].numel()
    gelu = partial(F.gelu, approximate="tanh")
    layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, gelu, batch_first=True, norm_first=True)
    renamed = {}
    for name, tensor in weights.items():
        start = next(start for start in ORACLE_NAMES if name.startswith(start))
        renamed[ORACLE_NAMES[start] + name.removeprefix(start)] = tensor
    layer.double().load_state_dict(renamed)
    return layer


def _run_layer(layer, x):
    hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    return layer(x, src_mask=hidden, is_causal=True)


class _Oracle(nn.Module):
    """The same model, made of torch's layers."""

    def __init__(self, weights, heads, layers):
        super().__init__()
        self.token, self.position = (nn.Parameter(weights[f"{name}.weight"].clone()) for name in ("token", "position"))
        blocks = [f"blocks.{layer}." for layer in range(layers)]
        own = [{n.removeprefix(b): w for n, w in weights.items() if n.startswith(b)} for b in blocks]
        self.blocks = nn.ModuleList(_layer(block, heads) for block in own)
        self.norm = nn.LayerNorm(self.token.shape[1], dtype=torch.float64)
        self.norm.load_state_dict({kind: weights[f"norm.{kind}"] for kind in ("weight", "bias")})

    def forward(self, tokens):
        x = F.embedding(tokens, self.token) + self.position[: tokens.shape[1]]
        for layer in self.blocks:
            x = _run_layer(layer, x)
        return F.linear(self.norm(x), self.token)


def _loss(logits, tokens):
    return -Categorical(logits=logits.roll(1, 1)).log_prob(tokens)[:, 1:].mean()


def _logits(model, tokens, cache=None):
    """Logits and cache of one call, without a graph; the logits are found to be finite numbers of the right shape."""
    with torch.no_grad():
        logits, cache = assert_parts(model(tokens, cache), ("logits", "cache"), name="GPT.forward")
    assert_shape(logits, (*tokens.shape, model.token.weight.shape[0]), dtype=model.token.weight.dtype, name="logits")
    return logits, cache


@pytest.mark.shape
def test_shapes(solution, generator):
    """Every function and module returns what its docstring says, and the weights have the stated names"""
    for batch, length, vocabulary, context, heads, head_width, layers in SIZES:
        width, kind = heads * head_width, torch.float32
        q, k, v = (_normal(generator, batch, heads, n, head_width).float() for n in (length, length + 2, length + 2))
        assert_shape(solution.causal_attention(q, k, v), q.shape, dtype=kind, name="attention")
        x = _normal(generator, batch, length, width).float()
        for part in ("CausalSelfAttention", "Block"):
            y, _ = assert_parts(getattr(solution, part)(width, heads)(x), ("y", "cache"), name=f"{part}.forward")
            assert_shape(y, (batch, length, width), dtype=kind, name=f"the output of {part}")
        model = _make(solution, vocabulary, context, width, heads, layers)
        tokens = _tokens(generator, vocabulary, batch, length)
        logits, _ = _logits(model, tokens)
        other, _ = _logits(model, (tokens + 1) % vocabulary)
        assert (logits != other).any(), "other tokens give the same logits"
        assert_shape(solution.next_token_loss(logits.repeat(1, 2, 1), tokens.repeat(1, 2)), (), dtype=kind, name="loss")
        chances = solution.next_token_probabilities(logits[:, -1], 0.8, 3, 0.9)
        assert_shape(chances, (batch, vocabulary), dtype=kind, name="probabilities")
        drawn = solution.sample(chances, torch.rand(batch, generator=generator))
        assert_shape(drawn, (batch,), dtype=torch.int64, name="sampled tokens")
        prompt = tokens[:, : context - 3]
        text = solution.generate(model, prompt, torch.rand(batch, 3, generator=generator))
        assert_shape(text, (batch, prompt.shape[1] + 3), dtype=torch.int64, name="generated text")
        assert_close(text[:, :-3], prompt, name="the beginning of the generated text", help="the prompt comes first")
        starts = _tokens(generator, 5, 3, batch)
        losses = solution.train(model, _tokens(generator, vocabulary, 5 + context), starts, 0.01)
        assert_shape(losses, (3,), dtype=kind, name="the losses of train")


@pytest.mark.value
def test_attention(solution, generator):
    """Attention equals torch's with is_causal, for a whole text and for the last few queries of one"""
    for batch, _, _, length, heads, head_width, _ in SIZES:
        q, k, v = (_normal(generator, batch, heads, length, head_width) for _ in range(3))
        expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        for new, help in ((length, "scale, mask, softmax"), (3, "where do the queries stand?"), (1, "one new query")):
            got = solution.causal_attention(q[:, :, -new:], k, v)
            assert_close(got, expected[:, :, -new:], tol=TOL, name=f"attention of {new} to {length}", help=help)
        expected = F.scaled_dot_product_attention(2000 * q, k, v, is_causal=True)
        help = "exp of a large score overflows; the softmax does not mind if the largest of its row is taken off first"
        got = solution.causal_attention(2000 * q, k, v)
        assert_close(got, expected, tol=TOL, name="attention with large scores", help=help)


@pytest.mark.value
def test_block(solution, generator):
    """The block equals torch's pre-norm transformer layer with the same weights"""
    for batch, length, _, _, heads, head_width, _ in SIZES:
        width = heads * head_width
        block = assert_state(solution.Block(width, heads), _block_shapes(width), dtype=torch.float32, name="Block")
        weights = _weights(_block_shapes(width), generator)
        x = _normal(generator, batch, length, width)
        with torch.no_grad():
            got, _ = assert_parts(load_state(block.double(), weights)(x), ("y", "cache"), name="Block.forward")
            expected = _run_layer(_layer(weights, heads), x)
        help = "the order of heads, norms and GELU, and what is added to what"
        assert_close(got, expected, tol=TOL, name="the output of Block", help=help)


@pytest.mark.value
def test_model_and_loss(solution, generator):
    """The model's logits equal those of torch's layers, and the loss asks each position for the next token"""
    for size in SIZES:
        batch, length, vocabulary, *_ = size
        model, oracle = _model(solution, size, generator)
        tokens = _tokens(generator, vocabulary, batch, length)
        expected = oracle(tokens).detach()
        got, _ = _logits(model, tokens)
        assert_close(got, expected, tol=TOL, name="logits", help="embeddings, positions, the last norm, the head")
        tokens = _tokens(generator, vocabulary, batch, length + 1)
        logits = _normal(generator, batch, length + 1, vocabulary)
        help = "which logits speak about which token, and over what the mean runs"
        assert_close(solution.next_token_loss(logits, tokens), _loss(logits, tokens), tol=TOL, name="loss", help=help)
        found, large = solution.next_token_loss(500 * logits, tokens), _loss(500 * logits, tokens)
        help = "the logarithm of a softmax that underflowed is infinite"
        assert_close(found, large, tol=TOL, name="loss of large logits", help=help)


@pytest.mark.gradient
def test_gradients(solution, generator, rng):
    """Gradients are right: of attention by q, k and v, of the logits by every parameter, of the loss by the logits"""
    q, k, v = (_normal(generator, 2, 2, n, 3) for n in (2, 3, 3))
    assert_gradients(solution.causal_attention, {"q": q, "k": k, "v": v}, rng, name="gradient of attention")

    size = (2, 3, 9, 10, 2, 4, 1)
    model, _ = _model(solution, size, generator)
    tokens, shapes = _tokens(generator, size[2], *size[:2]), _model_shapes(size[2], size[3], 8, size[6])
    parameters = tensors_of(model, (name for name in shapes if name != "head.weight"))

    def logits():
        return model(tokens)[0]

    assert_gradients(logits, {}, rng, parameters=parameters, name="gradient of the logits")

    def loss(logits):
        return solution.next_token_loss(logits, tokens)

    assert_gradients(loss, {"logits": _normal(generator, *size[:3])}, rng, name="gradient of the loss")


@pytest.mark.value
def test_three_training_steps(solution, generator):
    """From given weights, the losses of three steps and the model after them agree with torch's layers and Adam"""
    for size in SIZES:
        batch, length, vocabulary, context, *_ = size
        model, oracle = _model(solution, size, generator)
        text, starts = _tokens(generator, vocabulary, context + 9), _tokens(generator, 10, 3, batch)
        rate = 0.01 + 0.02 * float(torch.rand((), generator=generator))
        losses = solution.train(model, text, starts, rate)
        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        expected = []
        for row in starts:
            windows = torch.stack([text[start : start + context] for start in row])
            loss = _loss(oracle(windows), windows)
            adam.zero_grad()
            loss.backward()
            adam.step()
            expected.append(loss.item())
        assert_shape(losses, (3,), name="the losses of train")
        assert_trajectory(losses, expected, name="loss")
        tokens = _tokens(generator, vocabulary, batch, length)
        help = "the last update, and that the model itself was trained"
        assert_close(_logits(model, tokens)[0], oracle(tokens).detach(), name="logits after three steps", help=help)


def _fewest(probabilities, enough):
    """By brute force: of all sets of 1, 2, ... tokens, the most probable one of the first size that is enough."""
    ids = range(len(probabilities))

    def mass(kept):
        return sum(probabilities[i] for i in kept)

    for size in range(1, len(ids) + 1):
        kept = max(itertools.combinations(ids, size), key=mass)
        if enough(size, mass(kept)):
            break
    return [probabilities[i] / mass(kept) if i in kept else 0.0 for i in ids]


def _probabilities(logits, temperature, top_k, top_p):
    rows = []
    for row in F.softmax(logits / temperature, dim=-1).tolist():
        if top_k is not None:
            row = _fewest(row, lambda size, mass: size == top_k)
        if top_p is not None:
            row = _fewest(row, lambda size, mass: mass >= top_p)
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


FILTERS = [(1.0, None, None), (0.5, None, None), (2.0, 3, None), (0.7, None, 0.6), (1.5, 4, 0.7), (1.2, 99, 0.35)]
EXTREMES = [(1.3, 1, None), (0.8, None, 0.01), (1.1, None, 1.0), (1.2, 99, None), (1.2, 7, None)]


@pytest.mark.value
def test_next_token_probabilities(solution, generator, mutated):
    """Temperature, top-k and top-p keep the right tokens, with the right probabilities"""
    for temperature, top_k, top_p in FILTERS + EXTREMES:
        for batch, vocabulary, level in ((1, 6, 0), (4, 7, 0), (2, 5, 2000)):  # a level that exp would overflow at
            logits = 1.5 * _normal(generator, batch, vocabulary) + level
            expected = _probabilities(logits, temperature, top_k, top_p)
            name = f"probabilities at temperature {temperature}, top_k {top_k}, top_p {top_p}"
            got = solution.next_token_probabilities(logits, temperature, top_k, top_p)
            assert_close(got, expected, tol=TOL, name=name, help="what is kept, and that the rest sums to 1 again")
            assert ((got == 0) == (expected == 0)).all(), f"{name}: a dropped token must have probability 0"
    for temperature in (0.0, -1.0):
        assert_raises(ValueError, solution.next_token_probabilities, logits, temperature)
    assert_unchanged(mutated)


@pytest.mark.value
def test_sample_and_generate(solution, generator):
    """Given uniforms pick exactly the tokens that the probabilities say, one by one and along a generated text"""
    for count, vocabulary in ((16, 5), (32, 9), (64, 12)):
        drawn = _tokens(generator, vocabulary - 2, count) + 1  # the first id and the last have probability 0
        shares = torch.bincount(drawn, minlength=vocabulary)
        shuffled = torch.randperm(count, generator=generator)
        uniforms = torch.arange(count, dtype=torch.float64)[shuffled] / count
        expected = torch.arange(vocabulary).repeat_interleave(shares)[shuffled]
        got = solution.sample((shares / count).double().expand(count, -1), uniforms)
        assert_close(got, expected, name="sampled tokens", help="the first id whose cumulative probability exceeds it")

    shares = torch.rand(64, 9, generator=generator) + 0.1
    shares[:, -2:] = 0
    got = solution.sample(shares / shares.sum(1, keepdim=True), torch.full((64,), 1 - 2**-24))
    help = "rounding leaves some sums a little below 1: the last id with a probability is then the one"
    assert_close(got, torch.full((64,), 6), name="tokens for a uniform just below 1", help=help)

    for size, (temperature, top_k, top_p) in zip(SIZES, FILTERS[1:], strict=True):
        batch, _, vocabulary, context, *_ = size
        model, oracle = _model(solution, size, generator)
        prompt = _tokens(generator, vocabulary, batch, 2)
        uniforms = torch.rand(batch, context - 2, generator=generator, dtype=torch.float64)
        text = solution.generate(model, prompt, uniforms, temperature, top_k, top_p)
        assert_shape(text, (batch, context), dtype=torch.int64, name="generated text")
        assert_close(text[:, :2], prompt, name="the beginning of the generated text", help="the prompt comes first")
        assert text.min() >= 0 and text.max() < vocabulary, "a generated token is not in the vocabulary"
        with torch.no_grad():
            logits = oracle(text[:, :-1])[:, 1:].flatten(0, 1)
        chances = _probabilities(logits, temperature, top_k, top_p).view(batch, context - 2, vocabulary)
        new = text[:, 2:, None]
        above = chances.cumsum(-1).gather(-1, new)[..., 0] - uniforms
        follows = (above > -1e-9) & (above <= chances.gather(-1, new)[..., 0] + 1e-9)
        message = "is not the one that the model's probabilities and its uniform pick"
        assert follows.all(), f"new token {int((~follows).any(0).int().argmax()) + 1} of {context - 2} {message}"


@pytest.mark.behaviour
def test_no_token_sees_a_later_one(solution, generator):
    """Changing one token changes no logits before it, all those from there on, and no other sequence"""
    for size in SIZES:
        batch, _, vocabulary, context, *_ = size
        model, _ = _model(solution, size, generator)
        tokens = _tokens(generator, vocabulary, batch, context)
        before, _ = _logits(model, tokens)
        for place in range(context):
            changed = tokens.clone()
            changed[0, place] = (changed[0, place] + 1) % vocabulary
            after, _ = _logits(model, changed)
            help = f"token {place} was changed; a position may see itself and what comes before it"
            assert_close(after[0, :place], before[0, :place], tol=TOL, name="logits before the change", help=help)
            assert_close(after[1:], before[1:], tol=TOL, name="logits of the other sequences", help="the batch axis")
            moved = (after[0, place:] - before[0, place:]).abs().amax(-1)
            assert (moved > 1e-9).all(), f"token {place} has no influence on the logits of a later position"


@pytest.mark.behaviour
def test_cache(solution, generator, mutated):
    """With a cache, token by token or in pieces, the results are the same as without; and a text too long is refused"""
    for size in SIZES:
        batch, _, vocabulary, context, heads, head_width, _ = size
        x = _normal(generator, batch, context, heads * head_width)
        for part in ("CausalSelfAttention", "Block"):
            module = getattr(solution, part)(heads * head_width, heads).double()
            with torch.no_grad():
                expected, _ = assert_parts(module(x), ("y", "cache"), name=f"{part}.forward")
                first, cache = assert_parts(module(x[:, :-3]), ("y", "cache"), name=f"{part}.forward")
                last, _ = assert_parts(module(x[:, -3:], cache), ("y", "cache"), name=f"{part}.forward")
            help = "the keys and values of the cache stand before the new ones"
            assert_close(torch.cat([first, last], 1), expected, tol=TOL, name=f"{part} in two pieces", help=help)
        model, _ = _model(solution, size, generator)
        tokens, other = (_tokens(generator, vocabulary, batch, context) for _ in range(2))
        whole, _ = _logits(model, tokens)
        assert (whole != _logits(model, (tokens + 1) % vocabulary)[0]).any(), "other tokens give the same logits"
        for pieces in ([1] * context, [3, 1, context - 4], [2, context - 2]):
            got, cache = [], None
            for piece in tokens.split(pieces, dim=1):
                logits, cache = _logits(model, piece, cache)
                got.append(logits)
            help = "the positions of new tokens, what the cache holds, and what the mask lets them see"
            assert_close(torch.cat(got, dim=1), whole, tol=TOL, name=f"logits in pieces of {pieces}", help=help)
        assert_raises(ValueError, model, tokens[:, :1], cache)
        assert_raises(ValueError, model, tokens[:, [0, *range(context)]])
        _, cache = _logits(model, tokens[:, :2])
        for rest in (other, tokens):
            _logits(model, other[:, :2])  # another text begins before this one goes on
            again, _ = _logits(model, rest[:, 2:], cache)
        help = "the cache of the first two tokens was kept while other texts were read: no call may change it"
        assert_close(again, whole[:, 2:], tol=TOL, name="logits of a second continuation", help=help)
    assert_unchanged(mutated)


@pytest.mark.behaviour
def test_fresh_model(solution, generator):
    """A new model ties its head to its token embedding and is as unsure as a fair die: its loss is close to ln V"""
    for vocabulary, width, heads, layers in ((61, 24, 3, 2), (40, 32, 4, 1), (97, 30, 2, 3)):
        model = _make(solution, vocabulary, 12, width, heads, layers)
        tokens = _tokens(generator, vocabulary, 64, 12)
        logits, _ = _logits(model, tokens)
        assert (logits[:, 1:] != logits[:, :-1]).any(), "the logits are the same at every position"
        for name in ("token", "position"):
            spread = getattr(model, name).weight.std().item()
            assert 0.014 < spread < 0.026, f"{name}.weight must have a standard deviation of 0.02, found {spread:.3g}"
        surprise = float(_loss(logits, tokens)) - math.log(vocabulary)
        help = "the standard deviation of the embeddings, which the head multiplies by"
        assert_beats(abs(surprise), 0.1, name="the distance of a new model's loss from ln V", higher=False, help=help)


def _bigram_bits(train, text, vocabulary):
    """Bits per letter of `text` but its first, by counting the pairs in `train`, 0.1 of each seen before it began."""
    counts = torch.full((vocabulary, vocabulary), 0.1, dtype=torch.float64)
    counts.index_put_((train[:-1], train[1:]), torch.ones(len(train) - 1, dtype=torch.float64), accumulate=True)
    return -(counts / counts.sum(1, keepdim=True)).log2()[text[:-1], text[1:]].mean().item()


@pytest.mark.convergence
def test_beats_the_bigram_model(solution, generator, record):
    """Trained by your loop, your model spends fewer bits on two unseen verses than counting letter pairs can"""
    letters = sorted(set(TEXT))
    tokens = torch.tensor([letters.index(letter) for letter in TEXT])
    split = TEXT.index(UNSEEN)
    train, seen = tokens[:split], CONTEXT - 1
    unseen = tokens[split - seen :]  # each unseen letter is predicted from the 15 before it, and sees no later one

    weights = _weights(_model_shapes(len(letters), CONTEXT, WIDTH, LAYERS), generator)
    model = load_state(_make(solution, len(letters), CONTEXT, WIDTH, HEADS, LAYERS), weights)
    starts = torch.randint(len(train) - CONTEXT + 1, (STEPS, BATCH), generator=generator)
    losses = solution.train(model, train, starts, LEARNING_RATE)
    assert_shape(losses, (STEPS,), name="the losses of train")
    curve = (losses.double() / math.log(2)).tolist()
    record.curve("bits per letter while training", curve, baseline=_bigram_bits(train, train, len(letters)))

    text = tokens[None, :8]
    for _ in range(24):
        uniforms = torch.rand(1, 8, generator=generator)
        text = torch.cat([text, solution.generate(model, text[:, -8:], uniforms, 0.8, None, 0.9)[:, 8:]], dim=1)
    record.text("what your model writes", "".join(letters[i] for i in text[0].tolist()))

    logits, _ = _logits(model, unseen[:-1].unfold(0, seen, 1))
    bits = F.cross_entropy(logits[:, -1].double(), unseen[seen:]).item() / math.log(2)
    bar = SHARE_OF_BIGRAM * _bigram_bits(train, unseen[seen - 1 :], len(letters))
    help = "whether the loop updates the model, and whether the right token is asked for"
    assert_beats(bits, bar, name="bits per unseen letter", higher=False, help=help)
