"""The suite of kata 22: chunks against one long reading, an arange corpus, SGD step by step, and two texts to learn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributions import Categorical

from grader.checks import (
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_parts,
    assert_raises,
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

# Streams, characters of a chunk, vocabulary, width of an embedding, hidden units; no two are equal in a case.
SIZES = [(3, 5, 7, 4, 6), (1, 6, 9, 3, 5), (4, 1, 5, 6, 3), (2, 40, 6, 3, 4)]
TALL, LONG = (5001, 2, 5, 3, 4), (2, 5001, 5, 3, 4)
FEW = (2, 3, 1, 3, 4)  # a vocabulary of one character: nothing is surprising, and every gradient is 0
# Size, characters of a stream, of a chunk, epochs, the largest norm; by how much the head's weights are larger.
TRAININGS = [
    (SIZES[0], 17, 5, 4, 0.3, 1),
    (SIZES[0], 17, 5, 4, 0.3, 100),
    (SIZES[1], 12, 4, 5, 1e3, 1),
    (SIZES[1], 9, 9, 6, 0.2, 1),
    (SIZES[2], 13, 1, 2, 0.5, 1),
    (SIZES[3], 107, 40, 4, 0.05, 1),
    (FEW, 7, 3, 2, 0.5, 1),
    (SIZES[0], 6, 11, 12, 0.4, 1),
    (SIZES[1], 11, 4, 3, 1.5, 1),
    (SIZES[0], 1, 3, 2, 0.3, 1),
    (TALL, 2, 1, 1, 0.3, 1),
    (LONG, 1103, 1100, 1, 0.1, 1),
]
READ, PREPARED = ("nats", "state"), ("characters", "train_ids", "held_out_ids")
TOL, SAME = 1e-8, 1e-9
TRAINED = 1e-5  # torch's own clipping divides by the norm + 1e-6, and is right too
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
LETTERS = list("\n ',ABZabcz\x7fÄé—之乐兮其彼麟鼠\uffee𝄞🎼")  # in the order of code points

FOLDER = Path(__file__).parent
SONGS = FOLDER.joinpath("songs_of_three_stanzas.txt").read_text(encoding="utf-8").strip()
DAYS = FOLDER.joinpath("twelve_days_of_christmas.txt").read_text(encoding="utf-8").strip()
WIDTH, HIDDEN, LARGEST = 24, 96, 1.0
# A text, how rare a character may be, streams, characters of a chunk, epochs, rate, and two pictures.
LEARNT = [
    (SONGS, 2, 8, 3, 10, 0.5, "bits per character of the songs, beside the bigram", "what it writes of the songs"),
    (DAYS, 1, 12, 2, 6, 0.3, "bits per character of the days, beside the bigram", "what it writes of the days"),
]
BAR = 0.7  # of the bits that the bigram needs


def _ids(rng, vocabulary, *shape):
    return torch.from_numpy(rng.integers(0, vocabulary, shape))


class _Oracle(nn.Module):
    """torch's layers and torch's categorical distribution."""

    def __init__(self, vocabulary, width, hidden):
        super().__init__()
        self.token, self.head = nn.Embedding(vocabulary, width), nn.Linear(hidden, vocabulary)
        self.rnn = nn.RNN(width, hidden, batch_first=True)
        self.double()

    def forward(self, ids, targets, state=None):
        logits, state = self.scores(ids, state)
        return -Categorical(logits=logits).log_prob(targets), state

    def scores(self, ids, state=None):
        states, state = self.rnn(self.token(ids), state)
        return self.head(states), state


def _shapes(size):
    *_, vocabulary, width, hidden = size
    rnn = {"weight_ih_l0": (hidden, width), "weight_hh_l0": (hidden, hidden), "bias_ih_l0": (hidden,)}
    shapes = {f"rnn.{name}": shape for name, shape in (rnn | {"bias_hh_l0": (hidden,)}).items()}
    head = {"head.weight": (vocabulary, hidden), "head.bias": (vocabulary,)}
    return {"token.weight": (vocabulary, width)} | shapes | head


def _make(solution, size, dtype=torch.float64):
    model = solution.CharRNN(*size[-3:], dtype=dtype)
    return assert_state(model, _shapes(size), dtype=dtype, name="CharRNN")


def _models(solution, rng, size, far=1):
    """The learner's model and the oracle with the same weights; logits are `far` times as large, no bias is zero."""
    scales = {name: shape[1] ** -0.5 if len(shape) > 1 else 2 / 3 for name, shape in _shapes(size).items()}
    weights = {name: scales[name] * normal(rng, *shape) for name, shape in _shapes(size).items()}
    weights |= {
        "head.weight": 2 * far * weights["head.weight"],
        "token.weight": weights["token.weight"] * size[-2] ** 0.5,
    }
    return [load_state(each, weights) for each in (_make(solution, size), _Oracle(*size[-3:]))]


def _chunk(rng, size):
    """The arguments of read, and a state that is not zero."""
    count, length, vocabulary, _, hidden = size
    chunk = {name: _ids(rng, vocabulary, count, length) for name in ("ids", "targets")}
    return chunk | {"state": normal(rng, 1, count, hidden).tanh()}


def _read(solution, model):
    """read of this model, as a function of the rest."""
    return lambda ids, targets, state: solution.read(model, ids, targets, state)


@pytest.mark.shape
def test_shapes(solution, rng):
    """Results have the shapes, dtypes and kinds that are stated"""
    for index, size in enumerate(SIZES):
        count, length, vocabulary, _, hidden = size
        dtype = (torch.float32, torch.float64)[index % 2]
        model, ids = _make(solution, size, dtype), _ids(rng, vocabulary, 3 * count * length + 1)
        inputs, targets = assert_parts(solution.streams(ids, count), ("inputs", "targets"), name="streams")
        for name, value in (("inputs", inputs), ("targets", targets)):
            assert_shape(value, (count, 3 * length), dtype=torch.int64, name=name, help="a stream is a row")
        nats, state = assert_parts(solution.read(model, inputs, targets), READ, name="read")
        assert_shape(nats, (count, 3 * length), dtype=dtype, name="nats", help="one number per character")
        assert_shape(state, (1, count, hidden), dtype=dtype, name="state", help="as the model returns it")
        losses = solution.train(model, inputs, targets, 2 * length, 2, 0.1, 1.0)
        assert isinstance(losses, list), "train must return a list"
        assert len(losses) == 4, "train must return one loss for each chunk of each epoch, the short ones too"
        assert all(isinstance(loss, float) for loss in losses), "train must return Python floats, not tensors"
        assert solution.train(model, inputs, targets, 2, 0, 0.1, 1.0) == [], "no epochs, no losses"
        found = solution.perplexity(model, inputs, targets, 2 * length)
        assert isinstance(found, float), "perplexity must return a Python float"
        for wanted in (0, 1, 4):
            written = solution.write(model, inputs[0], torch.from_numpy(rng.random(wanted)), 0.9)
            assert_shape(written, (wanted,), dtype=torch.int64, name="written", help="the new characters alone")
    prepared = assert_parts(solution.prepare("abca", "", 2), PREPARED, name="prepare")
    assert isinstance(prepared[0], list), "characters must be a list"
    for name, value, wanted in zip(PREPARED[1:], prepared[1:], (4, 0), strict=True):
        assert_shape(value, (wanted,), dtype=torch.int64, name=name, help="whole numbers, for an empty text too")


@pytest.mark.value
def test_read(solution, rng):
    """The surprise of each next character and the state after the chunk, from any state, however large the scores are"""
    help = "-log of the softmax at the target of the same place, in nats, one per character; and the model's new state"
    for size in [*SIZES, FEW, TALL, LONG]:
        for far in (1, 300) if size in SIZES else (300,):
            both = _models(solution, rng, size, far)
            agree = {"modules": both, "tol": TOL, "name": READ, "help": help, "gradients": False}
            chunk = _chunk(rng, size)
            assert_agrees(_read(solution, both[0]), both[1], chunk, rng, **agree)
            if size in SIZES:
                assert_agrees(_read(solution, both[0]), both[1], chunk | {"state": None}, rng, **agree)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients of the surprise and of the new state reach the old state and every parameter"""
    help = "read cuts nothing: no detach, no no_grad, no .item(); it is train that stops the gradient"
    for size in [*SIZES, (1101, 2, 5, 3, 4), (2, 1101, 5, 3, 4)]:
        for far in (1, 100) if size in SIZES else (1,):
            both = _models(solution, rng, size, far)
            agree = {"modules": both, "parameters": list(_shapes(size)), "tol": TOL, "name": READ, "help": help}
            assert_agrees(_read(solution, both[0]), both[1], _chunk(rng, size), rng, **agree)


@pytest.mark.behaviour
def test_cut_or_whole(solution, rng):
    """A text read in pieces, each from the state before, surprises as it does in one; and no stream hears another"""
    for size in SIZES[:2] + SIZES[3:]:
        model, oracle = _models(solution, rng, size)
        chunk = _chunk(rng, size)
        whole, end = (value.detach() for value in oracle(**chunk))
        for pieces in ([1] * size[1], [1, size[1] - 1], [size[1] - 2, 2]):
            got, state = [], chunk["state"]
            for ids, targets in zip(chunk["ids"].split(pieces, 1), chunk["targets"].split(pieces, 1), strict=True):
                nats, state = (value.detach() for value in solution.read(model, ids, targets, state))
                got.append(nats)
            help = "the state that read returns is that after its last character"
            name = text("nats in pieces of {pieces}", pieces=pieces)
            assert_close(torch.cat(got, 1), whole, tol=SAME, name=name, help=help)
            assert_close(state, end, tol=SAME, name="state after the last piece", help=help)
        for row in range(size[0]):
            ids, targets, state = chunk["ids"][row, None], chunk["targets"][row, None], chunk["state"][:, row, None]
            alone = solution.read(model, ids, targets, state)[0].detach()
            assert_close(alone, whole[row, None], tol=SAME, name="nats of a stream alone", help="the batch axis")


def _texts(rng):
    """Two texts and the least count of each case; the second text has characters that the first has not."""
    lengths = [(40, 30, 1), (60, 20, 2), (90, 50, 5), (30, 9, 31), (0, 7, 1), (20, 0, 1), (6000, 800, 250), (1, 9, 1)]
    for length, other, least in [*lengths, (9, 1, 1), (50, 40, 3), (5, 6000, 1)]:
        some = rng.choice(LETTERS, 9, replace=False)
        yield "".join(rng.choice(some, length)), "".join(rng.choice(LETTERS, other)), least
    yield SONGS[:700], SONGS[700:], 2
    yield DAYS[:1500], DAYS[1500:], 1


@pytest.mark.value
def test_prepare(solution, rng):
    """The vocabulary is that of the training text, sorted, without what is too rare; ids spell both texts again"""
    for train, held_out, least in _texts(rng):
        characters, *encoded = assert_parts(solution.prepare(train, held_out, least), PREPARED, name="prepare")
        assert characters[:1] == [UNKNOWN], "characters must begin with UNKNOWN"
        message = "characters must ascend from the second on, each once: the order of a set changes from run to run"
        assert_that(characters[1:] == sorted(set(characters[1:])), message)
        for each in LETTERS + characters[1:]:
            count, kept = train.count(each), each in characters
            message = "{character}: {count} times in train, {least} is the least, but kept is {kept}"
            right = kept == (count >= least)
            assert_that(right, message, character=repr(each), count=count, least=least, kept=str(kept))
        for name, ids, wanted in zip(PREPARED[1:], encoded, (train, held_out), strict=True):
            assert_shape(ids, (len(wanted),), dtype=torch.int64, name=name)
            spelt = "".join(characters[place] if place >= 0 else "-" for place in ids.tolist())
            expected = "".join(each if each in characters else UNKNOWN for each in wanted)
            first = next(
                (place for place, pair in enumerate(zip(spelt, expected, strict=True)) if len(set(pair)) > 1), -1
            )
            message = "{name}: place {place} spells another character than the text"
            assert_that(spelt == expected, message, name=name, place=first)


@pytest.mark.value
def test_streams(solution, rng):
    """In a text of 0, 1, 2, ... every target is one more than its input, and every stream goes on where the last ended"""
    for count, length in ((1, 1), (1, 7), (3, 5), (4, 1), (6, 9), (5001, 2), (2, 5001)):
        for left in {0, 1 % count, count // 2, count - 1}:
            for start in rng.integers(1000, size=2).tolist():
                ids = as_view(torch.arange(start, start + count * length + 1 + left))
                inputs, targets = assert_parts(solution.streams(ids, count), ("inputs", "targets"), name="streams")
                first = torch.arange(start, start + count * length).view(count, length)
                help = "a stream is a row, in the order of the text; L = (N - 1) // B"
                assert_close(inputs, first, name="inputs", help=help)
                help = "what comes next in the text, at the end of a row too: nothing wraps"
                assert_close(targets, first + 1, name="targets", help=help)
    for total, count in ((1, 1), (3, 3), (2, 4), (0, 1)):
        assert_raises(ValueError, solution.streams, torch.arange(total), count)


def _losses(oracle, inputs, targets, length, epochs):
    """The loss of each chunk, from a state that was read without autograd, by the weights before the update."""
    for _ in range(epochs):
        state = None
        for place in range(0, inputs.shape[1], length):
            ids, wanted = (each[:, place : place + length] for each in (inputs, targets))
            nats, _ = oracle(ids, wanted, state)
            with torch.no_grad():
                _, state = oracle.scores(ids, state)
            yield nats.mean()


class _Shortened(torch.optim.SGD):
    """Gradient descent whose rate is smaller where the gradient is longer than `largest`."""

    def __init__(self, parameters, rate, largest):
        super().__init__(parameters, lr=rate)
        self.rate, self.largest = rate, largest

    def step(self):
        squares = sum(each.grad.square().sum().item() for each in self.param_groups[0]["params"])
        self.param_groups[0]["lr"] = self.rate * min(1.0, self.largest / max(squares**0.5, 1e-300))
        super().step()


@pytest.mark.value
def test_training(solution, rng):
    """From given weights every chunk has the right loss, and the weights are right after the last"""
    help = (
        "zeros at the start of an epoch alone; each chunk from the state before it, its gradient within the chunk; "
        "all gradients shortened together, before the step; gradients cleared"
    )
    for index, (size, total, length, epochs, largest, far) in enumerate(TRAININGS):
        model, oracle = _models(solution, rng, size, far)
        for each in (model, oracle):
            each.train(index % 2 == 0)
        inputs, targets = (_ids(rng, size[2], size[0], total) for _ in range(2))
        rate = 0.0 if index == 7 else float(rng.uniform(0.1, 0.4))
        losses = solution.train(model, as_view(inputs), as_view(targets), length, epochs, rate, largest)
        assert model.training == oracle.training, "train must leave the model in the mode that it was in"
        wanted, optimiser = (
            _losses(oracle, inputs, targets, length, epochs),
            _Shortened(oracle.parameters(), rate, largest),
        )
        trained = {"parameters": list(_shapes(size)), "tol": TRAINED, "name": "cross-entropy", "help": help}
        assert_trained(losses, model, oracle, wanted, optimiser, **trained)


@pytest.mark.value
def test_perplexity(solution, rng):
    """One long reading and any cut of it have the same perplexity, that of all characters together"""
    help = "the state goes on from chunk to chunk; exp of the mean over all characters, not a mean of chunks"
    for size, total in zip([*SIZES, FEW, TALL, LONG], (13, 15, 1, 83, 9, 2, 5001), strict=True):
        for far in (1, 20) if size in SIZES else (1,):
            model, oracle = _models(solution, rng, size, far)
            model.train(far == 1)
            inputs, targets = (_ids(rng, size[2], size[0], total) for _ in range(2))
            inputs[-1], targets[-1] = inputs[0], targets[0]
            expected = oracle(inputs, targets)[0].mean().exp().item()
            for length in (size[1], 2, total, total + 5) if total < 1000 else (1700,):
                found = solution.perplexity(model, as_view(inputs), as_view(targets), length)
                name = text("perplexity of {total} characters in chunks of {length}", total=total, length=length)
                assert_close(found, expected, tol=TOL, name=name, help=help)


def _assert_written(solution, model, oracle, prompt, uniforms, temperature):
    """Every new character is the one that the oracle, reading all before it at once, and its uniform pick."""
    written = solution.write(model, as_view(prompt), as_view(uniforms), temperature)
    assert_shape(written, (len(uniforms),), dtype=torch.int64, name="written")
    vocabulary = len(oracle.head.bias)
    assert_that(bool(((written >= 0) & (written < vocabulary)).all()), "a written id is not in the vocabulary")
    with torch.no_grad():
        logits = oracle.scores(torch.cat([prompt, written])[None, :-1])[0][0, len(prompt) - 1 :]
    if temperature == 0:
        follows = written == logits.max(dim=1).indices
    else:
        chances = Categorical(logits=logits / temperature).probs
        own = chances.gather(1, written[:, None])[:, 0]
        above = chances.cumsum(1).gather(1, written[:, None])[:, 0] - uniforms
        follows = (own > 0) & (above > -1e-9) & (above <= own + 1e-9)
    place = int((~follows).int().argmax()) + 1
    message = "new character {place} of {count} at temperature {temperature} is not the one that its uniform picks"
    assert_that(bool(follows.all()), message, place=place, count=len(uniforms), temperature=temperature)


@pytest.mark.value
def test_writing(solution, rng):
    """Given uniforms pick exactly the characters that the probabilities say, one after another, at every temperature"""
    writings = [(SIZES[0], 1, 12), (SIZES[1], 1, 1), (SIZES[2], 1, 5), (SIZES[3], 50, 30), (FEW, 1, 4)]
    for size, far, count in [*writings, (LONG, 1, 3), (TALL, 1, 1101)]:
        model, oracle = _models(solution, rng, size, far)
        many = max(size[1], count) > 1000
        for index, temperature in enumerate((1.0, 0) if many else (1.0, 0.5, 2.0, 0.01, 30.0, 0, 0.0)):
            model.train(index % 2 == 0)
            prompt, uniforms = _ids(rng, size[2], size[1]), torch.from_numpy(rng.random(count))
            _assert_written(solution, model, oracle, prompt, uniforms, temperature)
            assert model.training == (index % 2 == 0), "write must leave the model in the mode that it was in"
    assert_raises(ValueError, solution.write, model, prompt, uniforms, -0.5)
    bias = torch.tensor([-900.0, 0, 1, 1, -3, 1, -900], dtype=torch.float64)
    even = load_state(_make(solution, SIZES[0]), {"head.weight": torch.zeros(7, 6).double(), "head.bias": bias})
    help = "of several largest the first id; at temperature 0 no uniform is asked"
    got = solution.write(even, prompt[:1], torch.tensor([0.9, 0.0], dtype=torch.float64), 0.0)
    assert_close(got, torch.tensor([2, 2]), name="written where three are equally likely", help=help)
    help = (
        "never an id of probability 0: the first above 0 for a uniform of 0, the last where rounding leaves a sum short"
    )
    edges = torch.tensor([0.0, 1 - 2**-53, 0.0], dtype=torch.float64)
    got = solution.write(even, prompt[:1], edges, 1.0)
    assert_close(got, torch.tensor([1, 5, 1]), name="written for uniforms at the ends", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and weights stay as they were, but for those of train; an answer repeats, whatever was asked between"""
    for size in SIZES[:2]:
        model, oracle = _models(solution, rng, size)
        ids = _ids(rng, size[2], 4 * size[0] * size[1])
        inputs, targets = solution.streams(ids, size[0])
        uniforms = torch.from_numpy(rng.random(9))
        first = solution.perplexity(model, inputs, targets, 2), solution.write(model, ids[:5], uniforms, 0.8)
        solution.read(model, inputs + 0, targets + 0, None)
        solution.write(model, ids[3:9], uniforms.flip(0), 1.2)
        again = solution.perplexity(model, inputs, targets, 2), solution.write(model, ids[:5], uniforms, 0.8)
        for name, before, after in zip(("perplexity", "written"), first, again, strict=True):
            help = "state outlives a call"
            assert_close(after, before, tol=SAME, name=text("{name}, asked again", name=name), help=help)
        for name, value in oracle.state_dict().items():
            name_after = text("{name} after the calls", name=name)
            assert_close(state_of(model, [name])[name], value, tol=SAME, name=name_after)
        both = [solution.train(model, inputs, targets, 3, 2, 0.0, 1.0) for _ in range(2)]
        assert both[0] == both[1], "at a learning rate of 0 train must have the same losses again"
    solution.prepare("what is read", "what is not", 1)
    assert_unchanged(mutated, but=["model of train"])


def _bigram_bits(train, held_out, vocabulary):
    """Bits per character but the first by counting pairs, with the best of five smoothings, chosen in hindsight."""
    counts = torch.zeros(vocabulary, vocabulary, dtype=torch.float64)
    counts.index_put_((train[:-1], train[1:]), torch.ones(len(train) - 1, dtype=torch.float64), accumulate=True)
    found = []
    for extra in (0.003, 0.01, 0.03, 0.1, 0.3):
        shares = (counts + extra) / (counts + extra).sum(1, keepdim=True)
        found.append(-shares.log2()[held_out[:-1], held_out[1:]].mean().item())
    return min(found)


def _halves(whole):
    """What is learnt and what is held out: the third stanza of every song, or the last two of the twelve days."""
    if whole == SONGS:
        songs = [song.split("\n") for song in SONGS.split("\n\n")]
        return "".join(f"{line}\n" for song in songs for line in song[:2]), "".join(f"{song[2]}\n" for song in songs)
    cut = DAYS.index("The eleventh day")
    return DAYS[:cut], DAYS[cut:]


@pytest.mark.convergence
def test_songs_and_days(solution, rng, record):
    """Trained on Chinese songs and on an English rhyme, it needs less than 70 % of the bits of a bigram on new stanzas"""
    for whole, least, count, length, epochs, rate, curve, written in LEARNT:
        characters, train, held_out = solution.prepare(*_halves(whole), least)
        model = _make(solution, (count, length, len(characters), WIDTH, HIDDEN), torch.float32)
        bigram = _bigram_bits(train, held_out, len(characters))
        losses = solution.train(model, *solution.streams(train, count), length, epochs, rate, LARGEST)
        record.curve(curve, [loss / math.log(2) for loss in losses], baseline=bigram)
        ids = solution.write(model, train[:1], torch.from_numpy(rng.random(150)), 0.7)
        record.text(written, "".join(characters[place] for place in ids.tolist()))
        bits = math.log2(solution.perplexity(model, *solution.streams(held_out, 1), 50))
        help = "is the state carried from chunk to chunk while it trains, and do the weights move?"
        name = "bits per unseen character, as a share of the bigram's"
        assert_beats(bits / bigram, BAR, name=name, higher=False, help=help)
