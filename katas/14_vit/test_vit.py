"""The suite of kata 14: a vision transformer beside torch's unfold and torch's encoder layer, and digits to read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Normal,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    state_of,
    tensors_of,
)

# Images, channels, size of a patch, rows and columns of patches, width, heads, blocks and classes.
SIZES = [
    (4, 2, 3, 2, 5, 12, 3, 2, 6),
    (1, 3, 2, 4, 3, 10, 5, 1, 4),
    (3, 1, 4, 3, 2, 8, 2, 3, 5),
    (5, 3, 1, 2, 4, 6, 1, 1, 7),
    (2, 4, 2, 1, 3, 9, 3, 2, 3),
]
TOL, SAME = 1e-8, 1e-9
STEPS, BATCH, WIDTH, HEADS, LEARNING_RATE = 200, 48, 32, 4, 0.005
BAR = 0.67  # right ones read 0.9 of the digits, the worst of 150 runs 0.81, a bag of patches without positions 0.55


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _images(rng, size):
    count, channels, patch, rows, columns, *_ = size
    return _normal(rng, count, channels, patch * rows, patch * columns)


def _patches(images, size):
    """Torch's own patches, one row each."""
    return F.unfold(images, size, stride=size).transpose(1, 2)


def _block_shapes(width):
    layers = {"qkv": (3 * width, width), "out": (width, width), "up": (4 * width, width), "down": (width, 4 * width)}
    shapes = {f"{norm}.{end}": (width,) for norm in ("norm1", "norm2") for end in ("weight", "bias")}
    for name, size in layers.items():
        shapes |= {f"{name}.weight": size, f"{name}.bias": size[:1]}
    return shapes


def _vit_shapes(size):
    _, channels, patch, rows, columns, width, _, depth, classes = size
    shapes = {"class_token": (1, 1, width), "positions": (1, rows * columns + 1, width)}
    shapes |= {"embed.weight": (width, channels * patch**2), "embed.bias": (width,)}
    for block in range(depth):
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in _block_shapes(width).items()}
    shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    return shapes | {"head.weight": (classes, width), "head.bias": (classes,)}


def _weights(rng, shapes):
    """Matrices ~ 1 / sqrt(fan-in); no bias, token or position is zero, no norm's weight is one."""
    weights = {}
    for name, shape in shapes.items():
        scale = shape[1] ** -0.5 if len(shape) == 2 else 0.7
        weights[name] = scale * _normal(rng, *shape) + (1 if "norm" in name and name.endswith("weight") else 0)
    return weights


def _make(solution, size, dtype):
    _, channels, patch, rows, columns, width, heads, depth, classes = size
    image = channels, patch * rows, patch * columns
    model = solution.ViT(image, patch, width, heads, depth, classes, dtype=dtype)
    return assert_state(model, _vit_shapes(size), dtype=dtype, name="ViT")


def _make_block(solution, width, heads, dtype):
    return assert_state(solution.Block(width, heads, dtype=dtype), _block_shapes(width), dtype=dtype, name="Block")


def _model(solution, rng, size):
    weights = _weights(rng, _vit_shapes(size))
    return load_state(_make(solution, size, torch.float64), weights), weights


def _torch_block(weights, heads, prefix=""):
    """Torch's pre-norm encoder layer with the weights of a block."""
    named = {"qkv.weight": "self_attn.in_proj_weight", "qkv.bias": "self_attn.in_proj_bias"}
    for end in ("weight", "bias"):
        named |= {f"out.{end}": f"self_attn.out_proj.{end}", f"norm1.{end}": f"norm1.{end}"}
        named |= {f"up.{end}": f"linear1.{end}", f"down.{end}": f"linear2.{end}", f"norm2.{end}": f"norm2.{end}"}
    width = len(weights[f"{prefix}out.bias"])
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, 0.0, F.gelu, batch_first=True, norm_first=True, dtype=torch.float64
    )
    layer.load_state_dict({theirs: weights[prefix + ours].detach() for ours, theirs in named.items()})
    return layer  # in training mode, where torch takes no short cut


def _torch_tokens(weights, images, patch):
    patches = F.linear(_patches(images, patch), weights["embed.weight"], weights["embed.bias"])
    return torch.cat([weights["class_token"].expand(len(images), 1, -1), patches], 1) + weights["positions"]


class _Oracle(nn.Module):
    """The same network of torch's own parts."""

    def __init__(self, weights, size):
        super().__init__()
        self.patch, heads, depth = size[2], size[6], size[7]
        self.blocks = nn.ModuleList(_torch_block(weights, heads, f"blocks.{i}.") for i in range(depth))
        names = [name for name in weights if not name.startswith("blocks.")]
        self.rest = nn.ParameterDict({name.replace(".", "-"): weights[name].clone() for name in names})

    def forward(self, images):
        rest = {name.replace("-", "."): value for name, value in self.rest.items()}
        x = _torch_tokens(rest, images, self.patch)
        for block in self.blocks:
            x = block(x)
        x = F.layer_norm(x[:, 0], x.shape[2:], rest["norm.weight"], rest["norm.bias"])
        return F.linear(x, rest["head.weight"], rest["head.bias"])


def _logits(model, images):
    logits = model(images)
    size = len(images), len(tensors_of(model, ["head.bias"])["head.bias"])
    assert_shape(logits, size, dtype=images.dtype, name="logits", help="one row per image, read from one token")
    return logits


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
    for size in SIZES:
        images, patch = _images(rng, size), size[2]
        patches = solution.patchify(images, patch)
        help = "number the pixels of one small image and write its first two patches down; reshape alone mixes rows up"
        assert_close(patches, _patches(images, patch), tol=TOL, name="patches", help=help)


@pytest.mark.value
def test_block(solution, rng):
    """A block with given weights is torch's pre-norm encoder layer"""
    for count, _, _, rows, columns, width, heads, _, _ in SIZES:
        weights = _weights(rng, _block_shapes(width))
        block = _make_block(solution, width, heads, torch.float64)
        x = 2 * _normal(rng, count, rows * columns + 1, width) + 1
        expected = _torch_block(weights, heads)(x).detach()
        help = "both norms before their branch, x added to each, heads split before attention, the exact GELU"
        assert_close(load_state(block, weights)(x), expected, tol=TOL, name="the result of a block", help=help)


@pytest.mark.value
def test_tokens(solution, rng):
    """The sentence is the class token, then the embedded patches, and each of them has its position added"""
    for size in SIZES:
        model, weights = _model(solution, rng, size)
        images = _images(rng, size)
        tokens, expected = model.tokens(images), _torch_tokens(weights, images, size[2])
        assert_shape(tokens, tuple(expected.shape), dtype=torch.float64, name="tokens")
        help = "row 0 of positions belongs to the class token, which stands first and is the same for all images"
        assert_close(tokens[:, 0], expected[:, 0], tol=TOL, name="the class token", help=help)
        help = "patch, embedding and position, in the same order: row 1 of positions is that of the first patch"
        assert_close(tokens[:, 1:], expected[:, 1:], tol=TOL, name="the tokens of the patches", help=help)


@pytest.mark.value
def test_logits(solution, rng):
    """With given weights, the network gives the logits of the same network made of torch's parts"""
    for size in SIZES:
        model, weights = _model(solution, rng, size)
        images = _images(rng, size)
        expected = _Oracle(weights, size)(images).detach()
        help = "all blocks in order, the norm after the last one, and the head on the class token alone"
        assert_close(_logits(model, images), expected, tol=TOL, name="logits", help=help)


@pytest.mark.value
def test_resize_positions(solution, rng):
    """Positions stretch over another grid like a picture, and that of the class token stays"""
    grids = [((2, 3), (4, 6)), ((4, 2), (3, 5)), ((1, 3), (2, 2)), ((3, 3), (3, 3)), ((5, 2), (2, 1)), ((2, 6), (4, 3))]
    for (grid, new_grid), width in zip(grids, (4, 3, 6, 5, 2, 1), strict=True):
        positions = _normal(rng, 1, grid[0] * grid[1] + 1, width)
        resized = solution.resize_positions(positions, grid, new_grid)
        each = []
        for number in range(width):
            picture = positions[0, 1:, number].reshape(1, 1, *grid)
            each.append(F.interpolate(picture, new_grid, mode="bilinear", align_corners=False).flatten())
        expected = torch.cat([positions[:, :1], torch.stack(each, 1)[None]], 1)
        assert_shape(resized, tuple(expected.shape), dtype=torch.float64, name="resized positions")
        assert_close(
            resized[:, 0], positions[:, 0], tol=TOL, name="position of the class token", help="it has no place"
        )
        help = "G rows of J patches, for each of the E numbers by itself: which axes are rows, columns and channels?"
        assert_close(resized[:, 1:], expected[:, 1:], tol=TOL, name="positions of the patches", help=help)


@pytest.mark.behaviour
def test_order_of_patches(solution, rng):
    """Where a patch stands is known from positions alone: without them any order of patches gives the same logits"""
    for size in SIZES:
        patch, rows, columns = size[2:5]
        model, weights = _model(solution, rng, size)
        images = _images(rng, size)
        order = torch.from_numpy(rng.permutation(rows * columns))
        order = order.flip(0) if torch.equal(order, torch.arange(len(order))) else order
        shuffled = F.fold(F.unfold(images, patch, stride=patch)[:, :, order], images.shape[2:], patch, stride=patch)
        with_positions = _logits(model, images), _logits(model, shuffled)
        assert (with_positions[0] - with_positions[1]).abs().max() > 1e-6, (
            "patches in another order give the same logits"
        )
        moved = torch.cat([weights["positions"][:, :1], weights["positions"][:, 1:][:, order]], 1)
        load_state(model, weights | {"positions": moved})
        help = "patches and positions moved together: the class token sees the same set of tokens"
        found = _logits(model, shuffled)
        assert_close(
            found, with_positions[0].detach(), tol=TOL, name="logits of patches moved with positions", help=help
        )
        load_state(model, weights | {"positions": torch.zeros_like(moved)})
        help = "without positions nothing may say where a patch stands"
        found, expected = _logits(model, shuffled), _logits(model, images).detach()
        assert_close(found, expected, tol=TOL, name="logits of a bag of patches", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the images and every parameter, and pass through resized positions"""
    for size in ((2, 2, 2, 2, 1, 6, 3, 1, 3), (1, 1, 3, 1, 3, 4, 2, 1, 4)):
        model, weights = _model(solution, rng, size)
        oracle, images = _Oracle(weights, size), _images(rng, size).requires_grad_()
        upstream = _normal(rng, size[0], size[-1])
        expected = torch.autograd.grad((oracle(images) * upstream).sum(), images)[0]
        (_logits(model, images) * upstream).sum().backward()
        help = "nothing may cut the graph: no detach, no .data, no no_grad"
        assert_close(images.grad, expected, name="gradient of the images", help=help)
        parameters = tensors_of(model, weights)

        def logits(images, model=model):
            return _logits(model, images)

        inputs = {"images": images.detach()}
        assert_gradients(logits, inputs, rng, parameters=parameters, name="gradient of the logits", help=help)
    positions = _normal(rng, 1, 5, 3)

    def resize(positions):
        return solution.resize_positions(positions, (2, 2), (3, 2))

    assert_gradients(resize, {"positions": positions}, rng, name="gradient of resize_positions")


@pytest.mark.value
def test_three_training_steps(solution, rng):
    """From given weights, batches and rates, the first three losses and the weights after them are the right ones"""
    for size in SIZES[:3]:
        model, weights = _model(solution, rng, size)
        images, labels = _images(rng, (7, *size[1:])), torch.from_numpy(rng.integers(0, size[-1], 7))
        batches = torch.from_numpy(rng.integers(0, 7, (3, size[0] + 1)))
        rates = [float(rate) for rate in rng.uniform(0.01, 0.03, 3) * [1, 2, 0.5]]
        losses = solution.fit(model, images, labels, batches, rates)
        oracle, expected = _Oracle(weights, size), []
        adam = torch.optim.Adam(oracle.parameters())
        for rows, rate in zip(batches, rates, strict=True):
            loss = F.cross_entropy(oracle(images[rows]), labels[rows])
            adam.param_groups[0]["lr"] = rate
            adam.zero_grad()
            loss.backward()
            adam.step()
            expected.append(loss.item())
        help = (
            "raw logits into the cross-entropy, the loss before each update, gradients cleared, the rate of each step"
        )
        assert_trajectory(losses, expected, name="cross-entropy", help=help)
        after = _logits(model, images)
        help = "the losses agree: look at the third update, and at whether everything moves"
        assert_close(after, oracle(images).detach(), name="logits after three steps", help=help)
        for name in ("class_token", "positions", "embed.weight"):
            wanted = oracle.rest[name.replace(".", "-")].detach()
            assert_close(state_of(model, [name])[name], wanted, name=f"{name} after three steps", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were, answers depend on their own image alone, and first weights are drawn as stated"""
    for size in SIZES[:4]:
        model, weights = _model(solution, rng, size)
        images, other = _images(rng, (size[0] + 1, *size[1:])), _images(rng, size)
        together = _logits(model, images)
        model.tokens(images)
        solution.patchify(images, size[2])
        _logits(model, other)
        for row in range(len(images)):
            alone = _logits(model, images[row : row + 1])
            help = "what does one image hear of its neighbours or of earlier calls?"
            assert_close(alone, together[row : row + 1].detach(), tol=SAME, name="logits of an image alone", help=help)
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], tol=SAME, name=f"{name} after the calls")
        solution.resize_positions(weights["positions"], size[3:5], (3, 3))
    labels = torch.zeros(len(images), dtype=torch.int64)
    solution.fit(model, images, labels, torch.zeros(1, 2, dtype=torch.int64), [0.01])
    assert_unchanged(mutated, but=["model of fit"])
    size = 1, 1, 2, 6, 6, 24, 4, 1, 30
    shapes = _vit_shapes(size)
    own = {"class_token": Normal(0.02), "positions": Normal(0.02)}
    layers = {name: shape for name, shape in shapes.items() if name not in own}
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
    first = {name: _normal(rng, *_vit_shapes(size)[name]).float() / 2 for name in ("class_token", "positions")}
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
