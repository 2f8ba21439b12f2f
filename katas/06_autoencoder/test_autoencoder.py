"""The suite of kata 06: an autoencoder beside scikit-learn's PCA, which is the best that a linear one can be."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import nn

from grader.checks import (
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_shape,
    assert_state,
    assert_that,
    assert_trained,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    tensors_of,
    text,
)

# Images, and the widths from image to code: no hidden layer, one or two; all numbers differ within a case.
SIZES = [(4, [9, 3]), (1, [7, 5, 2]), (3, [11, 8, 6, 4]), (6, [8, 10, 1]), (1201, [6, 5, 2])]
SCORED = [(4, 9), (1, 7), (3, 11), (6, 8), (5001, 2)]  # images and pixels of the two scores
FAR = 60.0  # times what is near: codes and pixels in the hundreds, squared distances in the thousands
FITTED = [(13, 9, 3), (20, 7, 1), (6, 11, 4), (17, 5, 5), (4, 8, 3), (5001, 4, 2)]  # M, D, Z: up to Z = D and Z = M - 1
TO_CODE = "a tanh after every layer but the last: nothing follows the code"
TO_OUTPUT = "a tanh after every layer but the last: nothing follows the output, which may be negative or above 1"
FORWARD = "encode and decode are right: forward is one after the other"
HELD_OUT, CODE = 397, 4
STEPS, BATCH, HIDDEN, LEARNING_RATE = 300, 128, 64, 0.03
GAIN = 0.06  # beyond PCA: a network without tanh gains nothing, right ones 0.15 to 0.18
NEAR = 0.02  # how far training may leave a linear autoencoder below PCA; right ones stay within 0.002
ANGLE = 30.0  # degrees from PCA's subspace; right ones end within 5, two random subspaces are about 80 apart


def _images(rng, count, pixels):
    """Images around a mean far from zero, with another variance in each of D directions, none of them an axis."""
    directions = torch.linalg.qr(normal(rng, pixels, pixels))[0]
    spread = 2 * 0.8 ** torch.arange(pixels, dtype=torch.float64)
    images = normal(rng, count, pixels) * spread @ directions + 2 * normal(rng, pixels)
    return images.T.contiguous().T


def _shapes(sizes):
    layers = {f"encoder.{i}": pair[::-1] for i, pair in enumerate(pairwise(sizes))}
    layers |= {f"decoder.{i}": pair[::-1] for i, pair in enumerate(pairwise(sizes[::-1]))}
    shapes = {f"{name}.weight": size for name, size in layers.items()}
    return shapes | {f"{name}.bias": size[:1] for name, size in layers.items()}


def _make(solution, sizes, dtype=torch.float32):
    """The learner's new model, found to have the parameters that the statement names."""
    model = solution.Autoencoder(list(sizes), dtype=dtype)
    return assert_state(model, _shapes(sizes), dtype=dtype, name=text("Autoencoder of sizes {sizes}", sizes=sizes))


def _pca_model(solution, images, code_size):
    """The learner's pca_autoencoder, found to be an Autoencoder of two layers that can be trained further."""
    model = solution.pca_autoencoder(images, code_size)
    return assert_state(model, _shapes([images.shape[1], code_size]), dtype=images.dtype, name="pca_autoencoder")


def _names(sizes):
    """What the oracle, in which a tanh has a number too, calls the learner's parameters."""
    parts = {name: name.split(".") for name in _shapes(sizes)}
    return {name: f"{half}.{2 * int(layer)}.{kind}" for name, (half, layer, kind) in parts.items()}


def _half(widths):
    layers = [nn.Linear(*pair, dtype=torch.float64) for pair in pairwise(widths)]
    return nn.Sequential(*[each for layer in layers for each in (layer, nn.Tanh())][:-1])


def _oracle(sizes, weights):
    """Encoder and decoder in float64 with these weights."""
    names = _names(sizes)
    oracle = nn.Sequential(OrderedDict(encoder=_half(sizes), decoder=_half(sizes[::-1])))
    return load_state(oracle, {names[name]: value.double() for name, value in weights.items()})


def _pair(solution, rng, sizes, scale=1.0):
    """The learner's model in float64 and the oracle, with the same given weights."""
    model = _make(solution, sizes, torch.float64)
    weights = {name: scale * normal(rng, *size) / size[-1] ** 0.5 for name, size in _shapes(sizes).items()}
    return load_state(model, weights), _oracle(sizes, weights)


def _distance(output, x):
    """Squared distance of each image from its reconstruction."""
    return torch.linalg.vector_norm(output - x, dim=1) ** 2


def _loss(output, x):
    return _distance(output, x).mean()


def _explained(output, x, mean):
    return 1 - (output - x).square().sum() / (mean - x).square().sum()


def _pca(images, code_size):
    return PCA(code_size, svd_solver="full").fit(images.double().numpy())


def _rebuilt(pca, x):
    return torch.from_numpy(pca.inverse_transform(pca.transform(x.double().numpy())))


def _compare(solution, rng, *, gradients):
    """The learner's networks of every depth against the oracle's, near zero and far from it; a thousand in values alone."""
    for count, sizes in SIZES[: -1 if gradients else None]:
        for scale in (1.0, FAR):
            model, oracle = _pair(solution, rng, sizes, scale)
            x, code = scale * _images(rng, count, sizes[0]), 2 * scale * normal(rng, count, sizes[-1])
            parts = (
                (model.encode, oracle.encoder, x, text("the code with sizes {sizes}", sizes=sizes), TO_CODE),
                (model.decode, oracle.decoder, code, text("decode with sizes {sizes}", sizes=sizes), TO_OUTPUT),
                (model, oracle, x, text("forward with sizes {sizes}", sizes=sizes), FORWARD),
            )
            both, names = (model, oracle), _names(sizes)
            for function, right, value, name, help in parts:
                assert_agrees(
                    lambda value, function=function: function(value),
                    lambda value, right=right: right(value),
                    {"value": value},
                    rng,
                    modules=both,
                    parameters=names,
                    gradients=gradients,
                    name=name,
                    help=help,
                )


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
    """What the learner's new model is after training with a rate that falls to zero, as an oracle; and its losses."""
    model = _make(solution, sizes)
    batches = torch.from_numpy(rng.integers(0, len(images), (STEPS, BATCH)))
    x, start = images[batches[0]].double(), _oracle(sizes, state_of(model, _shapes(sizes)))
    losses = solution.fit(model, images, batches, [LEARNING_RATE * (1 - s / STEPS) for s in range(STEPS)])
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    assert_trajectory(losses[:1], [_loss(start(x), x).item()], tol=1e-4, name="the first loss of fit")
    return _oracle(sizes, state_of(model, _shapes(sizes))).requires_grad_(False), losses


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one image and for several, and depends on the images."""
    for index, (count, sizes) in enumerate(SIZES):
        dtype, pixels, seen = (torch.float32, torch.float64)[index % 2], sizes[0], []
        model = _make(solution, sizes, dtype)
        for x in (torch.zeros(count, pixels, dtype=dtype), torch.ones(count, pixels, dtype=dtype)):
            code, output = model.encode(x), model(x)
            assert_shape(code, (count, sizes[-1]), dtype=dtype, name="code")
            assert_shape(output, (count, pixels), dtype=dtype, name="output")
            assert_shape(model.decode(code), (count, pixels), dtype=dtype, name=text("output of decode"))
            loss = solution.reconstruction_loss(output, x)
            assert_shape(loss, (), dtype=dtype, name="reconstruction_loss")
            explained = solution.explained_variance(output, x, x[0] + 1)
            assert_shape(explained, (), dtype=dtype, name="explained_variance")
            seen.append((code, output, loss, explained))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "black and white images give the same result"
        _pca_model(solution, _images(rng, 13, pixels).to(dtype), sizes[-1])
    losses = solution.fit(model, x, torch.zeros(3, 4, dtype=torch.int64), [0.01, 0.02, 0.01])
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_reconstruction_loss(solution, rng):
    """The loss is the squared distance, summed over the pixels of an image and averaged over the images."""
    for count, pixels in SCORED:
        x, output = _images(rng, count, pixels), normal(rng, count, pixels)
        x[-1], output[-1] = x[0], output[0]  # a row may come twice
        help = "is every difference squared, which axis is summed, and which one is averaged?"
        for scale in (1.0, FAR):
            inputs = {"output": scale * output, "x": scale * x}
            assert_agrees(solution.reconstruction_loss, _loss, inputs, rng, name="reconstruction_loss", help=help)
        loss = solution.reconstruction_loss(x, x)
        assert_close(loss, torch.zeros(()).double(), name=text("the loss of perfect copies"))


@pytest.mark.value
def test_explained_variance(solution, rng):
    """The score compares all reconstructions with the mean image of the training images: 1, 0 and less than 0."""
    for count, pixels in SCORED:
        x, mean = _images(rng, count, pixels), normal(rng, pixels)
        x[-1] = x[0]
        near, other = x + 0.3 * normal(rng, count, pixels), _images(rng, count, pixels)
        near[-1] = near[0]
        help = "one loss over another: whose mean image is it, and is it one ratio or the mean of several?"
        for output, shift in ((near, 0), (other, 0), (FAR * other, 0), (other, 10_000)):
            inputs = {"output": output + shift, "x": x + shift, "mean": mean + shift}
            found = solution.explained_variance
            assert_agrees(found, _explained, inputs, rng, gradients=False, name="explained_variance", help=help)
        best, worst = (
            solution.explained_variance(x, x, mean),
            solution.explained_variance(mean.expand(count, -1), x, mean),
        )
        assert_close(best, torch.ones(()).double(), name=text("explained_variance of perfect copies"))
        assert_close(worst, torch.zeros(()).double(), name=text("explained_variance of the mean image"))


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, encode, decode and forward give the stated network's numbers, at every depth."""
    _compare(solution, rng, gradients=False)


@pytest.mark.value
def test_pca_autoencoder(solution, rng):
    """The closed form has the directions of scikit-learn's PCA, and rebuilds images that it never saw as PCA does."""
    for count, pixels, code_size in FITTED * 2:
        images, x = _images(rng, count, pixels), _images(rng, 3, pixels)
        pca, mean, sizes = _pca(images, code_size), images.mean(0), [pixels, code_size]
        model = _pca_model(solution, images, code_size)
        weights, components = state_of(model, _shapes(sizes)), torch.from_numpy(pca.components_)
        found = weights["encoder.0.weight"]
        signs = torch.where((found * components).sum(1) < 0, -1.0, 1.0).double()[:, None]
        help = "centred images, directions in rows, length 1, the largest variance first; either sign will do"
        assert_close(found, signs * components, name="encoder.0.weight", help=help)
        assert_close(weights["decoder.0.weight"], found.T, name="decoder.0.weight", help="the encoder's transpose")
        zeros, oracle = torch.zeros(code_size).double(), _oracle(sizes, weights)
        help = "the mean image must land on code 0: that is what the encoder's bias is for"
        assert_close(oracle.encoder(mean), zeros, name=text("the code of the mean image"), help=help)
        help = "code 0 must give the mean image back: that is what the decoder's bias is for"
        assert_close(oracle.decoder(zeros), mean, name=text("what code 0 is decoded to"), help=help)
        assert_close(model(x), _rebuilt(pca, x), name=text("the reconstruction of new images"))


@pytest.mark.value
def test_training_steps(solution, rng):
    """From given weights, batches and rates, every loss of fit and the weights at the end are the right ones."""
    cases = [(count, sizes, 13, 12) for count, sizes in SIZES[:-1]]  # images in a batch, widths, M, S
    cases += [(2, [5, 3], 1, 1), (5, [4, 3, 2], 1300, 2), (5, [4, 3, 2], 1300, 2)]
    for index, (count, sizes, rows, steps) in enumerate(cases):
        model, oracle = _pair(solution, rng, sizes)
        images, batches = _images(rng, rows, sizes[0]), torch.from_numpy(rng.integers(0, rows, (count, steps)).T)
        rates = [float(rate) for rate in rng.uniform(0.02, 0.12, steps)]
        rates[3:4] = [0.0] * (steps > 3)
        model.train(index % 2 > 0)
        losses = solution.fit(model, images, batches, list(rates))
        adam = torch.optim.Adam(oracle.parameters())

        def losses_of(oracle=oracle, images=images, batches=batches, rates=rates, adam=adam):
            for chosen, rate in zip(batches, rates, strict=True):
                adam.param_groups[0]["lr"] = rate
                yield _loss(oracle(images[chosen]), images[chosen])

        help = "from step 1 the batch and its target; from step 2 the step's rate and cleared gradients; later one Adam"
        more = {"parameters": _names(sizes), "weights_tol": 1e-6, "name": "reconstruction_loss", "help": help}
        assert_trained(losses, model, oracle, losses_of(), adam, **more)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every parameter, the images and the codes, at every depth, near zero and far from it."""
    _compare(solution, rng, gradients=True)


@pytest.mark.gradient
def test_pca_is_the_linear_optimum(solution, rng):
    """At the closed form the loss is the variance that PCA discards, and no gradient is left for training."""
    for count, pixels, code_size in FITTED[:3]:
        images = _images(rng, count, pixels)
        model = _pca_model(solution, images, code_size)
        variances = np.linalg.eigvalsh(np.cov(images.numpy(), rowvar=False, bias=True))
        loss = solution.reconstruction_loss(model(images), images)
        discarded = torch.tensor(variances[: pixels - code_size].sum())
        help = "the sum of the variances in the directions that the code leaves out"
        assert_close(loss, discarded, name=text("the loss of pca_autoencoder on its images"), help=help)
        assert loss.requires_grad, "the parameters of pca_autoencoder must require gradients: it can be trained further"
        parameters = tensors_of(model, _shapes([pixels, code_size]))
        gradients = torch.autograd.grad(loss, [*parameters.values()], allow_unused=True)
        for name, gradient in zip(parameters, gradients, strict=True):
            assert_that(gradient is not None, "no gradient reaches {name} of pca_autoencoder", name=name)
            zeros = torch.zeros_like(gradient)
            assert_close(gradient, zeros, name=text("gradient of {name} at the optimum", name=name))


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """An answer depends on its own image alone, not on neighbours or earlier calls; arguments stay as they were."""
    for count, sizes in SIZES:
        model, _ = _pair(solution, rng, sizes)
        x, before = _images(rng, count + 1, sizes[0]), state_of(model, _shapes(sizes))

        def answers(x, model=model):
            code = model.encode(x)
            return {"encode": code, "decode": model.decode(code), "forward": model(x)}

        together = answers(x)
        for name, value in together.items():
            assert_shape(value, (count + 1, sizes[-1 if name == "encode" else 0]), dtype=torch.float64, name=name)
            assert_that((value[0] != value[1]).any(), "{name} answers two different images alike", name=name)
        for rows in (torch.from_numpy(rng.permutation(count + 1)), torch.tensor([count])):
            for name, value in answers(x[rows]).items():
                help = "an answer must depend on its own image alone, and stay in its row"
                assert_close(value, together[name][rows], name=text("{name} in another batch", name=name), help=help)
        for name, value in state_of(model, before).items():
            assert_close(value, before[name], name=text("{name} after the calls", name=name))
    first, second = (_images(rng, 9, 7) for _ in range(2))
    best = solution.pca_autoencoder(first, 2)
    expected = best(second).detach()
    solution.pca_autoencoder(second, 2)
    help = "every call makes a model of its own"
    assert_close(best(second), expected, name=text("the first pca_autoencoder, after a second was made"), help=help)
    solution.reconstruction_loss(first, second)
    solution.explained_variance(first, second, first[0])
    solution.fit(best, first, torch.tensor([[0, 1], [2, 1]]), [0.01, 0.02])
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.behaviour
def test_fresh_parameters(solution):
    """First weights and biases are drawn as nn.Linear draws them: small for many inputs, and new for each model."""
    sizes = [40, 30, 20]
    help = "uniform, within 1 / sqrt(inputs of the layer) of zero"
    assert_drawn(lambda: _make(solution, sizes), layer_laws(_shapes(sizes)), name="Autoencoder", help=help)


@pytest.mark.convergence
def test_linear_training_finds_the_pca_subspace(solution, rng, record):
    """Trained on real digits, the autoencoder without a tanh ends where PCA is: same score, same subspace."""
    images, held_out, *_ = _digits(rng)
    trained, losses = _train(solution, rng, [64, CODE], images)
    pca, zero, held_out = _pca(images, CODE), torch.zeros(64).double(), held_out.double()
    discarded = _loss(_rebuilt(pca, images), images.double()).item()
    record.curve("loss of the linear autoencoder, beside PCA's", losses, baseline=discarded)
    learned = trained.decoder[0].weight
    both = torch.cat([torch.from_numpy(pca.components_), (learned / learned.norm(dim=0)).T])
    record.images("four principal directions, and the four that the decoder learnt", both.reshape(-1, 8, 8).numpy())

    bar = _explained(_rebuilt(pca, held_out), held_out, zero).item() - NEAR
    score = _explained(trained(held_out), held_out, zero).item()
    help = "PCA's score is the goal: do all layers move at every step, and with the rate of that step?"
    assert_beats(score, bar, name=text("explained variance of held-out digits, linear"), help=help)
    angle = float(np.degrees(subspace_angles(learned.numpy(), pca.components_.T).max()))
    help = "the decoder's columns must span the plane of the principal directions, though they need not be those"
    name = text("degrees between the decoder's and PCA's subspace")
    assert_beats(angle, ANGLE, name=name, higher=False, help=help)


@pytest.mark.convergence
def test_beats_pca_on_held_out_digits(solution, rng, record):
    """With one hidden layer on each side it explains digits that it never saw better than PCA with as long a code."""
    images, held_out, mean, scale = _digits(rng)
    trained, losses = _train(solution, rng, [64, HIDDEN, CODE], images)
    pca, zero, held_out = _pca(images, CODE), torch.zeros(64).double(), held_out.double()
    discarded = _loss(_rebuilt(pca, images), images.double()).item()
    record.curve("reconstruction loss, beside PCA's", losses, baseline=discarded)
    output, linear = trained(held_out), _rebuilt(pca, held_out)
    rows = torch.stack([held_out[:8], output[:8], linear[:8]], 1).reshape(-1, 64) * scale + mean
    record.images(
        "held-out digits, each before its reconstruction and PCA's", rows.reshape(-1, 8, 8).numpy(), columns=6
    )

    bar = _explained(linear, held_out, zero).item() + GAIN
    help = "a network that only ever reaches PCA is linear: where is the tanh, and what follows the output?"
    score = _explained(output, held_out, zero).item()
    assert_beats(score, bar, name=text("explained variance of held-out digits"), help=help)
