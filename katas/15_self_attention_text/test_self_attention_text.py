"""The suite of kata 15: self-attention beside torch's own, and sentences that no average of words can tell apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    assert_beats,
    assert_close,
    assert_gradients,
    assert_parts,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    load_state,
    state_of,
    tensors_of,
)

# N sentences, T queries, S keys, H heads, D numbers in a key and C in a value; all six differ within a case.
ATTENTION = [(4, 3, 6, 2, 5, 7), (1, 5, 4, 3, 2, 6), (3, 2, 7, 5, 6, 4), (2, 4, 3, 1, 8, 5), (5, 1, 2, 4, 3, 6)]
# N sentences of T words, H heads of D numbers, K classes, M ids, and how many more words there is room for.
TEXTS = [
    (4, 6, 2, 3, 5, 11, 4),
    (1, 5, 3, 2, 4, 9, 3),
    (3, 7, 2, 5, 2, 13, 5),
    (2, 4, 5, 3, 6, 10, 3),
    (5, 3, 1, 4, 2, 8, 7),
]
TOL = 1e-8
LARGE = 100_000  # times a query: scores of this order, so a hidden key with a score of -10000 would be seen
SAME = 1e-9  # relative tolerance between two runs of the learner's own code
PROJECTIONS, ENDS = ("query", "key", "value"), ("weight", "bias")
TOKEN, POSITION, HEAD = "token.weight", "position.weight", ("head.weight", "head.bias")

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


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _qkv(rng, size):
    """Queries, keys and values, whose scores are of order one."""
    count, queries, keys, heads, depth, width = size
    return (_normal(rng, count, heads, n, m) for n, m in ((queries, depth), (keys, depth), (keys, width)))


def _mask(rng, *shape):
    """True in about two places of three, and in at least one of every row."""
    mask = rng.random(shape) < 2 / 3
    np.put_along_axis(mask, rng.integers(shape[-1], size=(*shape[:-1], 1)), True, -1)
    return torch.from_numpy(mask)


def _words(rng, count, length, words):
    """Ids of words, none of them 0, and a mask with one word or more in every row."""
    return torch.from_numpy(rng.integers(1, words, (count, length))), _mask(rng, count, length)


def _attention_shapes(width):
    names = (*PROJECTIONS, "out")
    shapes = {f"{name}.weight": (width, width) for name in names}
    return shapes | {f"{name}.bias": (width,) for name in names}


def _classifier_shapes(size):
    _, length, heads, depth, classes, words, room = size
    width = heads * depth
    shapes = {TOKEN: (words, width), POSITION: (length + room, width)}
    shapes |= {f"attention.{name}": shape for name, shape in _attention_shapes(width).items()}
    return shapes | {"head.weight": (classes, width), "head.bias": (classes,)}


def _weights(rng, shapes):
    """Embeddings of order one, matrices ~ 1 / sqrt(fan-in), no bias zero."""
    weights = {}
    for name, shape in shapes.items():
        scale = 0.5 if len(shape) == 1 else 0.7 if name in (TOKEN, POSITION) else shape[1] ** -0.5
        weights[name] = scale * _normal(rng, *shape)
    return weights


def _make_layer(solution, heads, depth):
    width = heads * depth
    return assert_state(solution.SelfAttention(width, heads), _attention_shapes(width), name="SelfAttention")


def _make(solution, size):
    _, length, heads, depth, classes, words, room = size
    model = solution.TextClassifier(words, length + room, heads * depth, heads, classes)
    return assert_state(model, _classifier_shapes(size), name="TextClassifier")


def _layer(solution, rng, heads, depth):
    """The learner's SelfAttention with given weights, and torch's own layer with the same."""
    weights = _weights(rng, _attention_shapes(heads * depth))
    return load_state(_make_layer(solution, heads, depth).double(), weights), _torch_layer(weights, heads)


def _model(solution, rng, size):
    """The learner's TextClassifier with given weights, and those weights."""
    weights = _weights(rng, _classifier_shapes(size))
    return load_state(_make(solution, size).double(), weights), weights


def _attend(solution, q, k, v, mask=None):
    """(mixed, weights) of the learner's attention, both of the right form."""
    mixed, weights = assert_parts(solution.attention(q, k, v, mask), ("mixed", "weights"), name="attention")
    assert_shape(mixed, (*q.shape[:3], v.shape[3]), dtype=q.dtype, name="mixed")
    assert_shape(weights, (*q.shape[:3], k.shape[2]), dtype=q.dtype, name="weights")
    return mixed, weights


def _look(layer, x, mask, heads):
    """(y, weights) of the learner's SelfAttention, both of the right form."""
    y, weights = assert_parts(layer(x, mask), ("y", "weights"), name="SelfAttention.forward")
    assert_shape(y, x.shape, dtype=x.dtype, name="y")
    assert_shape(weights, (len(x), heads, x.shape[1], x.shape[1]), dtype=x.dtype, name="weights of SelfAttention")
    return y, weights


def _classify(model, ids, mask):
    """The logits of the learner's classifier, of the right form."""
    logits, weights = assert_parts(model(ids, mask), ("logits", "weights"), name="TextClassifier.forward")
    head = tensors_of(model, HEAD)["head.bias"]
    assert_shape(logits, (len(ids), len(head)), dtype=head.dtype, name="logits")
    assert isinstance(weights, torch.Tensor) and weights.ndim == 4, "weights of TextClassifier must be (N, H, T, T)"
    return logits


def _real(weights, mask):
    """The rows of words in attention weights (N, H, T, S), as (words, H, S): nothing is said about the others."""
    return weights.transpose(1, 2)[mask]


def _torch_layer(weights, heads):
    """torch's own layer, with these weights."""
    width = len(weights["out.bias"])
    layer = nn.MultiheadAttention(width, heads, batch_first=True, dtype=torch.float64)
    joined = {f"in_proj_{end}": torch.cat([weights[f"{name}.{end}"] for name in PROJECTIONS]) for end in ENDS}
    layer.load_state_dict(joined | {f"out_proj.{end}": weights[f"out.{end}"] for end in ENDS})
    return layer


class _Oracle(nn.Module):
    """The same classifier around torch's own layer; every sentence has a word."""

    def __init__(self, weights, heads):
        super().__init__()
        own = {name.removeprefix("attention."): value for name, value in weights.items()}
        self.attention = _torch_layer(own, heads)
        self.rest = nn.ParameterList([weights[name].clone() for name in (TOKEN, POSITION, *HEAD)])

    def forward(self, ids, mask):
        token, position, weight, bias = self.rest
        x = F.embedding(ids, token) + position[: ids.shape[1]]
        y, looks = self.attention(x, x, x, key_padding_mask=~mask, average_attn_weights=False)
        means = [row[seen].mean(0) for row, seen in zip(y, mask, strict=True)]
        return F.linear(torch.stack(means), weight, bias), looks

    def named(self):
        """The parameters, as the statement calls them."""
        split = {end: getattr(self.attention, f"in_proj_{end}").chunk(3) for end in ENDS}
        named = {f"attention.{name}.{end}": split[end][i] for end in ENDS for i, name in enumerate(PROJECTIONS)}
        named |= {f"attention.out.{end}": getattr(self.attention.out_proj, end) for end in ENDS}
        return named | dict(zip((TOKEN, POSITION, *HEAD), self.rest, strict=True))


@pytest.mark.shape
def test_shapes(solution, rng, mutated):
    """Every result has the stated shape and dtype, depends on the input, and leaves all arguments as they were"""
    for index, size in enumerate(TEXTS):
        count, length, heads, depth, _, words, _ = size
        width, dtype = heads * depth, (torch.float32, torch.float64)[index % 2]
        layer = load_state(_make_layer(solution, heads, depth).to(dtype), _weights(rng, _attention_shapes(width)))
        model = load_state(_make(solution, size).to(dtype), _weights(rng, _classifier_shapes(size)))
        seen = []
        for _ in range(2):
            ids, mask = _words(rng, count, length, words)
            x = _normal(rng, count, length, width).to(dtype)
            q, k, v = (_normal(rng, count, heads, n, m).to(dtype) for n, m in ((length, 4), (9, 4), (9, 3)))
            results = [*_attend(solution, q, k, v, _mask(rng, count, 1, 1, 9)), _look(layer, x, mask, heads)[0]]
            mean = solution.masked_mean(x, mask)
            assert_shape(mean, (count, width), dtype=dtype, name="the result of masked_mean")
            seen.append([*results, mean, _classify(model, ids, mask)])
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "two different inputs give the same result"
    assert_unchanged(mutated)


@pytest.mark.value
def test_encode(solution, rng):
    """Words become ids in any case and spacing, strange words stay words, and the mask says where sentences end"""
    for count, longest, known in ((4, 6, 9), (1, 5, 3), (3, 7, 20), (6, 3, 12), (2, 9, 5)):
        names = rng.permutation(WORDS)[:known]
        numbers = 2 + rng.permutation(known + 3)[:known]
        vocabulary = dict(zip(names.tolist(), numbers.tolist(), strict=True))
        lengths = rng.integers(0, longest, count)
        lengths[rng.integers(count)] = longest
        ids, sentences = np.zeros((count, longest), dtype=np.int64), []
        for row, length in zip(ids, lengths, strict=True):
            sentence = ("", " ", "\n")[rng.integers(3)]
            for t in range(length):
                strange = rng.random() < 0.25
                place = rng.integers(known)
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
    for size in ATTENTION:
        count, queries, keys, heads, *_ = size
        shapes = (count, 1, 1, keys), (queries, keys), (heads, queries, keys), (count, heads, queries, keys)
        for mask in (None, *(_mask(rng, *shape) for shape in shapes)):
            for large, kind in ((1, ""), (LARGE, " for large scores")):
                q, k, v = _qkv(rng, size)
                q = large * q
                mixed, weights = _attend(solution, q, k, v, mask)
                identity = torch.eye(keys, dtype=torch.float64).expand(count, heads, keys, keys)
                expected = [F.scaled_dot_product_attention(q, k, values, attn_mask=mask) for values in (identity, v)]
                masked = "no mask" if mask is None else f"a mask of shape {tuple(mask.shape)}"
                name = f"weights{kind} with {masked}"
                help = "the scale, the axis of the softmax, what is hidden leaves before it; and each weight is of one query and one key"
                assert_close(weights, expected[0], tol=TOL, name=name, help=help)
                help = "the weights are right: each query's result is their mean of the values"
                assert_close(mixed, expected[1], tol=TOL, name=f"mixed{kind} with {masked}", help=help)


@pytest.mark.behaviour
def test_nothing_to_see(solution, rng):
    """A query that may see nothing gets zeros and spoils no gradient; a sentence without words is the head's bias"""
    for size in ATTENTION:
        count, queries, keys, heads, *_ = size
        q, k, v = _qkv(rng, size)
        mask = _mask(rng, count, heads, queries, keys)
        mask[rng.integers(count), rng.integers(heads), rng.integers(queries)] = False
        blind = ~mask.any(-1)
        mixed, weights = _attend(solution, q, k, v, mask)
        help = "a softmax over nothing is NaN or uniform; the statement says zeros, in that row alone"
        for value, name in ((weights, "weights"), (mixed, "mixed")):
            nothing = torch.zeros_like(value[blind])
            assert_close(value[blind], nothing, tol=TOL, name=f"{name} of a query without keys", help=help)
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        assert_close(mixed, expected, tol=TOL, name="mixed beside such a query", help=help)

    q, k, v = _qkv(rng, (2, 3, 4, 1, 2, 3))
    mask, words = _mask(rng, 2, 1, 3, 4), torch.tensor([[True, False, True], [False] * 3])
    mask[0, 0, 1] = mask[1, 0, 2] = False

    def attend(q, k, v):
        return _attend(solution, q, k, v, mask)

    def mean(x):
        return solution.masked_mean(x, words)

    help = "a NaN that is replaced afterwards is still there in the backward pass: 0 times NaN is NaN; let none arise"
    assert_gradients(attend, {"q": q, "k": k, "v": v}, rng, name="gradient of attention", help=help)
    assert_gradients(mean, {"x": _normal(rng, 2, 3, 4)}, rng, name="gradient of masked_mean", help=help)

    for size in TEXTS:
        model, weights = _model(solution, rng, size)
        ids, mask = _words(rng, size[0] + 1, size[1], size[5])
        mask[rng.integers(len(ids))] = False
        empty = ~mask.any(1)
        logits = _classify(model, ids, mask)
        help = "the mean over no words is 0, so the head has nothing to add its bias to"
        assert_close(logits[empty][0], weights["head.bias"], tol=TOL, name="logits of an empty sentence", help=help)
        others = _classify(model, ids[~empty], mask[~empty])
        assert_close(logits[~empty], others, tol=SAME, name="logits beside an empty sentence", help="rows are apart")


@pytest.mark.value
def test_self_attention(solution, rng):
    """With given weights, the layer equals torch's MultiheadAttention on every word, and looks where it looks"""
    for count, length, heads, depth, *_ in TEXTS:
        layer, oracle = _layer(solution, rng, heads, depth)
        x, mask = _normal(rng, count, length, heads * depth), _mask(rng, count, length)
        with torch.no_grad():
            expected = oracle(x, x, x, key_padding_mask=~mask, average_attn_weights=False)
        y, weights = _look(layer, x, mask, heads)
        help = "which projection is which, which numbers belong to which head, and that the mask hides keys"
        assert_close(_real(weights, mask), _real(expected[1], mask), tol=TOL, name="weights of words", help=help)
        help = "the weights are right: now the values, how the heads are laid side by side, and `out`"
        assert_close(y[mask], expected[0][mask], tol=TOL, name="y of words", help=help)


@pytest.mark.value
def test_masked_mean(solution, rng):
    """The mean runs over the words alone, wherever they stand; without words it is zero"""
    for count, length, heads, depth, *_ in TEXTS:
        x, mask = _normal(rng, count + 1, length, heads * depth) + 1, _mask(rng, count + 1, length)
        mask[rng.integers(count + 1)] = False
        hidden = np.broadcast_to(~mask.numpy()[:, :, None], x.shape)
        expected = np.ma.array(x.numpy(), mask=hidden).mean(1).filled(0.0)
        got = solution.masked_mean(x, mask)
        assert_shape(got, expected.shape, dtype=x.dtype, name="the mean")
        help = "what is added up, and what it is divided by: padding counts in neither"
        assert_close(got, torch.from_numpy(expected), tol=TOL, name="the mean", help=help)


@pytest.mark.value
def test_classifier_with_given_weights(solution, rng):
    """With given weights, the logits are the head's answer to the mean of what torch's layer makes of the words"""
    for size in TEXTS:
        model, weights = _model(solution, rng, size)
        ids, mask = _words(rng, *size[:2], size[5])
        with torch.no_grad():
            expected = _Oracle(weights, size[2])(ids, mask)
        help = "word plus position goes in; the mean is over what attention returns, not over the words; no softmax"
        assert_close(_classify(model, ids, mask), expected[0], tol=TOL, name="logits", help=help)
        looks = _real(model(ids, mask)[1], mask)
        help = "the second result is what SelfAttention returns beside y, all heads of it"
        assert_close(looks, _real(expected[1], mask), tol=TOL, name="weights of words", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients are right: by queries, keys and values, by every input, and by every parameter"""
    help = "nothing may cut the graph: no detach, no .data, no .item(), no new tensor made from old numbers"
    for size, mask in (((2, 5, 4, 2, 4, 6), None), ((2, 3, 4, 1, 2, 3), _mask(rng, 2, 1, 1, 4))):
        q, k, v = _qkv(rng, size)

        def attend(q, k, v, mask=mask):
            return _attend(solution, q, k, v, mask)

        assert_gradients(attend, {"q": q, "k": k, "v": v}, rng, name="gradient of attention", help=help)

    for size in ATTENTION[:2]:
        q, k, v = _qkv(rng, size)
        mask, given = (
            _mask(rng, size[0], 1, 1, size[2]),
            [(LARGE * q).requires_grad_(), k.requires_grad_(), v.requires_grad_()],
        )
        mixed, upstream = _attend(solution, *given, mask)[0], _normal(rng, size[0], size[3], size[1], size[5])
        expected = torch.autograd.grad(F.scaled_dot_product_attention(*given, attn_mask=mask), given, upstream)
        large = "no exp may overflow, not even in a branch that is thrown away afterwards: 0 times infinity is NaN"
        for got, wanted, name in zip(torch.autograd.grad(mixed, given, upstream), expected, "qkv", strict=True):
            assert_close(got, wanted, tol=TOL, name=f"gradient of mixed by {name} for large scores", help=large)

    layer, _ = _layer(solution, rng, 2, 4)
    x, mask = _normal(rng, 2, 5, 8), _mask(rng, 2, 5)

    def look(x):
        y, weights = _look(layer, x, mask, 2)
        return y[mask], _real(weights, mask)

    def mean(x):
        return solution.masked_mean(x, mask)

    parameters = tensors_of(layer, _attention_shapes(8))
    assert_gradients(look, {"x": x}, rng, parameters=parameters, name="gradient of SelfAttention", help=help)
    assert_gradients(mean, {"x": x}, rng, name="gradient of masked_mean", help=help)

    size = (3, 4, 2, 4, 3, 9, 5)
    model, given = _model(solution, rng, size)
    ids, mask = _words(rng, *size[:2], size[5])

    def classify():
        return _classify(model, ids, mask)

    parameters = tensors_of(model, given)
    assert_gradients(classify, {}, rng, parameters=parameters, name="gradient of the logits", help=help)


@pytest.mark.gradient
def test_three_training_steps(solution, rng):
    """From given weights, three steps of gradient descent give torch's losses, and torch's weights after them"""
    for size in TEXTS:
        model, weights = _model(solution, rng, size)
        oracle = _Oracle(weights, size[2])
        optimisers = [torch.optim.SGD(module.parameters(), lr=0.5) for module in (model, oracle)]
        losses, expected = [], []
        for _ in range(3):
            ids, mask = _words(rng, *size[:2], size[5])
            labels = torch.from_numpy(rng.integers(0, size[4], len(ids)))
            both = _classify(model, ids, mask), oracle(ids, mask)[0]
            for logits, optimiser, history in zip(both, optimisers, (losses, expected), strict=True):
                loss = F.cross_entropy(logits, labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                history.append(loss.item())
        help = "the first step's loss is the forward pass, the others are gradients; logits come without a softmax"
        assert_trajectory(losses, expected, help=help)
        trained = oracle.named()
        for name, value in state_of(model, weights).items():
            assert_close(value, trained[name].detach(), name=f"{name} after three steps", help=help)


@pytest.mark.behaviour
def test_padding_and_neighbours_never_matter(solution, rng):
    """What stands in the padding, how much there is of it, and which sentences stand beside it, changes no answer"""
    for size in TEXTS:
        count, length, heads, depth, _, words, room = size
        width = heads * depth
        model, _ = _model(solution, rng, size)
        layer, _ = _layer(solution, rng, heads, depth)
        (ids, mask), x = _words(rng, count, length, words), _normal(rng, count, length, width)
        logits, (y, weights) = _classify(model, ids, mask), _look(layer, x, mask, heads)
        bags = {tuple(sorted(row[there].tolist())) for row, there in zip(ids, mask, strict=True)}
        assert len({tuple(row) for row in logits.tolist()}) >= len(bags), "different sentences give the same logits"

        more = torch.cat([mask, torch.zeros(count, room, dtype=torch.bool)], 1)
        other_ids, _ = _words(rng, count, length + room, words)
        other_ids[:, :length] = torch.where(mask, ids, other_ids[:, :length])
        other_x = 10 * _normal(rng, count, length + room, width)
        other_x[:, :length] = torch.where(mask[:, :, None], x, other_x[:, :length])
        for end in (length, length + room):
            seen = more[:, :end]
            help = "padding may be seen by no word, and counts in no mean"
            got = _classify(model, other_ids[:, :end], seen)
            assert_close(got, logits, tol=SAME, name="logits with other padding", help=help)
            new_y, new_weights = _look(layer, other_x[:, :end], seen, heads)
            assert_close(new_y[seen], y[mask], tol=SAME, name="y of words with other padding", help=help)
            looks = _real(new_weights, seen)
            assert_close(looks[:, :, :length], _real(weights, mask), tol=SAME, name="weights with other padding")
            hidden = ~seen.repeat_interleave(seen.sum(1), 0)[:, None].expand_as(looks)
            assert not looks[hidden].any(), "a word gives weight to padding: that must be exactly 0"

        for rows in [torch.tensor([n]) for n in range(count)] + [torch.from_numpy(rng.permutation(count))]:
            help = "sentences of a batch must not meet, and an answer must stay with its own row"
            got = _classify(model, ids[rows], mask[rows])
            assert_close(got, logits[rows], tol=SAME, name="logits in another batch", help=help)
            got = _look(layer, x[rows], mask[rows], heads)[0]
            part = mask[rows]
            assert_close(got[part], y[rows][part], tol=SAME, name="y of words in another batch", help=help)


@pytest.mark.behaviour
def test_order(solution, rng):
    """The layer is blind to order: shuffled words, shuffled answers; positions let the classifier read order"""
    for size in TEXTS:
        count, length, heads, depth, _, words, room = size
        layer, _ = _layer(solution, rng, heads, depth)
        x, mask = _normal(rng, count, length, heads * depth), _mask(rng, count, length)
        order = torch.arange(length).roll(1)
        y, weights = _look(layer, x, mask, heads)
        new_y, new_weights = _look(layer, x[:, order], mask[:, order], heads)
        help = "self-attention knows no positions: no arange, no causal mask, no recurrence inside the layer"
        assert_close(new_y * mask[:, order, None], (y * mask[:, :, None])[:, order], tol=TOL, name="y", help=help)
        expected = weights[:, :, order][..., order].transpose(1, 2)[mask[:, order]]
        assert_close(_real(new_weights, mask[:, order]), expected, tol=TOL, name="weights", help=help)

        model, given = _model(solution, rng, size)
        ids = torch.from_numpy(rng.permuted(np.tile(np.arange(1, words), (count, 1)), axis=1)[:, :length])
        whole = torch.ones_like(ids, dtype=torch.bool)
        before, after = _classify(model, ids, whole), _classify(model, ids[:, order], whole)
        moved = (before - after).abs().amax(1) > 1e-6
        assert moved.all(), "the same words in another order give the same logits: where did the positions go?"
        load_state(model, {POSITION: torch.zeros_like(given[POSITION])})
        before, after = _classify(model, ids, whole), _classify(model, ids[:, order], whole)
        help = "with position.weight all zero, nothing else may tell where a word stands"
        assert_close(after, before, tol=TOL, name="logits of shuffled words without positions", help=help)
        longer = torch.cat([ids, ids[:, :1].expand(count, room)], 1)
        got = _classify(model, longer, torch.arange(length + room).expand_as(longer) < length)
        assert_close(got, before, tol=TOL, name="logits of a padded sentence without positions", help=help)


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
    weights = _weights(rng, _classifier_shapes((0, LONGEST, HEADS, WIDTH // HEADS, 2, len(WORDS) + 2, 0)))
    weights = {name: (value if value.ndim > 1 else torch.zeros_like(value)) for name, value in weights.items()}
    for name, scale in ((TOKEN, 0.4), ("attention.value.weight", 0.5), ("attention.out.weight", 0.5), (HEAD[0], 0.3)):
        weights[name] = scale * weights[name]
    return weights | {POSITION: torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], 1))}


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
    losses = []
    for _ in range(STEPS):
        rows = torch.from_numpy(2 * rng.integers(0, POOL, (PAIRS, 1)) + np.arange(2)).flatten()
        loss = F.cross_entropy(_classify(model, ids[rows], mask[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
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
    for n in range(2):
        looks = weights[n, :, : len(sentences[n]), : len(sentences[n])].mean(0)
        record.matrix(f"where each word of sentence {n + 1} looks, mean of the heads", looks, sentences[n])
    right = (answers == labels).double().mean().item()
    help = "both sentences of a pair have the same words: only positions and attention can tell them apart"
    assert_beats(right, BAR, name="accuracy on new pairs", help=help)
