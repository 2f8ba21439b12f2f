"""The suite of kata 14: a vision transformer beside torch's unfold and torch's encoder layer, and digits to read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Normal,
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_shape,
    assert_state,
    assert_trained,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

# Images, channels, size of a patch, rows and columns of patches, width, heads, blocks and classes.
SIZES = [
    (4, 2, 3, 2, 5, 12, 3, 2, 6),
    (1, 3, 2, 4, 3, 10, 5, 1, 4),
    (3, 1, 4, 3, 2, 8, 2, 3, 5),
    (5, 3, 1, 2, 4, 6, 1, 1, 7),
    (2, 4, 2, 1, 1, 9, 3, 2, 3),
]
LARGE = [(1101, 2, 1, 1, 3, 4, 2, 1, 5), (1, 2, 1, 3, 367, 4, 2, 1, 5)]
# Training images, steps, images of each, by how much logits are larger, the model.
TRAININGS = [(7, 15, 5, 1, SIZES[0]), (7, 15, 5, 100, SIZES[0]), (6, 12, 4, 1, SIZES[1]), (1, 1, 1, 1, SIZES[4])]
TRAININGS += [(1101, 2, 3, 1, LARGE[0])]
# Grids of patches, old and new, and the width.
GRIDS = [((2, 3), (4, 6), 4), ((4, 2), (3, 5), 3), ((1, 3), (2, 2), 6), ((3, 3), (3, 3), 5), ((5, 2), (2, 1), 2)]
GRIDS += [((2, 6), (4, 3), 1), ((1, 1), (2, 3), 4), ((37, 31), (5, 7), 2), ((5, 7), (37, 31), 2)]
TOL, SAME = 1e-8, 1e-9
STEPS, BATCH, WIDTH, HEADS, LEARNING_RATE = 200, 48, 32, 4, 0.005
BAR = 0.67  # right ones read 0.9 of the digits, the worst of 150 runs 0.81, a bag of patches without positions 0.55

LAYERS = {"qkv.": "self_attn.in_proj_", "out.": "self_attn.out_proj.", "up.": "linear1.", "down.": "linear2."}


def _images(rng, size, far=1.0):
    count, channels, patch, rows, columns, *_ = size
    return far * normal(rng, count, channels, patch * rows, patch * columns)


def _patches(images, size):
    """Torch's own patches, one row each."""
    return F.unfold(images, size, stride=size).transpose(1, 2)


class _Block(nn.TransformerEncoderLayer):
    """Torch's pre-norm encoder layer, which takes no short cut where gradients are wanted."""

    def __init__(self, width, heads):
        super().__init__(width, heads, 4 * width, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.double()

    def forward(self, x):
        with torch.enable_grad():
            return super().forward(x)


class _ViT(nn.Module):
    """The same network of torch's own parts."""

    def __init__(self, size):
        super().__init__()
        _, channels, self.patch, rows, columns, width, heads, depth, classes = size
        self.embed, self.class_token = (
            nn.Linear(channels * self.patch**2, width),
            nn.Parameter(torch.zeros(1, 1, width)),
        )
        self.positions = nn.Parameter(torch.zeros(1, rows * columns + 1, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        self.double()

    def tokens(self, images):
        patches = self.embed(_patches(images, self.patch))
        return torch.cat([self.class_token.expand(len(images), 1, -1), patches], 1) + self.positions

    def forward(self, images):
        return self.head(self.norm(nn.Sequential(*self.blocks)(self.tokens(images))[:, 0]))


def _resize(positions, grid, new_grid):
    """Each of the E numbers is a picture of its own."""
    pictures = [picture.reshape(1, 1, *grid) for picture in positions[0, 1:].T]
    resized = [F.interpolate(each, new_grid, mode="bilinear", align_corners=False).flatten() for each in pictures]
    return torch.cat([positions[:, :1], torch.stack(resized, 1)[None]], 1)


def _block_shapes(width):
    layers = {"qkv": (3 * width, width), "out": (width, width), "up": (4 * width, width), "down": (width, 4 * width)}
    shapes = {f"{norm}.{end}": (width,) for norm in ("norm1", "norm2") for end in ("weight", "bias")}
    for name, size in layers.items():
        shapes |= {f"{name}.weight": size, f"{name}.bias": size[:1]}
    return shapes


def _shapes(size):
    _, channels, patch, rows, columns, width, _, depth, classes = size
    shapes = {"class_token": (1, 1, width), "positions": (1, rows * columns + 1, width)}
    shapes |= {"embed.weight": (width, channels * patch**2), "embed.bias": (width,)}
    for block in range(depth):
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in _block_shapes(width).items()}
    shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    return shapes | {"head.weight": (classes, width), "head.bias": (classes,)}


def _names(shapes):
    """Names of the learner's parameters, and those of the oracle's."""
    found = {}
    for name in shapes:
        found[name] = name
        for ours, theirs in LAYERS.items():
            found[name] = found[name].replace(ours, theirs)
    return found


def _make(solution, size, dtype):
    _, channels, patch, rows, columns, width, heads, depth, classes = size
    image = channels, patch * rows, patch * columns
    model = solution.ViT(image, patch, width, heads, depth, classes, dtype=dtype)
    return assert_state(model, _shapes(size), dtype=dtype, name="ViT")


def _make_block(solution, width, heads, dtype):
    return assert_state(solution.Block(width, heads, dtype=dtype), _block_shapes(width), dtype=dtype, name="Block")


def _alike(rng, shapes, learner, oracle, far=1):
    """Both with the same weights: matrices ~ 1 / sqrt(fan-in), the head's `far` times that; no bias is zero, no norm one."""
    weights, names = {}, _names(shapes)
    for name, shape in shapes.items():
        scale = (shape[1] ** -0.5 if len(shape) == 2 else 0.7) * (far if name == "head.weight" else 1)
        weights[name] = scale * normal(rng, *shape) + (1 if "norm" in name and name.endswith("weight") else 0)
    load_state(oracle, {names[name]: value for name, value in weights.items()})
    return load_state(learner, weights), oracle


def _models(solution, rng, size, far=1):
    """The learner's network and the oracle's, with the same weights."""
    return _alike(rng, _shapes(size), _make(solution, size, torch.float64), _ViT(size), far)


def _blocks(solution, rng, width, heads):
    learner = _make_block(solution, width, heads, torch.float64)
    return _alike(rng, _block_shapes(width), learner, _Block(width, heads))


def _logits(model, images):
    logits, classes = model(images), len(state_of(model, ["head.bias"])["head.bias"])
    help = "one row per image, read from one token"
    assert_shape(logits, (len(images), classes), dtype=images.dtype, name="logits", help=help)
    return logits.detach()


@pytest.mark.shape
def test_shapes(solution, rng):
    """Patches, tokens, blocks and logits have the stated shapes and dtypes, and depend on the image"""
    for index, size in enumerate(SIZES):
        count, channels, patch, rows, columns, width, heads, _, _ = size
        dtype = (torch.float32, torch.float64)[index % 2]
        images = _images(rng, size).to(dtype)
        patches = solution.patchify(images, patch)
        assert_shape(patches, (count, rows * columns, channels * patch**2), dtype=dtype, name="patches")
        model = _make(solution, size, dtype)
        tokens = model.tokens(images)
        help = "one token for each patch, and the class token"
        assert_shape(tokens, (count, rows * columns + 1, width), dtype=dtype, name="tokens", help=help)
        block = _make_block(solution, width, heads, dtype)
        assert_shape(block(tokens), tuple(tokens.shape), dtype=dtype, name="the result of a block")
        logits = _logits(model, images)
        assert (logits != _logits(model, images.flip(2) * 2)).any(), "two different images give the same logits"
        positions = solution.resize_positions(model.positions.detach(), (rows, columns), (columns + 1, rows))
        assert_shape(positions, (1, (columns + 1) * rows + 1, width), dtype=dtype, name="resized positions")
    labels = torch.zeros(count, dtype=torch.int64)
    losses = solution.fit(model, images, labels, torch.zeros(3, 2, dtype=torch.int64), [0.01, 0.02, 0.01])
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_patchify(solution, rng):
    """Patches are those of torch's unfold: touching, row by row, each of them channel by channel"""
    help = "number the pixels of one small image and write its first two patches down; reshape alone mixes rows up"
    for size in [*SIZES, *LARGE, (5001, 1, 2, 1, 1)]:
        inputs = {"images": _images(rng, size, far=50), "size": size[2]}
        for _ in range(2):
            agree = {"tol": TOL, "name": "patches", "help": help}
            assert_agrees(solution.patchify, _patches, inputs, rng, **agree)
            inputs = {"images": _images(rng, size), "size": size[2]}


@pytest.mark.value
def test_block(solution, rng):
    """A block with given weights is torch's pre-norm encoder layer"""
    help = "both norms before their branch, x added to each, heads split before attention, the exact GELU"
    for count, _, _, rows, columns, width, heads, _, _ in SIZES + LARGE:
        both = _blocks(solution, rng, width, heads)
        for far in (1, 50):
            x = far * (2 * normal(rng, count, rows * columns, width) + 1)
            agree = {"tol": TOL, "name": "the result of a block", "help": help, "gradients": False}
            assert_agrees(*both, {"x": x}, rng, modules=both, **agree)


@pytest.mark.value
def test_tokens(solution, rng):
    """The sentence is the class token, then the embedded patches, and each of them has its position added"""
    help = (
        "row 0 of positions belongs to the class token, which stands first and is the same for all images; "
        "row 1 is that of the first patch"
    )
    for size in SIZES + LARGE:
        both = model, oracle = _models(solution, rng, size)
        for far in (1, 50):
            inputs = {"images": _images(rng, size, far)}
            assert_agrees(model.tokens, oracle.tokens, inputs, rng, modules=both, tol=TOL, name="tokens", help=help)


@pytest.mark.value
def test_logits(solution, rng):
    """With given weights, the network gives the logits of the same network made of torch's parts"""
    help = "all blocks in order, the norm after the last one, and the head on the class token alone, with nothing behind it"
    for size in SIZES + LARGE:
        for far in (1, 100):
            both, inputs = _models(solution, rng, size, far), {"images": _images(rng, size)}
            assert_agrees(*both, inputs, rng, modules=both, tol=TOL, name="logits", help=help, gradients=False)


@pytest.mark.value
def test_resize_positions(solution, rng):
    """Positions stretch over another grid like a picture, and that of the class token stays"""
    help = (
        "row 0 has no place; then G rows of J patches, for each of the E numbers by itself: which axes are rows, "
        "columns and channels?"
    )
    for grid, new_grid, width in GRIDS:
        for far in (1, 50):
            positions = far * normal(rng, 1, grid[0] * grid[1] + 1, width)
            inputs = {"positions": positions, "grid": grid, "new_grid": new_grid}
            agree = {"tol": TOL, "name": "resized positions", "help": help, "gradients": False}
            assert_agrees(solution.resize_positions, _resize, inputs, rng, **agree)


@pytest.mark.behaviour
def test_order_of_patches(solution, rng):
    """Where a patch stands is known from positions alone: without them any order of patches gives the same logits"""
    for size in SIZES[:4]:
        patch, rows, columns = size[2:5]
        model, oracle = _models(solution, rng, size)
        images, positions = _images(rng, size), oracle.positions.detach()
        order = torch.from_numpy(rng.permutation(rows * columns))
        order = order.flip(0) if torch.equal(order, torch.arange(len(order))) else order
        shuffled = F.fold(F.unfold(images, patch, stride=patch)[:, :, order], images.shape[2:], patch, stride=patch)
        logits = _logits(model, images)
        apart = (logits - _logits(model, shuffled)).abs().max()
        assert apart > 1e-6, "patches in another order give the same logits"
        load_state(model, {"positions": torch.cat([positions[:, :1], positions[:, 1:][:, order]], 1)})
        help = "patches and positions moved together: the class token sees the same set of tokens"
        name = text("logits of patches moved with positions")
        assert_close(_logits(model, shuffled), logits, tol=TOL, name=name, help=help)
        load_state(model, {"positions": torch.zeros_like(positions)})
        help = "without positions nothing may say where a patch stands"
        found, expected = _logits(model, shuffled), _logits(model, images)
        assert_close(found, expected, tol=TOL, name="logits of a bag of patches", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the images and every parameter, and pass through resized positions"""
    agree = {"tol": TOL, "help": "nothing may cut the graph: no detach, no .data, no no_grad"}
    for size in SIZES + LARGE:
        for far in (1, 50):
            both, inputs = _models(solution, rng, size), {"images": _images(rng, size, far)}
            assert_agrees(*both, inputs, rng, modules=both, parameters=_names(_shapes(size)), name="logits", **agree)
            both, inputs = _blocks(solution, rng, 6, 3), {"x": far * normal(rng, size[0], 5, 6)}
            names = _names(_block_shapes(6))
            assert_agrees(*both, inputs, rng, modules=both, parameters=names, name="the result of a block", **agree)
    for grid, new_grid, width in GRIDS:
        positions = 50 * normal(rng, 1, grid[0] * grid[1] + 1, width)
        inputs = {"positions": positions, "grid": grid, "new_grid": new_grid}
        assert_agrees(solution.resize_positions, _resize, inputs, rng, name="resized positions", **agree)


@pytest.mark.value
def test_training(solution, rng):
    """From given weights, batches and rates, fifteen losses and the weights after them are the right ones"""
    help = "raw logits into the cross-entropy, the loss before each update, gradients cleared, the rate of each step"
    for count, steps, batch, far, size in TRAININGS:
        model, oracle = _models(solution, rng, size, far)
        model.train(steps != 12)
        images, labels = _images(rng, (count, *size[1:])), torch.from_numpy(rng.integers(0, size[-1], count))
        batches = torch.from_numpy(rng.integers(0, count, (steps, batch)))
        rates = rng.uniform(0.01, 0.03, steps) * rng.choice([0.0, 0.5, 1.0, 2.0], steps)
        losses = solution.fit(model, *map(as_view, (images, labels, batches)), rates.tolist())
        assert model.training or steps == 12, "fit must leave the model in the mode that it was in"
        adam = torch.optim.Adam(oracle.parameters())

        def descent(oracle=oracle, images=images, labels=labels, batches=batches, rates=rates, adam=adam):
            for rows, rate in zip(batches, rates.tolist(), strict=True):
                adam.param_groups[0]["lr"] = rate
                yield F.cross_entropy(oracle(images[rows]), labels[rows])

        trained = {"parameters": _names(_shapes(size)), "weights_tol": 1e-6, "name": "cross-entropy", "help": help}
        assert_trained(losses, model, oracle, descent(), adam, **trained)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were, answers depend on their own image alone, and first weights are drawn as stated"""
    for size in SIZES[:4]:
        model, oracle = _models(solution, rng, size)
        images, other = _images(rng, (size[0] + 1, *size[1:])), _images(rng, size)
        together, tokens = _logits(model, images), model.tokens(images)
        solution.patchify(images, size[2])
        block, twin = _blocks(solution, rng, *size[5:7])
        block(tokens)
        _logits(model, other)
        for row in range(len(images)):
            alone = _logits(model, images[row : row + 1])
            help = "what does one image hear of its neighbours or of earlier calls?"
            assert_close(alone, together[row : row + 1], tol=SAME, name="logits of an image alone", help=help)
        for learner, given, names in ((model, oracle, _shapes(size)), (block, twin, _block_shapes(size[5]))):
            before = state_of(given, _names(names).values()).values()
            for (name, value), wanted in zip(state_of(learner, names).items(), before, strict=True):
                assert_close(value, wanted, tol=SAME, name=text("{name} after the calls", name=name))
        solution.resize_positions(oracle.positions.detach(), size[3:5], (3, 3))
    labels = torch.zeros(len(images), dtype=torch.int64)
    solution.fit(model, images, labels, torch.zeros(2, 2, dtype=torch.int64), [0.01, 0.02])
    assert_unchanged(mutated, but=["model of fit"])
    size = 1, 1, 2, 6, 6, 24, 4, 1, 30
    own = {"class_token": Normal(0.02), "positions": Normal(0.02)}
    layers = {name: shape for name, shape in _shapes(size).items() if name not in own}
    laws = own | layer_laws(layers, norms=("norm", "blocks.0.norm1", "blocks.0.norm2"))
    help = "layers as torch draws them; class token and positions as the statement says"
    assert_drawn(lambda: _make(solution, size, torch.float32), laws, name="ViT", help=help)


@pytest.mark.convergence
def test_held_out_digits(solution, rng, record):
    """Trained on patches of 2 by 2 pixels, it reads digits that it never saw, as no bag of patches can"""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = torch.from_numpy(data.images).float()[:, None] / 8 - 1, torch.from_numpy(data.target)
    held_out = torch.arange(len(images)) % 3 == 0  # every third digit: the same ones for everybody
    size = 1, 1, 2, 4, 4, WIDTH, HEADS, 1, 10
    model = _make(solution, size, torch.float32)
    # From positions as large as the patches it learns where things are at once, and every seed about equally well.
    first = {name: normal(rng, *_shapes(size)[name]).float() / 2 for name in ("class_token", "positions")}
    load_state(model, first)
    batches = torch.from_numpy(rng.integers(0, int((~held_out).sum()), (STEPS, BATCH)))
    rates = [LEARNING_RATE * min(1.0, (step + 1) / 10) * (1 - step / STEPS) for step in range(STEPS)]
    losses = solution.fit(model, images[~held_out], labels[~held_out], batches, rates)
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    record.curve("cross-entropy in nats", losses, baseline=float(np.log(10)))
    positions = F.normalize((model.positions.detach() - first["positions"])[0, 1:], dim=1)
    names = [f"{row},{column}" for row in range(4) for column in range(4)]
    record.matrix("how alike training moved the positions (cosine)", (positions @ positions.T).numpy(), names)
    answers = _logits(model, images[held_out]).detach().argmax(1)
    accuracy = (answers == labels[held_out]).double().mean().item()
    help = "do positions reach the blocks, and does the head read the class token after all blocks?"
    assert_beats(accuracy, BAR, name="accuracy on held-out digits", help=help)
