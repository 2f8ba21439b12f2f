"""The suite of kata 06: an autoencoder beside scikit-learn's PCA, which is the best that a linear one can be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch.nn import functional as F

from grader.checks import (
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

# Images, and the widths from image to code: no hidden layer, one or two; all numbers differ within a case.
SIZES = [(4, [9, 3]), (1, [7, 5, 2]), (3, [11, 8, 6, 4]), (6, [8, 10, 1]), (2, [12, 7, 5])]
SMALL = [(3, [5, 4, 2]), (1, [4, 3])]
HELD_OUT, CODE = 397, 4
STEPS, BATCH, HIDDEN, LEARNING_RATE = 300, 128, 64, 0.03
GAIN = 0.06  # beyond PCA: a network without tanh gains nothing, right ones 0.15 to 0.18
NEAR = 0.02  # how far training may leave a linear autoencoder below PCA; right ones stay within 0.002
ANGLE = 30.0  # degrees from PCA's subspace; right ones end within 5, two random subspaces are about 80 apart


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _images(rng, count, pixels):
    """Images around a mean far from zero, with another variance in each of D directions, none of them an axis."""
    directions = torch.linalg.qr(_normal(rng, pixels, pixels))[0]
    spread = 2 * 0.8 ** torch.arange(pixels, dtype=torch.float64)
    images = _normal(rng, count, pixels) * spread @ directions + 2 * _normal(rng, pixels)
    return images.T.contiguous().T


def _layers(sizes):
    """Names of the linear layers in order, with the widths that each leads from and to."""
    pairs = list(pairwise(sizes))
    down = {f"encoder.{i}": pair for i, pair in enumerate(pairs)}
    return down | {f"decoder.{i}": pair[::-1] for i, pair in enumerate(reversed(pairs))}


def _shapes(sizes):
    weights = {f"{name}.weight": (outputs, inputs) for name, (inputs, outputs) in _layers(sizes).items()}
    return weights | {f"{name}.bias": (outputs,) for name, (_, outputs) in _layers(sizes).items()}


def _make(solution, sizes, dtype):
    model = solution.Autoencoder(list(sizes), dtype=dtype)
    return assert_state(model, _shapes(sizes), dtype=dtype, name=f"Autoencoder of sizes {list(sizes)}")


def _pca_model(solution, images, code_size):
    """The learner's pca_autoencoder, found to be an Autoencoder of two layers that can be trained further."""
    shapes = _shapes([images.shape[1], code_size])
    model = assert_state(
        solution.pca_autoencoder(images, code_size), shapes, dtype=images.dtype, name="pca_autoencoder"
    )
    for name, value in state_of(model, shapes).items():
        assert_shape(value, shapes[name], dtype=images.dtype, name=f"{name} of pca_autoencoder")
    return model


def _model(solution, rng, sizes):
    """The learner's model in float64 with given weights, and those weights."""
    model = _make(solution, sizes, torch.float64)
    weights = {name: _normal(rng, *size) / size[-1] ** 0.5 for name, size in _shapes(sizes).items()}
    return load_state(model, weights), weights


def _float64(model, sizes):
    return {name: value.double() for name, value in state_of(model, _shapes(sizes)).items()}


def _half(weights, half, value):
    """What the encoder or the decoder with these weights makes of a value."""
    depth = len(weights) // 4
    for i in range(depth):
        value = F.linear(value, weights[f"{half}.{i}.weight"], weights[f"{half}.{i}.bias"])
        value = torch.tanh(value) if i < depth - 1 else value
    return value


def _forward(weights, x):
    return _half(weights, "decoder", _half(weights, "encoder", x))


def _distance(output, x):
    """Squared distance of each image from its reconstruction."""
    return torch.linalg.vector_norm(output - x, dim=1) ** 2


def _pca(images, code_size):
    return PCA(code_size, svd_solver="full").fit(images.numpy())


def _rebuilt(pca, x):
    return torch.from_numpy(pca.inverse_transform(pca.transform(x.numpy())))


def _explained(output, x, mean):
    return (1 - _distance(output, x).sum() / _distance(mean[None], x).sum()).item()


def _digits(rng):
    """The 1797 real digits, 8x8 pixels, shuffled and split; and what stands for black and for one in the pictures.

    The mean training image is subtracted, and all is divided by one number: the mean square of the rest is 1.
    """
    from sklearn.datasets import load_digits

    ink = torch.from_numpy(load_digits().data)
    ink = ink[torch.from_numpy(rng.permutation(len(ink)))]
    mean = ink[HELD_OUT:].mean(0)
    scale = ((ink[HELD_OUT:] - mean) ** 2).mean() ** 0.5
    images = ((ink - mean) / scale).float()
    return images[HELD_OUT:], images[:HELD_OUT], mean, scale


def _train(solution, rng, sizes, images):
    """The learner's new model and its losses, after training with a rate that falls to zero."""
    model = _make(solution, sizes, torch.float32)
    batches = torch.from_numpy(rng.integers(0, len(images), (STEPS, BATCH)))
    start = _float64(model, sizes)
    losses = solution.fit(model, images, batches, [LEARNING_RATE * (1 - s / STEPS) for s in range(STEPS)])
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    x = images[batches[0]].double()
    first = _distance(_forward(start, x), x).mean().item()
    assert_trajectory(losses[:1], [first], tol=1e-4, name="the first loss of fit")
    return _float64(model, sizes), losses


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one image and for several, and depends on the images."""
    for index, (count, sizes) in enumerate(SIZES):
        dtype, pixels, seen = (torch.float32, torch.float64)[index % 2], sizes[0], []
        model = _make(solution, sizes, dtype)
        for x in (torch.zeros(count, pixels, dtype=dtype), torch.ones(count, pixels, dtype=dtype)):
            code, output = model.encode(x), model(x)
            assert_shape(code, (count, sizes[-1]), dtype=dtype, name="the code")
            assert_shape(output, (count, pixels), dtype=dtype, name="the output of forward")
            assert_shape(model.decode(code), (count, pixels), dtype=dtype, name="the output of decode")
            loss = solution.reconstruction_loss(output, x)
            assert_shape(loss, (), dtype=dtype, name="reconstruction_loss")
            explained = solution.explained_variance(output, x, x[0] + 1)
            assert_shape(explained, (), dtype=dtype, name="explained_variance")
            seen.append((code, output, loss, explained))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "black and white images give the same result"
        images = _images(rng, 13, pixels).to(dtype)
        _pca_model(solution, images, sizes[-1])
    losses = solution.fit(model, images, torch.zeros(3, 4, dtype=torch.int64), [0.01, 0.02, 0.01])
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_reconstruction_loss(solution, rng):
    """The loss is the squared distance, summed over the pixels of an image and averaged over the images."""
    for count, (pixels, *_) in SIZES:
        x, output = _images(rng, count, pixels), _normal(rng, count, pixels)
        help = "is every difference squared, which axis is summed, and which one is averaged?"
        loss = solution.reconstruction_loss(output, x)
        assert_close(loss, _distance(output, x).mean(), name="reconstruction_loss", help=help)
        assert_close(solution.reconstruction_loss(x, x), torch.zeros(()).double(), name="the loss of perfect copies")


@pytest.mark.value
def test_explained_variance(solution, rng):
    """The score compares all reconstructions with the mean image of the training images: 1, 0 and less than 0."""
    for count, (pixels, *_) in SIZES:
        x, mean = _images(rng, count, pixels), _normal(rng, pixels)
        for output in (x + 0.3 * _normal(rng, count, pixels), _images(rng, count, pixels)):
            explained = solution.explained_variance(output, x, mean)
            expected = 1 - np.square((output - x).numpy()).sum() / np.square((x - mean).numpy()).sum()
            help = "one loss over another: whose mean image is it, and is it one ratio or the mean of several?"
            assert_close(explained, torch.tensor(expected), name="explained_variance", help=help)
        bounds = (x, 1.0, "perfect copies"), (mean.expand(count, -1), 0.0, "the mean image")
        for output, expected, name in bounds:
            explained = solution.explained_variance(output, x, mean)
            assert_close(explained, torch.tensor(expected).double(), name=f"explained_variance of {name}")


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, encode, decode and forward give the stated network's numbers, at every depth."""
    for count, sizes in SIZES:
        model, weights = _model(solution, rng, sizes)
        x, code = _images(rng, count, sizes[0]), 2 * _normal(rng, count, sizes[-1])
        help = "a tanh after every layer but the last: nothing follows the code"
        assert_close(model.encode(x), _half(weights, "encoder", x), name=f"the code with sizes {sizes}", help=help)
        help = "a tanh after every layer but the last: nothing follows the output, which may be negative or above 1"
        assert_close(model.decode(code), _half(weights, "decoder", code), name=f"decode with sizes {sizes}", help=help)
        help = "encode and decode are right: forward is one after the other"
        assert_close(model(x), _forward(weights, x), name=f"forward with sizes {sizes}", help=help)


@pytest.mark.value
def test_pca_autoencoder(solution, rng):
    """The closed form has the directions of scikit-learn's PCA, and rebuilds images that it never saw as PCA does."""
    for count, pixels, code_size in ((13, 9, 3), (20, 7, 1), (6, 11, 4), (17, 5, 5)):
        images, x = _images(rng, count, pixels), _images(rng, 3, pixels)
        pca, mean = _pca(images, code_size), images.mean(0)
        model = _pca_model(solution, images, code_size)
        weights, components = _float64(model, [pixels, code_size]), torch.from_numpy(pca.components_)
        found = weights["encoder.0.weight"]
        signs = torch.where((found * components).sum(1) < 0, -1.0, 1.0).double()[:, None]
        help = "centred images, directions in rows, length 1, the largest variance first; either sign will do"
        assert_close(found, signs * components, name="encoder.0.weight", help=help)
        assert_close(weights["decoder.0.weight"], found.T, name="decoder.0.weight", help="the encoder's transpose")
        zeros = torch.zeros(1, code_size).double()
        help = "the mean image must land on code 0: that is what the encoder's bias is for"
        assert_close(found @ mean + weights["encoder.0.bias"], zeros[0], name="the code of the mean image", help=help)
        help = "code 0 must give the mean image back: that is what the decoder's bias is for"
        assert_close(_half(weights, "decoder", zeros)[0], mean, name="what code 0 is decoded to", help=help)
        assert_close(model(x), _rebuilt(pca, x), name="the reconstruction of new images")


@pytest.mark.value
def test_three_training_steps(solution, rng):
    """From given weights, batches and rates, the first three losses and the weights after them are the right ones."""
    for count, sizes in SIZES:
        model, weights = _model(solution, rng, sizes)
        images = _images(rng, 13, sizes[0])
        batches = torch.from_numpy(rng.integers(0, 13, (3, count)))
        rates = [float(rate) for rate in rng.uniform(0.02, 0.06, 3) * [1, 2, 0.5]]
        losses = solution.fit(model, images, batches, rates)

        expected = []
        for tensor in weights.values():
            tensor.requires_grad_()
        adam = torch.optim.Adam(weights.values())
        for rows, rate in zip(batches, rates, strict=True):
            x = images[rows]
            value = _distance(_forward(weights, x), x).mean()
            gradients = torch.autograd.grad(value, list(weights.values()))
            for tensor, gradient in zip(weights.values(), gradients, strict=True):
                tensor.grad = gradient
            adam.param_groups[0]["lr"] = rate
            adam.step()
            expected.append(value.item())
        assert_trajectory(losses, expected, name="reconstruction_loss")
        help = "the losses agree: is the rate of each step used, is it one Adam throughout, does every layer move?"
        for name, tensor in state_of(model, weights).items():
            assert_close(tensor, weights[name].detach(), name=f"{name} after three steps", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every parameter, the images, the codes, and both sides of the loss."""
    for count, sizes in SMALL:
        model, weights = _model(solution, rng, sizes)
        x, output, code = (_normal(rng, count, width) for width in (sizes[0], sizes[0], sizes[-1]))

        def loss(output, x):
            return solution.reconstruction_loss(output, x)

        def halves(x, code, model=model):
            return model.encode(x), model.decode(code)

        def forward(x, model=model):
            return model(x)

        help = "nothing may cut the graph: no detach, no .data, no no_grad between the images and the loss"
        assert_gradients(loss, {"output": output, "x": x}, rng, name="gradient of the loss", help=help)
        both = {"x": x, "code": code}
        assert_gradients(halves, both, rng, name="gradient of encode and decode", help=help)
        parameters = tensors_of(model, weights)
        assert_gradients(forward, {"x": x}, rng, parameters=parameters, name="gradient of forward", help=help)


@pytest.mark.gradient
def test_pca_is_the_linear_optimum(solution, rng):
    """At the closed form the loss is the variance that PCA discards, and no gradient is left for training."""
    for count, pixels, code_size in ((13, 9, 3), (20, 7, 1), (6, 11, 4)):
        images = _images(rng, count, pixels)
        model = _pca_model(solution, images, code_size)
        variances = np.linalg.eigvalsh(np.cov(images.numpy(), rowvar=False, bias=True))
        loss = solution.reconstruction_loss(model(images), images)
        discarded = torch.tensor(variances[: pixels - code_size].sum())
        help = "the sum of the variances in the directions that the code leaves out"
        assert_close(loss, discarded, name="the loss of pca_autoencoder on its images", help=help)
        assert loss.requires_grad, "the parameters of pca_autoencoder must require gradients: it can be trained further"
        parameters = tensors_of(model, _shapes([pixels, code_size]))
        gradients = torch.autograd.grad(loss, [*parameters.values()], allow_unused=True)
        for name, gradient in zip(parameters, gradients, strict=True):
            assert gradient is not None, f"no gradient reaches {name} of pca_autoencoder"
            assert_close(gradient, torch.zeros_like(gradient), name=f"gradient of {name} at the optimum")


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """An answer depends on its own image alone, not on neighbours or earlier calls; arguments stay as they were."""
    for count, sizes in SIZES:
        model, weights = _model(solution, rng, sizes)
        x, other = _images(rng, count + 1, sizes[0]), _images(rng, 3, sizes[0])

        def answers(x, model=model):
            code = model.encode(x)
            return {"code": code, "decode": model.decode(code), "forward": model(x)}

        together, order = answers(x), torch.from_numpy(rng.permutation(count + 1))
        for name, value in together.items():
            width = sizes[-1] if name == "code" else sizes[0]
            assert_shape(value, (count + 1, width), dtype=torch.float64, name=name)
            assert (value[0] != value[1]).any(), f"{name} is the same for two different images"
        answers(other)
        for rows in (order, torch.tensor([count])):
            for name, value in answers(x[rows]).items():
                help = "an answer must depend on its own image alone, and stay in its row"
                assert_close(value, together[name][rows], name=f"{name} in another batch", help=help)
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], name=f"{name} after the calls")
    first, second = (_images(rng, 9, 7) for _ in range(2))
    best = solution.pca_autoencoder(first, 2)
    expected = best(second).detach()
    solution.pca_autoencoder(second, 2)
    help = "every call makes a model of its own"
    assert_close(best(second), expected, name="the first pca_autoencoder, after a second was made", help=help)
    solution.explained_variance(first, second, first[0])
    solution.fit(best, first, torch.tensor([[0, 1], [2, 1]]), [0.01, 0.02])
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.behaviour
def test_fresh_parameters(solution):
    """First weights and biases are drawn as nn.Linear draws them: small for many inputs, and new for each model."""
    sizes = [40, 30, 20]
    help = "uniform, within 1 / sqrt(inputs of the layer) of zero"
    assert_drawn(
        lambda: _make(solution, sizes, torch.float32), layer_laws(_shapes(sizes)), name="Autoencoder", help=help
    )


@pytest.mark.convergence
def test_linear_training_finds_the_pca_subspace(solution, rng, record):
    """Trained on real digits, the autoencoder without a tanh ends where PCA is: same score, same subspace."""
    images, held_out, *_ = _digits(rng)
    weights, losses = _train(solution, rng, [64, CODE], images)
    pca, zero = _pca(images.double(), CODE), torch.zeros(64).double()
    discarded = _distance(_rebuilt(pca, images.double()), images.double()).mean().item()
    record.curve("loss of the linear autoencoder, beside PCA's", losses, baseline=discarded)
    learned = weights["decoder.0.weight"]
    both = torch.cat([torch.from_numpy(pca.components_), (learned / learned.norm(dim=0)).T])
    record.images("four principal directions, and the four that the decoder learnt", both.reshape(-1, 8, 8).numpy())

    held_out = held_out.double()
    bar = _explained(_rebuilt(pca, held_out), held_out, zero) - NEAR
    score = _explained(_forward(weights, held_out), held_out, zero)
    help = "PCA's score is the goal: do all layers move at every step, and with the rate of that step?"
    assert_beats(score, bar, name="explained variance of held-out digits, linear", help=help)
    angle = float(np.degrees(subspace_angles(learned.numpy(), pca.components_.T).max()))
    help = "the decoder's columns must span the plane of the principal directions, though they need not be those"
    assert_beats(angle, ANGLE, name="degrees between the decoder's and PCA's subspace", higher=False, help=help)


@pytest.mark.convergence
def test_beats_pca_on_held_out_digits(solution, rng, record):
    """With one hidden layer on each side it explains digits that it never saw better than PCA with as long a code."""
    images, held_out, mean, scale = _digits(rng)
    weights, losses = _train(solution, rng, [64, HIDDEN, CODE], images)
    pca, zero = _pca(images.double(), CODE), torch.zeros(64).double()
    discarded = _distance(_rebuilt(pca, images.double()), images.double()).mean().item()
    record.curve("reconstruction loss, beside PCA's", losses, baseline=discarded)
    held_out = held_out.double()
    output, linear = _forward(weights, held_out), _rebuilt(pca, held_out)
    rows = torch.stack([held_out[:8], output[:8], linear[:8]], 1).reshape(-1, 64) * scale + mean
    record.images("held-out digits, each before its reconstruction and PCA's", rows.reshape(-1, 8, 8).numpy())

    bar = _explained(linear, held_out, zero)
    help = "a network that only ever reaches PCA is linear: where is the tanh, and what follows the output?"
    score = _explained(output, held_out, zero)
    assert_beats(score, bar + GAIN, name="explained variance of held-out digits", help=help)
