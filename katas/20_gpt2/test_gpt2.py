"""The suite of kata 20: GPT-2 against torch's own transformer layers, against brute force, and on a nursery rhyme."""

from __future__ import annotations

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
    assert_that,
    assert_trained,
    assert_unchanged,
    load_state,
    normal,
    renamed,
    state_of,
    text,
)

RHYME = Path(__file__).with_name("house_that_jack_built.txt").read_text(encoding="utf-8")
UNSEEN = "This is the farmer"  # the first words of the two verses that training never shows

# B sequences of T tokens, V tokens in the vocabulary, context C, H heads of D numbers, L blocks.
SIZES = [
    (2, 5, 11, 7, 3, 4, 2),
    (1, 6, 13, 9, 2, 5, 1),
    (3, 4, 10, 6, 5, 2, 2),
    (4, 1, 9, 5, 2, 3, 1),
    (2, 8, 7, 8, 1, 6, 3),
]
FORTY = (2, 40, 9, 43, 2, 3, 1)
LONG, TALL = (1, 1103, 5, 1104, 1, 2, 1), (1101, 2, 5, 3, 1, 2, 1)
TOL = 1e-8
STEPS, BATCH, CONTEXT, WIDTH, HEADS, LAYERS, LEARNING_RATE = 180, 24, 16, 48, 4, 1, 4e-3

# Midway between models without attention (they need all of the bigram's bits) and the worst right run of 50 seeds.
SHARE_OF_BIGRAM = 0.78

RENAMED = {"self_attn": "attention", "in_proj_": "qkv.", "out_proj": "out", "linear1": "up", "linear2": "down"}
TIED = {"head.weight": "token.weight"}


def _tokens(rng, vocabulary, *shape):
    return torch.from_numpy(rng.integers(0, vocabulary, shape))


def _layer(width, heads):
    """torch's pre-norm layer."""
    gelu = partial(F.gelu, approximate="tanh")
    return nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, gelu, batch_first=True, norm_first=True)


def _run_layer(layer, x):
    hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    if isinstance(layer, nn.MultiheadAttention):
        return layer(x, x, x, attn_mask=hidden, need_weights=False)[0]
    return layer(x, src_mask=hidden, is_causal=True)


class _Oracle(nn.Module):
    """The same model, made of torch's layers."""

    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(_layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        for layer in self.blocks:
            x = _run_layer(layer, x)
        return F.linear(self.norm(x), self.token.weight)


def _checked(model, oracle, name):
    """The learner's new module, found to hold the oracle's parameters, and for a GPT the tied head."""
    names, found = renamed(oracle, RENAMED), dict(oracle.named_parameters())
    shapes = {mine: tuple(found[theirs].shape) for mine, theirs in names.items()}
    tied = TIED if name == "GPT" else {}
    shapes |= {each: shapes[other] for each, other in tied.items()}
    return assert_state(model, shapes, dtype=torch.float32, tied=tied, name=name)


def _alike(rng, model, oracle, name):
    """Both in float64 with the same weights: matrices ~ 1 / sqrt(fan-in), biases not zero, norms not the identity."""
    model, names, weights = _checked(model, oracle, name).double(), renamed(oracle, RENAMED), {}
    for mine, theirs in names.items():
        drawn = normal(rng, *oracle.get_parameter(theirs).shape)
        is_norm = "norm" in mine and mine.endswith("weight")
        weights[mine] = (
            1 + 0.3 * drawn if is_norm else 0.3 * drawn if drawn.ndim == 1 else drawn / drawn.shape[1] ** 0.5
        )
    load_state(oracle.double(), {theirs: weights[mine] for mine, theirs in names.items()})
    return load_state(model, weights), oracle


def _model(solution, rng, size):
    """The learner's GPT and torch's, alike."""
    _, _, vocabulary, context, heads, head_width, layers = size
    args = vocabulary, context, heads * head_width, heads, layers
    return _alike(rng, solution.GPT(*args), _Oracle(*args), "GPT")


def _first(module):
    """The module without its cache."""
    return lambda *given, **named: assert_parts(module(*given, **named), ("y", "cache"), name="forward")[0]


def _logits(model, tokens, cache=None):
    """Logits and cache of one call, without a graph."""
    with torch.no_grad():
        return assert_parts(model(tokens, cache), ("logits", "cache"), name="GPT.forward")


def _attention(q, k, v):
    """torch's, for the last of the queries: one alone sees every key."""
    if q.shape[2] == 1:
        return F.scaled_dot_product_attention(q, k, v)
    ahead = k.shape[2] - q.shape[2]
    return F.scaled_dot_product_attention(F.pad(q, (0, 0, ahead, 0)), k, v, is_causal=True)[:, :, ahead:]


def _loss(logits, tokens):
    return -Categorical(logits=logits.roll(1, 1)).log_prob(tokens)[:, 1:].mean()


def _assert_attention(solution, rng, shape, scale, gradients):
    """causal_attention for a whole text, for the last few queries of one, and for one alone."""
    q, k, v = (normal(rng, *shape) for _ in range(3))
    length = shape[2]
    for new in sorted({length, min(3, length), 1}):
        inputs = {"q": scale * q[:, :, -new:], "k": k, "v": 50 * v}
        name = text("attention of {new} queries to {length} keys", new=new, length=length)
        help = "scale, mask, softmax; where the queries stand; and that no exp may overflow"
        assert_agrees(
            solution.causal_attention, _attention, inputs, rng, gradients=gradients, tol=TOL, name=name, help=help
        )


def _assert_parts(solution, rng, size, scale, gradients):
    """CausalSelfAttention and Block against torch's layers."""
    batch, length, _, _, heads, head_width, _ = size
    width = heads * head_width
    help = "the order of heads, norms and GELU, and what is added to what"
    for name, oracle in (("CausalSelfAttention", _layer(width, heads).self_attn), ("Block", _layer(width, heads))):
        module, oracle = _alike(rng, getattr(solution, name)(width, heads), oracle, name)
        assert_agrees(
            _first(module), partial(_run_layer, oracle), {"x": scale * normal(rng, batch, length, width)}, rng,
            modules=(module, oracle), parameters=renamed(oracle, RENAMED), gradients=gradients, tol=TOL,
            name=text("the output of {module}", module=name), help=help,
        )  # fmt: skip


def _assert_model(solution, rng, size, scale, gradients):
    """The model's logits, `scale` times as large."""
    model, oracle = _model(solution, rng, size)
    for each in (model, oracle):
        load_state(each, {"norm.weight": scale * oracle.norm.weight.detach()})
    help = "embeddings, positions, the last norm, the head"
    assert_agrees(
        _first(model), oracle, {"tokens": _tokens(rng, size[2], *size[:2])}, rng,
        modules=(model, oracle), parameters=renamed(oracle, RENAMED), gradients=gradients, tol=TOL, name="logits", help=help,
    )  # fmt: skip


def _assert_loss(solution, rng, shape, scale, gradients):
    logits, tokens = scale * normal(rng, *shape), _tokens(rng, shape[2], *shape[:2])
    logits[-1], tokens[-1] = logits[0].clone(), tokens[0].clone()  # a sequence that is there twice counts twice
    name = text("loss of logits of order {scale}", scale=scale)
    help = "which logits speak about which token, over what the mean runs, and that no softmax may underflow"
    inputs = {"logits": logits, "tokens": tokens}
    assert_agrees(solution.next_token_loss, _loss, inputs, rng, gradients=gradients, tol=TOL, name=name, help=help)


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every function and module returns what its docstring says, and the weights have the stated names"""
    for batch, length, vocabulary, context, heads, head_width, layers in SIZES:
        width, kind = heads * head_width, torch.float32
        q, k, v = (normal(rng, batch, heads, n, head_width).float() for n in (length, length + 2, length + 2))
        assert_shape(solution.causal_attention(q, k, v), q.shape, dtype=kind, name="attention")
        x = normal(rng, batch, length, width).float()
        for part in ("CausalSelfAttention", "Block"):
            y = _first(getattr(solution, part)(width, heads))(x)
            assert_shape(y, (batch, length, width), dtype=kind, name=text("the output of {module}", module=part))
        args = vocabulary, context, width, heads, layers
        model = _checked(solution.GPT(*args), _Oracle(*args), "GPT")
        tokens = _tokens(rng, vocabulary, batch, length)
        logits, _ = _logits(model, tokens)
        assert_shape(logits, (batch, length, vocabulary), dtype=kind, name="logits")
        assert (logits != _logits(model, (tokens + 1) % vocabulary)[0]).any(), "other tokens give the same logits"
        assert_shape(solution.next_token_loss(logits.repeat(1, 2, 1), tokens.repeat(1, 2)), (), dtype=kind, name="loss")
        chances = solution.next_token_probabilities(logits[:, -1], 0.8, 3, 0.9)
        assert_shape(chances, (batch, vocabulary), dtype=kind, name="probabilities")
        drawn = solution.sample(chances, torch.from_numpy(rng.random(batch)).float())
        assert_shape(drawn, (batch,), dtype=torch.int64, name="sampled tokens")
        prompt = tokens[:, : context - 3]
        written = solution.generate(model, prompt, torch.from_numpy(rng.random((batch, 3))).float())
        assert_shape(written, (batch, prompt.shape[1] + 3), dtype=torch.int64, name="generated text")
        assert_close(written[:, :-3], prompt, name="the beginning of the generated text", help="the prompt comes first")
        losses = solution.train(model, _tokens(rng, vocabulary, 5 + context), _tokens(rng, 5, 3, batch), 0.01)
        assert_shape(losses, (3,), dtype=kind, name="the losses of train")


@pytest.mark.value
def test_attention(solution, rng, mutated):
    """Attention equals torch's with is_causal, for a whole text and for the last few queries of one"""
    for batch, _, _, length, heads, head_width, _ in (*SIZES, LONG, TALL):
        _assert_attention(solution, rng, (batch, heads, length, head_width), 1, gradients=False)
    _assert_attention(solution, rng, (2, 3, 7, 4), 2000, gradients=False)
    q, k, v = (normal(rng, *shape) for shape in ((5001, 1, 1, 2), (5001, 1, 2, 2), (5001, 1, 2, 2)))
    many = {"q": q, "k": k, "v": v}, {"q": q[:1], "k": k.reshape(1, 1, -1, 2), "v": v.reshape(1, 1, -1, 2)}
    for inputs in many:
        name = "attention in 5001 sequences, or to 10002 keys"
        assert_agrees(solution.causal_attention, _attention, inputs, rng, gradients=False, tol=TOL, name=name)
    assert_unchanged(mutated)


@pytest.mark.value
def test_block(solution, rng, mutated):
    """Attention with its projections, and the block, equal torch's pre-norm layer with the same weights"""
    for size in (*SIZES, LONG, TALL):
        _assert_parts(solution, rng, size, 1, gradients=False)
    _assert_parts(solution, rng, SIZES[0], 100, gradients=False)
    assert_unchanged(mutated)


@pytest.mark.value
def test_model_and_loss(solution, rng, mutated):
    """The model's logits equal those of torch's layers, and the loss asks each position for the next token"""
    for size in (*SIZES, LONG, TALL):
        _assert_model(solution, rng, size, 1, gradients=False)
    _assert_model(solution, rng, SIZES[0], 100, gradients=False)
    shapes = [(batch, length + 1, vocabulary) for batch, length, vocabulary, *_ in SIZES]
    for shape in (*shapes, (5001, 2, 3), (1, 5001, 3), (3, 4, 1200)):
        _assert_loss(solution, rng, shape, 1, gradients=False)
        _assert_loss(solution, rng, shape, 500, gradients=False)
    assert_unchanged(mutated)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients are right: of attention by q, k and v, of every module by every parameter, of the loss by the logits"""
    for scale in (1, 30):  # at 100 a softmax is so sharp that rounding is a part in 10^7 of what slope is left
        _assert_attention(solution, rng, (2, 2, 40, 3), scale, gradients=True)
        _assert_parts(solution, rng, FORTY, scale, gradients=True)
        _assert_model(solution, rng, FORTY, scale, gradients=True)
        _assert_loss(solution, rng, (3, 40, 5), scale, gradients=True)


@pytest.mark.value
def test_training(solution, rng, mutated):
    """From given weights, the losses of twelve steps and the weights after them agree with torch's layers and Adam"""
    for place, size in enumerate([*SIZES, *SIZES, SIZES[0]]):
        batch, _, vocabulary, context, *_ = size
        model, oracle = _model(solution, rng, size)
        if place < 3:  # where the first losses are far above 5, and above 30
            for each in (model, oracle):
                load_state(each, {"norm.weight": 100 * oracle.norm.weight.detach()})
        model.train(place % 2 == 0)
        tokens, starts = _tokens(rng, vocabulary, 1200), as_view(_tokens(rng, 10, 12, batch))
        rate = 0.0 if place == 10 else float(rng.uniform(0.001, 0.003))
        losses = solution.train(model, tokens, starts, rate)
        assert_shape(losses, (12,), name="the losses of train")

        def steps(oracle=oracle, tokens=tokens, starts=starts, context=context):
            for row in starts:
                windows = torch.stack([tokens[start : start + context] for start in row])
                yield _loss(oracle(windows), windows)

        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        help = "one Adam for all steps, gradients cleared before each, the rate as it was given"
        assert_trained(losses, model, oracle, steps(), adam, parameters=renamed(oracle, RENAMED), help=help)
    assert_unchanged(mutated, but=["model of train"])


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
def test_next_token_probabilities(solution, rng, mutated):
    """Temperature, top-k and top-p keep the right tokens, with the right probabilities"""
    for temperature, top_k, top_p in FILTERS + EXTREMES:
        for batch, vocabulary, level in ((1, 6, 0), (4, 7, 0), (2, 5, 2000)):  # a level that exp would overflow at
            logits = 1.5 * normal(rng, batch, vocabulary) + level
            expected = _probabilities(logits, temperature, top_k, top_p)
            if batch == 4:
                logits, expected = logits.repeat(1251, 1), expected.repeat(1251, 1)
            name = text(
                "probabilities at temperature {temperature}, top_k {top_k}, top_p {top_p}",
                temperature=temperature, top_k=top_k, top_p=top_p,
            )  # fmt: skip
            got = solution.next_token_probabilities(logits, temperature, top_k, top_p)
            assert_close(got, expected, tol=TOL, name=name, help="what is kept, and that the rest sums to 1 again")
            dropped = ((got == 0) == (expected == 0)).all()
            assert_that(dropped, "{name}: a dropped token, and no other, must have probability 0", name=name)
    for temperature in (0.0, -1.0):
        assert_raises(ValueError, solution.next_token_probabilities, logits, temperature)
    assert_unchanged(mutated)


def _assert_generated(solution, rng, size, new, temperature, top_k, top_p, mode):
    """Every new token is the one that the oracle's probabilities, given all before it, and its uniform pick."""
    batch, _, vocabulary, context, *_ = size
    model, oracle = _model(solution, rng, size)
    model.train(mode)
    before = state_of(model, renamed(oracle, RENAMED))
    prompt, uniforms = _tokens(rng, vocabulary, batch, context - new), torch.from_numpy(rng.random((batch, new)))
    written = solution.generate(model, as_view(prompt), as_view(uniforms), temperature, top_k, top_p)
    assert_shape(written, (batch, context), dtype=torch.int64, name="generated text")
    kept = all(torch.equal(value, before[key]) for key, value in state_of(model, before).items())
    assert kept, "generate has changed the model's weights"
    assert_close(written[:, :-new], prompt, name="the beginning of the generated text", help="the prompt comes first")
    assert written.min() >= 0 and written.max() < vocabulary, "a generated token is not in the vocabulary"
    with torch.no_grad():
        logits = oracle(written[:, :-1])[:, -new:].flatten(0, 1)
    chances = _probabilities(logits, temperature, top_k, top_p).view(batch, new, vocabulary)
    own = chances.gather(-1, written[:, -new:, None])[..., 0]
    above = chances.cumsum(-1).gather(-1, written[:, -new:, None])[..., 0] - uniforms
    follows = ((above > -1e-9) & (above <= own + 1e-9)).all(0)
    place = int((~follows).int().argmax()) + 1
    message = "new token {place} of {new} is not the one that the model's probabilities and its uniform pick"
    assert_that(follows.all(), message, place=place, new=new)


@pytest.mark.value
def test_sample_and_generate(solution, rng, mutated):
    """Given uniforms pick exactly the tokens that the probabilities say, one by one and along a generated text"""
    for count, vocabulary in ((16, 5), (32, 9), (64, 12), (5008, 6)):
        drawn = _tokens(rng, vocabulary - 2, count) + 1  # the first id and the last have probability 0
        shares = torch.bincount(drawn, minlength=vocabulary)
        shuffled = torch.from_numpy(rng.permutation(count))
        expected = torch.arange(vocabulary).repeat_interleave(shares)[shuffled]
        uniforms = (shuffled.double() + (0.5 if count == 5008 else 0.0)) / count  # on every edge where sums are exact
        got = solution.sample((shares.double() / count).expand(count, -1), uniforms)
        assert_close(got, expected, name="sampled tokens", help="the first id whose cumulative probability exceeds it")
    shares = torch.from_numpy(rng.random((64, 9))).float() + 0.1
    shares[:, -2:] = 0
    got = solution.sample(shares / shares.sum(1, keepdim=True), torch.full((64,), 1 - 2**-24))
    help = "rounding leaves some sums a little below 1: the last id with a probability is then the one"
    assert_close(got, torch.full((64,), 6), name="tokens for a uniform just below 1", help=help)

    for size, filters in zip(SIZES, FILTERS[1:], strict=True):
        for mode in (True, False):  # two texts of one shape
            _assert_generated(solution, rng, size, size[3] - 2, *filters, mode)
    _assert_generated(solution, rng, SIZES[0], 1, *EXTREMES[0], True)
    _assert_generated(solution, rng, LONG, 1101, *FILTERS[3], False)
    _assert_generated(solution, rng, LONG, 2, *FILTERS[4], False)
    _assert_generated(solution, rng, TALL, 1, *FILTERS[2], False)
    assert_unchanged(mutated, but=["model of generate"])  # whose mode is nobody's business: there is no dropout


@pytest.mark.behaviour
def test_no_token_sees_a_later_one(solution, rng):
    """Changing one token changes no logits before it, all those from there on, and no other sequence"""
    for size in SIZES:
        batch, _, vocabulary, context, *_ = size
        model, _ = _model(solution, rng, size)
        tokens = _tokens(rng, vocabulary, batch, context)
        before, _ = _logits(model, tokens)
        for place in range(context):
            changed = tokens.clone()
            changed[0, place] = (changed[0, place] + 1) % vocabulary
            after, _ = _logits(model, changed)
            help = text("token {place} was changed; a position may see itself and what comes before it", place=place)
            assert_close(after[0, :place], before[0, :place], tol=TOL, name="logits before the change", help=help)
            assert_close(after[1:], before[1:], tol=TOL, name="logits of the other sequences", help="the batch axis")
            moved = (after[0, place:] - before[0, place:]).abs().amax(-1)
            message = "token {place} has no influence on the logits of a later position"
            assert_that((moved > 1e-9).all(), message, place=place)


@pytest.mark.behaviour
def test_cache(solution, rng, mutated):
    """With a cache, token by token or in pieces, the results are the same as without; and a text too long is refused"""
    for size in SIZES:
        batch, _, vocabulary, context, heads, head_width, _ = size
        x = normal(rng, batch, context, heads * head_width)
        for part in ("CausalSelfAttention", "Block"):
            module = getattr(solution, part)(heads * head_width, heads).double()
            with torch.no_grad():
                first, cache = module(x[:, :-3])
                pieces = torch.cat([first, _first(module)(x[:, -3:], cache)], 1)
                help = "the keys and values of the cache stand before the new ones"
                name = text("{module} in two pieces", module=part)
                assert_close(pieces, _first(module)(x), tol=TOL, name=name, help=help)
        model, _ = _model(solution, rng, size)
        tokens, other = (_tokens(rng, vocabulary, batch, context) for _ in range(2))
        whole, _ = _logits(model, tokens)
        assert (whole != _logits(model, (tokens + 1) % vocabulary)[0]).any(), "other tokens give the same logits"
        for pieces in ([1] * context, [3, 1, context - 4], [2, context - 2]):
            got, cache = [], None
            for piece in tokens.split(pieces, dim=1):
                logits, cache = _logits(model, piece, cache)
                got.append(logits)
            help = "the positions of new tokens, what the cache holds, and what the mask lets them see"
            name = text("logits in pieces of {pieces}", pieces=pieces)
            assert_close(torch.cat(got, dim=1), whole, tol=TOL, name=name, help=help)
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
def test_fresh_model(solution, rng):
    """A new model ties its head to its token embedding and is as unsure as a fair die: its loss is close to ln V"""
    for vocabulary, width, heads, layers in ((61, 24, 3, 2), (40, 32, 4, 1), (97, 30, 2, 3)):
        args = vocabulary, 12, width, heads, layers
        laws = {"token.weight": Normal(0.02), "position.weight": Normal(0.02)}
        help = "both embeddings are drawn anew, normal with mean 0 and standard deviation 0.02"
        assert_drawn(partial(solution.GPT, *args), laws, name="GPT", help=help)
        model = _checked(solution.GPT(*args), _Oracle(*args), "GPT")
        tokens = _tokens(rng, vocabulary, 64, 12)
        logits, _ = _logits(model, tokens)
        assert (logits[:, 1:] != logits[:, :-1]).any(), "the logits are the same at every position"
        surprise = float(_loss(logits, tokens)) - math.log(vocabulary)
        help = "the standard deviation of the embeddings, which the head multiplies by"
        assert_beats(abs(surprise), 0.1, name="the distance of a new model's loss from ln V", higher=False, help=help)


def _bigram_bits(train, letters, vocabulary):
    """Bits per letter but the first, by counting the pairs in `train`, 0.1 of each seen before it began."""
    counts = torch.full((vocabulary, vocabulary), 0.1, dtype=torch.float64)
    counts.index_put_((train[:-1], train[1:]), torch.ones(len(train) - 1, dtype=torch.float64), accumulate=True)
    return -(counts / counts.sum(1, keepdim=True)).log2()[letters[:-1], letters[1:]].mean().item()


@pytest.mark.convergence
def test_beats_the_bigram_model(solution, rng, record):
    """Trained by your loop, your model spends fewer bits on two unseen verses than counting letter pairs can"""
    letters = sorted(set(RHYME))
    tokens = torch.tensor([letters.index(letter) for letter in RHYME])
    split = RHYME.index(UNSEEN)
    train, seen = tokens[:split], CONTEXT - 1
    unseen = tokens[split - seen :]  # each unseen letter is predicted from the 15 before it, and sees no later one

    size = BATCH, CONTEXT, len(letters), CONTEXT, HEADS, WIDTH // HEADS, LAYERS
    model = _model(solution, rng, size)[0].float()
    losses = solution.train(model, train, _tokens(rng, len(train) - CONTEXT + 1, STEPS, BATCH), LEARNING_RATE)
    assert_shape(losses, (STEPS,), name="the losses of train")
    curve = (losses.double() / math.log(2)).tolist()
    record.curve("bits per letter while training", curve, baseline=_bigram_bits(train, train, len(letters)))

    written = tokens[None, :8]
    for _ in range(24):
        uniforms = torch.from_numpy(rng.random((1, 8))).float()
        written = torch.cat(
            [written, solution.generate(model, written[:, -8:], uniforms, 0.8, None, 0.9)[:, 8:]], dim=1
        )
    record.text("what your model writes", "".join(letters[i] for i in written[0].tolist()))

    logits, _ = _logits(model, unseen[:-1].unfold(0, seen, 1))
    bits = F.cross_entropy(logits[:, -1].double(), unseen[seen:]).item() / math.log(2)
    bar = SHARE_OF_BIGRAM * _bigram_bits(train, unseen[seen - 1 :], len(letters))
    help = "whether the loop updates the model, and whether the right token is asked for"
    assert_beats(bits, bar, name="bits per unseen letter", higher=False, help=help)
