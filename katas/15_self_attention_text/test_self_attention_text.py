"""The suite of kata 15: self-attention beside torch's own, and sentences that no average of words can tell apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    assert_agrees,
    assert_beats,
    assert_close,
    assert_parts,
    assert_shape,
    assert_state,
    assert_trained,
    assert_unchanged,
    descend,
    load_state,
    normal,
    state_of,
    text,
)

# N sentences, T queries, S keys, H heads, D numbers in a key and C in a value; all six differ within a case.
ATTENTION = [(4, 3, 6, 2, 5, 7), (1, 5, 4, 3, 2, 6), (3, 2, 7, 5, 6, 4), (2, 4, 3, 1, 8, 5), (5, 1, 2, 4, 3, 6)]
MANY = [(2, 3, 1, 4, 6, 5), (5001, 2, 3, 1, 4, 5), (1, 5001, 2, 3, 4, 5), (1, 2, 5001, 3, 4, 5)]
# N sentences of T words, H heads of D numbers, K classes, M ids, and how many more words there is room for.
TEXTS = [
    (4, 6, 2, 3, 5, 11, 4),
    (1, 5, 3, 2, 4, 9, 3),
    (3, 7, 2, 5, 2, 13, 5),
    (2, 4, 5, 3, 6, 10, 3),
    (5, 3, 1, 4, 2, 8, 7),
]
LONG = [(3, 1, 2, 4, 5, 9, 2), (1101, 2, 1, 3, 4, 7, 5), (1, 1101, 1, 3, 4, 7, 5)]
TOL = 1e-8
LARGE = 100_000  # times a query: scores of this order, so a hidden key with a score of -10000 would be seen
FAR = 50  # times an input: numbers far beyond 30
Y, LOGITS = ("y", "weights"), ("logits", "weights")
SLOPE_TOL, FAR_TOL = 1e-6, 1e-5  # of gradients, and where softmax is so sharp that hardly any is left
SAME = 1e-9  # relative tolerance between two runs of the learner's own code
CUT = "nothing may cut the graph: no detach, no .data, no .item(), no new tensor made from old numbers"

# The grammar: the <noun> <verb> <0 to 3 adverbs> <adjective> <link> the <noun> <verb> <0 to 3 adverbs> <adjective>,
# of the two adjectives one is good and one is bad, and a negator stands after one of the two verbs.
GOOD, BAD = ("good", "great", "lovely", "clever"), ("bad", "dull", "awful", "clumsy")
NOUNS, VERBS = ("plot", "cast", "music", "script", "camera", "ending"), ("was", "seemed", "felt")
ADVERBS, NEGATORS = ("really", "truly", "ever", "so", "very", "quite"), ("not", "never", "hardly")
LINKS = ("and", "while", "as", "whereas")
WORDS = ("the", *GOOD, *BAD, *NOUNS, *VERBS, *ADVERBS, *NEGATORS, *LINKS)
VOCABULARY = {word: number for number, word in enumerate(WORDS, 2)}
LONGEST = 2 * 7 + 2  # two clauses of up to 7 words, a link and a negator
ANSWERS = ("no praise", "praise")

STEPS, PAIRS, POOL, HELD_OUT, WIDTH, HEADS, LEARNING_RATE = 120, 32, 600, 200, 24, 3, 0.03
BAR = 0.75  # mid-way between any plain average of words, exactly 1/2, and the 100 % that a right solution reaches


def _qkv(rng, size):
    """Queries, keys and values, whose scores are of order one."""
    count, queries, keys, heads, depth, width = size
    shapes = {"q": (queries, depth), "k": (keys, depth), "v": (keys, width)}
    return {name: normal(rng, count, heads, *shape) for name, shape in shapes.items()}


def _mask(rng, *shape):
    """True in about two places of three, and in at least one of every row."""
    mask = rng.random(shape) < 2 / 3
    np.put_along_axis(mask, rng.integers(shape[-1], size=(*shape[:-1], 1)), True, -1)
    return torch.from_numpy(mask)


def _words(rng, count, length, words):
    """Ids of words, none of them 0, and a mask with one word or more in every row."""
    return torch.from_numpy(rng.integers(1, words, (count, length))), _mask(rng, count, length)


def _attention_shapes(width):
    names = ("query", "key", "value", "out")
    return {f"{name}.{end}": shape for name in names for end, shape in (("weight", (width, width)), ("bias", (width,)))}


def _shapes(size):
    _, length, heads, depth, classes, words, room = size
    width = heads * depth
    shapes = {"token.weight": (words, width), "position.weight": (length + room, width)}
    shapes |= {f"attention.{name}": shape for name, shape in _attention_shapes(width).items()}
    return shapes | {"head.weight": (classes, width), "head.bias": (classes,)}


def _weights(rng, shapes):
    """Embeddings of order one, matrices ~ 1 / sqrt(fan-in), no bias zero."""
    weights = {}
    for name, shape in shapes.items():
        scale = 0.5 if len(shape) == 1 else 0.7 if name in ("token.weight", "position.weight") else shape[1] ** -0.5
        weights[name] = scale * normal(rng, *shape)
    return weights


class _Layer(nn.Module):
    """SelfAttention as torch computes it: what its nn.MultiheadAttention calls, with three projections apart."""

    def __init__(self, heads, depth):
        super().__init__()
        self.heads, width = heads, heads * depth
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.double()

    def forward(self, x, mask):
        x, layers = x.transpose(0, 1), (self.query, self.key, self.value)
        bias = torch.cat([layer.bias for layer in layers])
        options = {"key_padding_mask": ~mask, "average_attn_weights": False, "use_separate_proj_weight": True}
        options |= {f"{name}_proj_weight": layer.weight for name, layer in zip("qkv", layers, strict=True)}
        of_all = (x, x, x, x.shape[2], self.heads, None, bias, None, None, False, 0.0, self.out.weight, self.out.bias)
        y, weights = F.multi_head_attention_forward(*of_all, **options)
        return y.transpose(0, 1), weights


class _Classifier(nn.Module):
    """The same classifier around torch's attention; every sentence has a word."""

    def __init__(self, size):
        super().__init__()
        _, length, heads, depth, classes, words, room = size
        self.token, self.position = nn.Embedding(words, heads * depth), nn.Embedding(length + room, heads * depth)
        self.attention, self.head = _Layer(heads, depth), nn.Linear(heads * depth, classes)
        self.double()

    def forward(self, ids, mask):
        y, weights = self.attention(self.token(ids) + self.position(torch.arange(ids.shape[1])), mask)
        return self.head(_mean(y, mask)), weights


def _mean(x, mask):
    """Words are gathered first, so that no padding is there to be added up."""
    rows = mask.nonzero()[:, 0]
    total = torch.zeros(len(x), x.shape[2], dtype=x.dtype).index_add(0, rows, x[mask])
    return total / rows.bincount(minlength=len(x)).clamp(min=1)[:, None]


def _attend(q, k, v, mask=None):
    """Torch's attention, and the weights of the first seven keys: what comes of values that are ones and zeros.

    Where there is nothing to see it is asked for something else, and what it says is put to zero.
    """
    ones = torch.eye(k.shape[2], 7, dtype=v.dtype).expand(*k.shape[:3], 7)
    seen = torch.tensor(True) if mask is None else mask.any(-1, keepdim=True)
    mask = None if mask is None else mask | ~seen
    found = (F.scaled_dot_product_attention(q, k, values, attn_mask=mask) for values in (v, ones))
    mixed, weights = (torch.where(seen, each, 0.0) for each in found)
    return mixed, weights[..., : k.shape[2]]


def _make_layer(solution, heads, depth):
    width = heads * depth
    return assert_state(solution.SelfAttention(width, heads), _attention_shapes(width), name="SelfAttention")


def _make(solution, size):
    _, length, heads, depth, classes, words, room = size
    model = solution.TextClassifier(words, length + room, heads * depth, heads, classes)
    return assert_state(model, _shapes(size), name="TextClassifier")


def _layers(solution, rng, heads, depth):
    """The learner's SelfAttention and torch's, with the same weights."""
    weights = _weights(rng, _attention_shapes(heads * depth))
    both = _make_layer(solution, heads, depth).double(), _Layer(heads, depth)
    return [load_state(each, weights) for each in both]


def _models(solution, rng, size, far=1):
    """The learner's TextClassifier and torch's, with the same weights; logits are `far` times as large."""
    weights = _weights(rng, _shapes(size))
    weights["head.weight"] *= far
    return [load_state(each, weights) for each in (_make(solution, size).double(), _Classifier(size))]


def _attention(solution):
    """The learner's attention as a function whose results are of the right form, weights of the first seven keys."""

    def attend(q, k, v, mask=None):
        mixed, weights = assert_parts(solution.attention(q, k, v, mask), ("mixed", "weights"), name="attention")
        assert_shape(mixed, (*q.shape[:3], v.shape[3]), dtype=q.dtype, name="mixed")
        assert_shape(weights, (*q.shape[:3], k.shape[2]), dtype=q.dtype, name="weights")
        return mixed, weights[..., :7]

    return attend


def _on_words(module):
    """A SelfAttention as a function of x and mask: y (words, E) and weights (words, H, T), which are free on padding."""

    def look(x, mask):
        y, weights = assert_parts(module(x, mask), ("y", "weights"), name="SelfAttention.forward")
        assert_shape(y, x.shape, dtype=x.dtype, name="y")
        heads, (count, length) = weights.shape[1:2], mask.shape
        assert_shape(weights, (count, *heads, length, length), dtype=x.dtype, name="weights")
        return y[mask], weights.transpose(1, 2)[mask]

    return look


def _answers(module):
    """A TextClassifier as a function of ids and mask: logits, and weights (words, H, T)."""

    def classify(ids, mask):
        logits, weights = assert_parts(module(ids, mask), ("logits", "weights"), name="TextClassifier.forward")
        bias = state_of(module, ["head.bias"])["head.bias"]
        assert_shape(logits, (len(ids), len(bias)), dtype=bias.dtype, name="logits")
        assert isinstance(weights, torch.Tensor) and weights.ndim == 4, "weights of TextClassifier must be (N, H, T, T)"
        return logits, weights.transpose(1, 2)[mask]

    return classify


@pytest.mark.shape
def test_shapes(solution, rng, mutated):
    """Every result has the stated shape and dtype, depends on the input, and leaves all arguments as they were"""
    solution.encode(["The plot", "", "so so good"], dict(VOCABULARY))
    for index, size in enumerate(TEXTS):
        count, length, heads, depth, _, words, _ = size
        width, dtype = heads * depth, (torch.float32, torch.float64)[index % 2]
        layer = load_state(_make_layer(solution, heads, depth).to(dtype), _weights(rng, _attention_shapes(width)))
        model, seen = load_state(_make(solution, size).to(dtype), _weights(rng, _shapes(size))), []
        for _ in range(2):
            ids, mask = _words(rng, count, length, words)
            x = normal(rng, count, length, width).to(dtype)
            qkv = {name: value.to(dtype) for name, value in _qkv(rng, (count, length, 9, heads, 4, 3)).items()}
            mean = solution.masked_mean(x, mask)
            assert_shape(mean, (count, width), dtype=dtype, name="the mean")
            results = [*_attention(solution)(**qkv, mask=_mask(rng, count, 1, 1, 9)), layer(x, mask)[0], mean]
            seen.append([*results, _answers(model)(ids, mask)[0]])
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "two different inputs give the same result"
    assert_unchanged(mutated)


@pytest.mark.value
def test_encode(solution, rng):
    """Words become ids in any case and spacing, strange words stay words, and the mask says where sentences end"""
    for count, longest, known in (
        (4, 6, 9),
        (1, 5, 3),
        (3, 7, 20),
        (6, 1, 12),
        (2, 9, 5),
        (5001, 2, 20),
        (2, 1101, 20),
    ) * 2:
        names = rng.permutation(WORDS)[:known]
        numbers = 2 + rng.permutation(100 * known)[:known]
        vocabulary = dict(zip(names.tolist(), numbers.tolist(), strict=True))
        lengths = rng.integers(0, longest, count)
        lengths[rng.integers(count)] = longest
        ids, sentences = np.zeros((count, longest), dtype=np.int64), []
        for row, length in zip(ids, lengths, strict=True):
            sentence = ("", " ", "\n")[rng.integers(3)]
            for t in range(length):
                strange, place = rng.random() < 0.25, rng.integers(known)
                row[t] = 1 if strange else numbers[place]
                word = ("zebra", "Gloop", "not-a-word")[place % 3] if strange else names[place]
                spelled = (str.upper, str.lower, str.title)[rng.integers(3)](str(word))
                sentence += spelled + ("  ", " ", "\t", "\n")[rng.integers(4)]
            sentences.append(sentence)
        got, mask = assert_parts(solution.encode(sentences, vocabulary), ("ids", "mask"), name="encode")
        help = "padding is 0 and stands at the end; a word that is not in the vocabulary is 1, and still a word"
        assert_close(got, torch.from_numpy(ids), name="ids", help=help)
        expected = torch.from_numpy(np.arange(longest) < lengths[:, None])
        assert_close(mask, expected, name="mask", help="True on every word, a strange one too; False on padding")


@pytest.mark.value
def test_attention(solution, rng):
    """Attention equals torch's, weights and all, with a mask of any shape and with none, for large scores too"""
    help = (
        "the scale, the axis of the softmax, what is hidden leaves before it; each weight is of one query and one key, "
        "and each query's result is the mean of the values by its weights"
    )
    for size in ATTENTION + MANY:
        count, queries, keys, heads, *_ = size
        shapes = {"none": None, "(N, 1, 1, S)": (count, 1, 1, keys), "(T, S)": (queries, keys)}
        shapes |= {"(H, T, S)": (heads, queries, keys), "(N, H, T, S)": (count, heads, queries, keys)}
        for form, shape in list(shapes.items())[: 5 if size in ATTENTION else 2]:
            mask = {} if shape is None else {"mask": _mask(rng, *shape)}
            for large in (1, LARGE):
                inputs = _qkv(rng, size) | mask
                inputs["q"], inputs["v"] = large * inputs["q"], FAR * inputs["v"]
                names = [text("{part}, the mask being {form}", part=part, form=form) for part in ("mixed", "weights")]
                agree = {"tol": TOL, "name": names, "help": help, "gradients": False}
                assert_agrees(_attention(solution), _attend, inputs, rng, **agree)


@pytest.mark.behaviour
def test_nothing_to_see(solution, rng):
    """A query that may see nothing gets zeros and spoils no gradient; a sentence without words is the head's bias"""
    agree = {
        "tol": TOL,
        "help": "a softmax over nothing is NaN or uniform, and the statement says zeros, in that row alone; a NaN that is "
        "replaced afterwards is still there in the backward pass: 0 times NaN is NaN",
    }
    for size in ATTENTION:
        count, queries, keys, heads, *_ = size
        mask, words = _mask(rng, count, heads, queries, keys), _mask(rng, count + 1, keys)
        mask[rng.integers(count), rng.integers(heads), rng.integers(queries)] = words[rng.integers(count + 1)] = False
        inputs = _qkv(rng, size) | {"mask": mask}
        assert_agrees(_attention(solution), _attend, inputs, rng, name=("mixed", "weights"), **agree)
        inputs = {"x": normal(rng, count + 1, keys, 3), "mask": words}
        assert_agrees(solution.masked_mean, _mean, inputs, rng, name="the mean", **agree)
    help = "the mean over no words is 0, so the head has nothing to add its bias to; other rows know nothing of it"
    for size in TEXTS:
        both = model, oracle = _models(solution, rng, size)
        inputs = dict(zip(("ids", "mask"), _words(rng, size[0] + 1, size[1], size[5]), strict=True))
        inputs["mask"][rng.integers(size[0] + 1)] = False
        agree = {"modules": both, "tol": TOL, "name": LOGITS, "help": help, "gradients": False}
        assert_agrees(_answers(model), _answers(oracle), inputs, rng, **agree)


@pytest.mark.value
def test_self_attention(solution, rng):
    """With given weights, the layer equals torch's MultiheadAttention on every word, and looks where it looks"""
    help = (
        "which projection is which, which numbers belong to which head, how the heads are laid side by side, `out`, "
        "and that the mask hides keys"
    )
    for count, length, heads, depth, *_ in TEXTS + LONG:
        both = layer, oracle = _layers(solution, rng, heads, depth)
        for far in (1, FAR) if length < 100 else (1,):
            inputs = {"x": far * normal(rng, count, length, heads * depth), "mask": _mask(rng, count, length)}
            agree = {"modules": both, "tol": TOL, "name": Y, "help": help, "gradients": False}
            assert_agrees(_on_words(layer), _on_words(oracle), inputs, rng, **agree)


@pytest.mark.value
def test_masked_mean(solution, rng):
    """The mean runs over the words alone, wherever they stand; without words it is zero"""
    help = "what is added up, and what it is divided by: padding counts in neither"
    for count, length in [size[:2] for size in TEXTS + LONG] + [(5001, 2), (2, 5001)]:
        for far in (1, FAR):
            x, mask = far * (normal(rng, count + 1, length, 3) + 1), _mask(rng, count + 1, length)
            mask[rng.integers(count + 1)] = False
            agree = {"tol": TOL, "name": "the mean", "help": help, "gradients": False}
            assert_agrees(solution.masked_mean, _mean, {"x": x, "mask": mask}, rng, **agree)
            few = {"x": x[:1], "mask": torch.ones(1, length, dtype=torch.bool)}
            assert_agrees(solution.masked_mean, _mean, few, rng, **agree)


@pytest.mark.value
def test_classifier_with_given_weights(solution, rng):
    """With given weights, the logits are the head's answer to the mean of what torch's layer makes of the words"""
    help = (
        "word plus position goes in; the mean is over what attention returns, not over the words; no softmax; the second "
        "result is what SelfAttention returns beside y, all heads of it"
    )
    for size in TEXTS + LONG:
        for far in (1, 100) if size in TEXTS else (1,):
            both = model, oracle = _models(solution, rng, size, far)
            inputs = dict(zip(("ids", "mask"), _words(rng, *size[:2], size[5]), strict=True))
            agree = {"modules": both, "tol": TOL, "name": LOGITS, "help": help, "gradients": False}
            assert_agrees(_answers(model), _answers(oracle), inputs, rng, **agree)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients are right: by queries, keys and values, by every input, and by every parameter"""
    agree = {"tol": SLOPE_TOL, "help": CUT}
    large = "no exp may overflow, not even in a branch that is thrown away afterwards: 0 times infinity is NaN"
    for size in ATTENTION + MANY:
        for mask in ({}, {"mask": _mask(rng, size[0], 1, 1, size[2])}):
            inputs = _qkv(rng, size)
            assert_agrees(_attention(solution), _attend, inputs | mask, rng, name=("mixed", "weights"), **agree)
    for size in ATTENTION[:2]:
        q, k, v = _qkv(rng, size).values()
        given = [(LARGE * q).requires_grad_(), k.requires_grad_(), v.requires_grad_()]
        mask, upstream = _mask(rng, size[0], 1, 1, size[2]), normal(rng, size[0], size[3], size[1], size[5])
        mixed, _ = _attention(solution)(*given, mask)
        expected = torch.autograd.grad(F.scaled_dot_product_attention(*given, attn_mask=mask), given, upstream)
        for got, wanted, part in zip(torch.autograd.grad(mixed, given, upstream), expected, "qkv", strict=True):
            name = text("gradient of mixed by {part} for large scores", part=part)
            assert_close(got, wanted, tol=TOL, name=name, help=large)
    for size in TEXTS + LONG:
        count, length, heads, depth, _, words, _ = size
        for far in (1, FAR) if size in TEXTS else (FAR,):
            both = layer, oracle = _layers(solution, rng, heads, depth)
            inputs = {"x": far * normal(rng, count, length, heads * depth), "mask": _mask(rng, count, length)}
            sharp = ("query", "key") if far != 1 else ("key.bias",)  # by these a sharp softmax hardly moves, or none
            steep = [name for name in _attention_shapes(heads * depth) if not name.startswith(sharp)]
            held = {"modules": both, "parameters": steep, "name": Y}
            room = {"tol": SLOPE_TOL if far == 1 else FAR_TOL, "help": CUT}
            assert_agrees(_on_words(layer), _on_words(oracle), inputs, rng, **held, **room)
            assert_agrees(solution.masked_mean, _mean, inputs, rng, name="the mean", **agree)
        both = model, oracle = _models(solution, rng, size)
        inputs = dict(zip(("ids", "mask"), _words(rng, count, length, words), strict=True))
        held = {"modules": both, "parameters": list(_shapes(size)), "name": LOGITS}
        assert_agrees(_answers(model), _answers(oracle), inputs, rng, **held, **agree)


@pytest.mark.gradient
def test_training(solution, rng):
    """From given weights, a dozen steps of gradient descent give torch's losses, and torch's weights after them"""
    help = "the first step's loss is the forward pass, the others are gradients; logits come without a softmax"
    for size in TEXTS:
        both = model, oracle = _models(solution, rng, size)
        optimisers = [torch.optim.SGD(module.parameters(), lr=0.1) for module in both]
        batches = [_words(rng, *size[:2], size[5]) for _ in range(12)]
        labels = [torch.from_numpy(rng.integers(0, size[4], size[0])) for _ in batches]

        def losses(module, batches=batches, labels=labels):
            for batch, answers in zip(batches, labels, strict=True):
                yield F.cross_entropy(module(*batch)[0], answers)

        found = descend(losses(model), optimisers[0])
        held = {"parameters": list(_shapes(size)), "weights_tol": 1e-6, "help": help}
        assert_trained(found, model, oracle, losses(oracle), optimisers[1], **held)


@pytest.mark.behaviour
def test_padding_and_neighbours_never_matter(solution, rng):
    """What stands in the padding, how much there is of it, and which sentences stand beside it, changes no answer"""
    for size in TEXTS:
        count, length, heads, depth, _, words, room = size
        model, layer = _models(solution, rng, size)[0], _layers(solution, rng, heads, depth)[0]
        (ids, mask), x = _words(rng, count, length, words), normal(rng, count, length, heads * depth)
        logits, (y, weights) = _answers(model)(ids, mask)[0], _on_words(layer)(x, mask)
        bags = {tuple(sorted(row[there].tolist())) for row, there in zip(ids, mask, strict=True)}
        assert len({tuple(row) for row in logits.tolist()}) >= len(bags), "different sentences give the same logits"
        more = torch.cat([mask, torch.zeros(count, room, dtype=torch.bool)], 1)
        other_ids, _ = _words(rng, count, length + room, words)
        other_ids[:, :length] = torch.where(mask, ids, other_ids[:, :length])
        other_x = 10 * normal(rng, count, length + room, heads * depth)
        other_x[:, :length] = torch.where(mask[:, :, None], x, other_x[:, :length])
        help = "padding may be seen by no word, and counts in no mean"
        for end in (length, length + room):
            seen = more[:, :end]
            got, _ = _answers(model)(other_ids[:, :end], seen)
            assert_close(got, logits, tol=SAME, name="logits with other padding", help=help)
            new_y, looks = _on_words(layer)(other_x[:, :end], seen)
            assert_close(new_y, y, tol=SAME, name="y of words with other padding", help=help)
            assert_close(looks[:, :, :length], weights, tol=SAME, name="weights with other padding", help=help)
            hidden = ~seen.repeat_interleave(seen.sum(1), 0)[:, None].expand_as(looks)
            assert not looks[hidden].any(), "a word gives weight to padding: that must be exactly 0"
        help = "sentences of a batch must not meet, and an answer must stay with its own row"
        rows = torch.from_numpy(rng.permutation(count))[: max(1, count - 1)]
        got, _ = _answers(model)(ids[rows], mask[rows])
        assert_close(got, logits[rows], tol=SAME, name="logits in another batch", help=help)
        got, _ = _on_words(layer)(x[rows], mask[rows])
        wanted = torch.cat([y[mask.nonzero()[:, 0] == row] for row in rows])
        assert_close(got, wanted, tol=SAME, name="y of words in another batch", help=help)


@pytest.mark.behaviour
def test_order(solution, rng):
    """The layer is blind to order: shuffled words, shuffled answers; positions let the classifier read order"""
    for size in TEXTS:
        count, length, heads, depth, _, words, room = size
        layer, _ = _layers(solution, rng, heads, depth)
        x, mask = normal(rng, count, length, heads * depth), _mask(rng, count, length)
        order = torch.arange(length).roll(1)
        y, weights = layer(x, mask)
        new_y, new_weights = layer(x[:, order], mask[:, order])
        help = "self-attention knows no positions: no arange, no causal mask, no recurrence inside the layer"
        assert_close(new_y * mask[:, order, None], (y * mask[:, :, None])[:, order], tol=TOL, name="y", help=help)
        found, expected = new_weights.transpose(1, 2)[mask[:, order]], weights[:, :, order][..., order]
        expected = expected.transpose(1, 2)[mask[:, order]]
        assert_close(found, expected, tol=TOL, name="weights", help=help)
        model, oracle = _models(solution, rng, size)
        ids = torch.from_numpy(rng.permuted(np.tile(np.arange(1, words), (count, 1)), axis=1)[:, :length])
        whole = torch.ones_like(ids, dtype=torch.bool)

        def classify(ids, mask, model=model):
            return _answers(model)(ids, mask)[0]

        moved = (classify(ids, whole) - classify(ids[:, order], whole)).abs().amax(1) > 1e-6
        assert moved.all(), "the same words in another order give the same logits: where did the positions go?"
        load_state(model, {"position.weight": torch.zeros_like(oracle.position.weight)})
        before = classify(ids, whole)
        help = "with position.weight all zero, nothing else may tell where a word stands"
        name = text("logits of shuffled words without positions")
        assert_close(classify(ids[:, order], whole), before, tol=TOL, name=name, help=help)
        longer = torch.cat([ids, ids[:, :1].expand(count, room)], 1)
        got = classify(longer, torch.arange(length + room).expand_as(longer) < length)
        name = text("logits of a padded sentence without positions")
        assert_close(got, before, tol=TOL, name=name, help=help)


def _sentences(rng, count, unseen):
    """Pairs of sentences of the very same words, as lists; the first is praise in one half of the pairs.

    Negating the good adjective is no praise, negating the bad one is. The i-th good adjective never meets the i-th
    bad one in training, and meets no other where the pairs are unseen.
    """
    sentences, labels = [], []
    for _ in range(count):
        good = rng.integers(len(GOOD))
        bad = good if unseen else (good + rng.integers(1, len(BAD))) % len(BAD)
        adjectives = [(GOOD[good], 0), (BAD[bad], 1)][:: rng.choice((1, -1))]
        negator, link = NEGATORS[rng.integers(len(NEGATORS))], LINKS[rng.integers(len(LINKS))]
        starts = [["the", NOUNS[noun], VERBS[rng.integers(len(VERBS))]] for noun in rng.permutation(len(NOUNS))[:2]]
        between = [[ADVERBS[i] for i in rng.permutation(len(ADVERBS))[: rng.integers(4)]] for _ in range(2)]
        ends = [[*adverbs, adjective] for adverbs, (adjective, _) in zip(between, adjectives, strict=True)]
        for place, (_, praise) in enumerate(adjectives):
            first, second = (start + [negator] * (place == i) + ends[i] for i, start in enumerate(starts))
            sentences.append([*first, link, *second])
            labels.append(praise)
    return sentences, torch.tensor(labels)


def _first_weights(rng):
    """Small words, positions as sines and cosines of eight wave lengths and more: what training starts from."""
    half = WIDTH // 2
    angles = np.arange(LONGEST)[:, None] * 30.0 ** (-np.arange(half) / half)
    weights = _weights(rng, _shapes((0, LONGEST, HEADS, WIDTH // HEADS, 2, len(WORDS) + 2, 0)))
    weights = {name: (value if value.ndim > 1 else torch.zeros_like(value)) for name, value in weights.items()}
    for name, scale in (
        ("token.weight", 0.4),
        ("attention.value.weight", 0.5),
        ("attention.out.weight", 0.5),
        ("head.weight", 0.3),
    ):
        weights[name] = scale * weights[name]
    return weights | {"position.weight": torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], 1))}


@pytest.mark.convergence
def test_moving_one_word(solution, rng, record):
    """Trained for 120 steps, the classifier knows what `not` negates, in new sentences where only its place tells"""
    sentences, labels = _sentences(rng, POOL, unseen=False)
    ids, mask = assert_parts(
        solution.encode([" ".join(words) for words in sentences], VOCABULARY), ("ids", "mask"), name="encode"
    )
    assert_shape(ids, (2 * POOL, max(map(len, sentences))), dtype=torch.int64, name="ids")
    size = 0, LONGEST, HEADS, WIDTH // HEADS, 2, len(WORDS) + 2, 0
    model = load_state(_make(solution, size), _first_weights(rng))
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, STEPS)

    def loss():
        for _ in range(STEPS):
            rows = torch.from_numpy(2 * rng.integers(0, POOL, (PAIRS, 1)) + np.arange(2)).flatten()
            yield F.cross_entropy(_answers(model)(ids[rows], mask[rows])[0], labels[rows])
            schedule.step()

    losses = descend(loss(), optimiser)
    record.curve("loss while learning what `not` negates", losses, baseline=math.log(2))

    sentences, labels = _sentences(rng, HELD_OUT, unseen=True)
    bags = [sorted(words) for words in sentences]
    assert bags[::2] == bags[1::2] and (labels[::2] != labels[1::2]).all()  # what makes every plain average fail
    ids, mask = assert_parts(
        solution.encode([" ".join(words) for words in sentences], VOCABULARY), ("ids", "mask"), name="encode"
    )
    with torch.no_grad():
        logits, weights = assert_parts(model(ids, mask), ("logits", "weights"), name="TextClassifier.forward")
    answers = logits.argmax(1)
    told = (f"{' '.join(sentences[n])}: {ANSWERS[int(answers[n])]}" for n in range(6))
    record.text("what your model says of new sentences", "\n".join(told))
    looks = [weights[n, :, : len(words), : len(words)].mean(0) for n, words in enumerate(sentences[:2])]
    record.matrix("where the words of a sentence look, mean of the heads", looks[0], sentences[0])
    record.matrix("where the same words look in the other order", looks[1], sentences[1])
    right = (answers == labels).double().mean().item()
    help = "both sentences of a pair have the same words: only positions and attention can tell them apart"
    assert_beats(right, BAR, name="accuracy on new pairs", help=help)
