"""The suite of kata 17: torch.distributions for every probability, PyTorch's own layers for the network."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from grader.checks import (
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
    assert_parts,
    assert_raises,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    state_of,
    tensors_of,
)

# Images in the batch, shape of an image, channels, latent dimensions, draws: no two alike where they could be mixed up.
NETWORKS = [
    (3, (1, 8, 8), [4, 5], 2, 6),
    (2, (2, 4, 12), [3], 5, 4),
    (1, (1, 16, 8), [2, 3, 4], 6, 3),
    (4, (3, 8, 4), [5, 2], 3, 2),
    (2, (1, 6, 10), [4], 1, 5),
]
SMALL = [(2, (1, 4, 6), [3], 2, 3), (1, (2, 4, 8), [2, 3], 3, 2)]
DIGIT, CHANNELS, LATENT, HELD_OUT = (1, 8, 8), [16, 32], 8, 397
STEPS, BATCH, LEARNING_RATE, DRAWS = 100, 48, 0.012, 5
BETTER = 0.9  # of the nats that the mean image needs: right ones 0.79 to 0.83, an unused code 0.99, no noise 2.4
DEAR, FEW = 4.0, 30  # a beta at which the code is not worth its price, and the steps that show it
EXACT = 1e-8  # at a small angle: arc and line differ by 1e-5 there
COLLAPSED = 1.0  # nats of rate: 0.1 with that beta, 3 with beta 1


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out with the axes in reverse, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _binary(rng, *shape):
    return torch.from_numpy((rng.random(shape) < 0.4).astype(np.float64))


def _maps(image, channels):
    """Shape of the maps where the encoder ends."""
    return (channels[-1], image[1] >> len(channels), image[2] >> len(channels))


def _shapes(image, channels, latent):
    """Names and shapes of the parameters that the statement asks for."""
    weights, biases, size, last = {}, {}, prod(_maps(image, channels)), len(channels) - 1
    for i, (read, written) in enumerate(pairwise([image[0], *channels])):
        for name, bias in ((f"encoder.{i}", written), (f"decoder.{last - i}", read)):
            weights[name], biases[name] = (written, read, 4, 4), bias
    for name, shape in (("mean_head", (latent, size)), ("logvar_head", (latent, size)), ("project", (size, latent))):
        weights[name], biases[name] = shape, shape[0]
    shapes = {f"{name}.weight": shape for name, shape in weights.items()}
    return shapes | {f"{name}.bias": (size,) for name, size in biases.items()}


def _make(solution, image, channels, latent, dtype=torch.float64):
    """The learner's new model, found to hold the tensors that the statement names."""
    model = solution.ConvVAE(tuple(image), list(channels), latent, dtype=dtype)
    return assert_state(model, _shapes(image, channels, latent), dtype=dtype, name="ConvVAE")


def _model(solution, rng, image, channels, latent):
    """The learner's model in float64 with given weights, and those weights."""
    model, weights = _make(solution, image, channels, latent), {}
    for name, size in _shapes(image, channels, latent).items():
        weights[name] = _normal(rng, *size) / (prod(size[1:]) ** 0.5 if len(size) > 1 else 2)
    return load_state(model, weights), weights


def _float64(model, image, channels, latent):
    return {name: value.double() for name, value in state_of(model, _shapes(image, channels, latent)).items()}


def _depth(weights):
    return sum(name.startswith("encoder") for name in weights) // 2


def _posterior(weights, x):
    for i in range(_depth(weights)):
        x = F.elu(F.conv2d(x, weights[f"encoder.{i}.weight"], weights[f"encoder.{i}.bias"], stride=2, padding=1))
    heads = ("mean_head", "logvar_head")
    return tuple(F.linear(x.reshape(len(x), -1), weights[f"{h}.weight"], weights[f"{h}.bias"]) for h in heads)


def _logits(weights, z, maps):
    x = F.linear(z, weights["project.weight"], weights["project.bias"]).reshape(len(z), *maps)
    for i in range(_depth(weights)):
        weight, bias = weights[f"decoder.{i}.weight"], weights[f"decoder.{i}.bias"]
        x = F.conv_transpose2d(F.elu(x), weight, bias, stride=2, padding=1)
    return x


def _gaussian(mean, logvar):
    return Normal(mean, logvar.exp().sqrt(), validate_args=False)


def _draw(mean, logvar, eps):
    """The quantile of N(mean, exp(logvar)) at the level where the noise stands in N(0, 1)."""
    return _gaussian(mean, logvar).icdf(Normal(0.0, 1.0).cdf(eps))


def _rate(mean, logvar):
    return kl_divergence(_gaussian(mean, logvar), Normal(0.0, 1.0)).sum(1)


def _log_p(logits, x):
    return Bernoulli(logits=logits, validate_args=False).log_prob(x).flatten(1).sum(1)


def _parts(weights, x, eps, maps):
    """Distortion and rate of each image, from the weights alone."""
    mean, logvar = _posterior(weights, x)
    return -_log_p(_logits(weights, _draw(mean, logvar, eps), maps), x), _rate(mean, logvar)


def _estimate(weights, x, eps, maps):
    """log p(x) from K draws; densities by torch.distributions, their mean taken in logarithms."""
    mean, logvar = _posterior(weights, x)
    ratios = []
    for noise in eps:
        z = _draw(mean, logvar, noise)
        densities = Normal(0.0, 1.0).log_prob(z) - _gaussian(mean, logvar).log_prob(z)
        ratios.append(_log_p(_logits(weights, z, maps), x) + densities.sum(1))
    ratios = torch.stack(ratios)
    largest = ratios.max(0).values
    return largest + (ratios - largest).exp().mean(0).log()


def _walk(start, end, points):
    """Every point of the arc, out of two directions at right angles: along the first code, and away from it."""
    start, end = start.numpy(), end.numpy()
    along = start / np.linalg.norm(start)
    away = end - (end @ along) * along
    angle, away = np.arctan2(np.linalg.norm(away), end @ along), away / np.linalg.norm(away)
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    path = []
    for t in np.linspace(0, 1, points):
        first, last = (np.sin(share * angle) / np.sin(angle) for share in (1 - t, t))
        path.append(first * lengths[0] * along + last * lengths[1] * (np.cos(angle) * along + np.sin(angle) * away))
    return torch.from_numpy(np.stack(path))


def _digits(rng):
    """The 1797 real digits, 8x8 pixels, inked where half the full ink or more; shuffled, then split."""
    from sklearn.datasets import load_digits

    inked = torch.from_numpy((load_digits().images[:, None] >= 8).astype(np.float32))
    shuffled = inked[torch.from_numpy(rng.permutation(len(inked)))]
    return shuffled[HELD_OUT:], shuffled[:HELD_OUT]


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one image and for several, and depends on the images."""
    for index, (count, image, channels, latent, draws) in enumerate(NETWORKS):
        dtype, seen = (torch.float32, torch.float64)[index % 2], []
        model = _make(solution, image, channels, latent, dtype)
        eps = _normal(rng, draws, count, latent).to(dtype)
        for x in (torch.zeros(count, *image, dtype=dtype), torch.ones(count, *image, dtype=dtype)):
            mean, logvar = assert_parts(model.encode(x), ("mean", "logvar"), name="encode")
            logits, *again = assert_parts(model(x, eps[0]), ("logits", "mean", "logvar"), name="forward")
            z = model.draw(mean, logvar, eps[0])
            for value, name in zip((mean, logvar, z, *again), ("mean", "logvar", "z", "mean", "logvar"), strict=True):
                assert_shape(value, (count, latent), dtype=dtype, name=name)
            assert_shape(logits, (count, *image), dtype=dtype, name="the logits of forward")
            assert_shape(model.decode(z), (count, *image), dtype=dtype, name="the logits of decode")
            log_p = solution.bernoulli_log_likelihood(logits, x)
            assert_shape(log_p, (count,), dtype=dtype, name="bernoulli_log_likelihood")
            loss, *parts = assert_parts(
                solution.beta_loss(logits, x, mean, logvar, 2.0), ("loss", "distortion", "rate"), name="beta_loss"
            )
            assert_shape(loss, (), dtype=dtype, name="the loss of beta_loss")
            for value, name in zip(parts, ("distortion", "rate"), strict=True):
                assert_shape(value, (count,), dtype=dtype, name=f"the {name} of beta_loss")
            estimate = solution.log_likelihood(model, x, eps)
            assert_shape(estimate, (count,), dtype=dtype, name="log_likelihood")
            seen.append((mean, logvar, logits, loss, estimate))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "black and white images give the same result"
        start, end = _normal(rng, 2, latent + 1).to(dtype).unbind()
        path = solution.interpolate(start, end, draws)
        assert_shape(path, (draws, latent + 1), dtype=dtype, name="the path of interpolate")
    batches, noise = torch.zeros(3, count, dtype=torch.int64), _normal(rng, 3, count, latent).to(dtype)
    losses = solution.fit(model, x, batches, noise, [0.0, 1.0, 2.0], 0.01)
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_bernoulli_log_likelihood(solution, rng):
    """The log-likelihood agrees with torch.distributions.Bernoulli, and holds for logits as large as 1000."""
    for count, image, *_ in NETWORKS:
        x, logits = _binary(rng, count, *image), _normal(rng, count, *image)
        log_p = solution.bernoulli_log_likelihood(logits, x)
        help = "a sum over channels, rows and columns, of pixels that are 1 and pixels that are 0; never positive"
        assert_close(log_p, _log_p(logits, x), name="bernoulli_log_likelihood", help=help)
        for size in (60.0, 1000.0):
            x[:, :, 0, :2], x[:, :, 1, :2] = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
            logits[:, :, 0, :2], logits[:, :, 1, :2] = size, -size
            log_p = solution.bernoulli_log_likelihood(logits, x)
            help = "exp(1000) is infinite and the sigmoid of 60 exactly 1: no exp of a large logit, no log of a sigmoid"
            assert_close(log_p, _log_p(logits, x), name=f"the log-likelihood with logits of {size:.0f}", help=help)


@pytest.mark.value
def test_beta_loss(solution, rng):
    """Distortion and rate are numbers per image; the loss weighs the rate with beta and averages over images."""
    for count, image, _, latent, _ in NETWORKS:
        x, logits = _binary(rng, count, *image), _normal(rng, count, *image)
        mean, logvar = _normal(rng, count, latent), _normal(rng, count, latent)
        expected, price = -_log_p(logits, x), _rate(mean, logvar)
        for beta in (0.0, 1.0, float(rng.uniform(2, 5))):
            result = solution.beta_loss(logits, x, mean, logvar, beta)
            loss, distortion, rate = assert_parts(result, ("loss", "distortion", "rate"), name="beta_loss")
            assert_close(distortion, expected, name="distortion", help="minus the log-likelihood, without beta")
            help = "the closed form of KL, summed over Z, and without beta: beta enters the loss alone"
            assert_close(rate, price, name="rate", help=help)
            help = "both parts count, beta multiplies the rate alone, and the mean is over images"
            assert_close(loss, (expected + beta * price).mean(), name=f"the loss with beta {beta:.3g}", help=help)
        for extreme in (14.0, -14.0):
            wide = torch.full_like(logvar, extreme)
            _, _, rate = assert_parts(
                solution.beta_loss(logits, x, mean, wide, 1.0), ("loss", "distortion", "rate"), name="beta_loss"
            )
            help = "a variance may be very large or very small: nothing is clamped"
            assert_close(rate, _rate(mean, wide), name=f"the rate with logvar {extreme:g}", help=help)
        zeros = torch.zeros_like(mean)
        _, _, rate = assert_parts(
            solution.beta_loss(logits, x, zeros, zeros, 1.0), ("loss", "distortion", "rate"), name="beta_loss"
        )
        assert_close(rate, zeros[:, 0], name="the rate of a code that says nothing")


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, encode, draw, decode and forward give the stated network's numbers, for oblong images too."""
    for count, image, channels, latent, _ in NETWORKS:
        model, weights = _model(solution, rng, image, channels, latent)
        x, eps, maps = _binary(rng, count, *image), _normal(rng, count, latent), _maps(image, channels)
        where = f"images {image}, channels {channels}"
        help = "a linear layer, maps in the order of reshape, an ELU before every transposed convolution, none after"
        assert_close(model.decode(eps), _logits(weights, eps, maps), name=f"decode, {where}", help=help)
        expected = _posterior(weights, x)
        mean, logvar = assert_parts(model.encode(x), ("mean", "logvar"), name="encode")
        help = "an ELU after every convolution, flattened channel by channel; nothing follows the head"
        assert_close(mean, expected[0], name=f"mean, {where}", help=help)
        assert_close(logvar, expected[1], name=f"logvar, {where}", help=f"{help}, and each head has its own weights")
        for extreme in (0.0, 14.0, -14.0):
            wide = torch.cat([torch.full_like(logvar[:, :1], extreme), expected[1][:, 1:]], 1)
            help = "noise times a standard deviation; what you are given is the logarithm of a variance"
            assert_close(model.draw(mean, wide, eps), _draw(mean, wide, eps), name="draw", help=help)
        for noise, name in ((eps, "forward"), (torch.zeros_like(eps), "forward without noise"), (eps, "forward again")):
            logits, *gaussian = assert_parts(model(x, noise), ("logits", "mean", "logvar"), name="forward")
            help = "encode, draw and decode are right: forward is one after the other, with the noise that is given"
            assert_close(logits, _logits(weights, _draw(*expected, noise), maps), name=f"{name}, {where}", help=help)
            for value, wanted, part in zip(gaussian, expected, ("mean", "logvar"), strict=True):
                assert_close(value, wanted, name=f"{part} of forward")
        for extreme in (30.0, -30.0):
            weights["mean_head.bias"].fill_(extreme)
            weights["logvar_head.bias"].fill_(-extreme)
            load_state(model, weights)
            for value, wanted, part in zip(model.encode(x), _posterior(weights, x), ("mean", "logvar"), strict=True):
                help = "nothing follows the heads, and nothing is clamped"
                assert_close(value, wanted, name=f"{part} far from zero", help=help)


@pytest.mark.behaviour
def test_sizes_that_cannot_be_halved(solution):
    """Images whose rows or columns leave a remainder when they are halved are refused, all others accepted."""
    for image, channels in (((1, 9, 8), [3]), ((1, 8, 9), [3]), ((1, 8, 6), [2, 3]), ((2, 12, 8), [2, 3, 4])):
        try:
            assert_raises(ValueError, solution.ConvVAE, image, channels, 2)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: images {image}, to be halved {len(channels)} times") from failure
    for image, channels in (((1, 6, 2), [3]), ((1, 12, 4), [2, 3]), ((2, 8, 24), [2, 3, 4])):
        _make(solution, image, channels, 2)


@pytest.mark.value
def test_three_training_steps(solution, rng):
    """From given weights, batches, noise and betas, the first three losses and the weights after them are right."""
    for count, image, channels, latent, _ in NETWORKS:
        model, weights = _model(solution, rng, image, channels, latent)
        images, maps = _binary(rng, 11, *image), _maps(image, channels)
        batches, noise = torch.from_numpy(rng.integers(0, 11, (3, count))), _normal(rng, 3, count, latent)
        rate, betas = float(rng.uniform(0.01, 0.03)), [float(beta) for beta in rng.uniform(1, 2, 3) * [1, 2, 0.3]]
        losses = solution.fit(model, images, batches, noise, betas, rate)

        expected = []
        for tensor in weights.values():
            tensor.requires_grad_()
        adam = torch.optim.Adam(weights.values(), lr=rate)
        for rows, eps, beta in zip(batches, noise, betas, strict=True):
            distortion, price = _parts(weights, images[rows], eps, maps)
            value = (distortion + beta * price).mean()
            gradients = torch.autograd.grad(value, list(weights.values()))
            for tensor, gradient in zip(weights.values(), gradients, strict=True):
                tensor.grad = gradient
            adam.step()
            expected.append(value.item())
        assert_trajectory(losses, expected, name="loss")
        help = "the losses agree: the update of the last step, with the gradient of that step alone"
        for name, tensor in state_of(model, weights).items():
            assert_close(tensor, weights[name].detach(), name=f"{name} after three steps", help=help)


@pytest.mark.value
def test_log_likelihood(solution, rng):
    """log p(x) is the logarithm of a mean of weights, also where every weight is too small for a float."""
    for count, image, channels, latent, draws in NETWORKS:
        model, weights = _model(solution, rng, image, channels, latent)
        x, eps, maps = _binary(rng, count, *image), _normal(rng, draws, count, latent), _maps(image, channels)
        where = f"images {image}, {draws} draws"
        help = (
            "each weight has three factors: pixels given the code, code under the prior, code under its own Gaussian "
            "(that one divides); then the mean over the draws, and the logarithm last"
        )
        found = solution.log_likelihood(model, x, eps)
        assert_close(found, _estimate(weights, x, eps, maps), name=f"log_likelihood, {where}", help=help)
        found = solution.log_likelihood(model, x, eps[:1])
        assert_close(found, _estimate(weights, x, eps[:1], maps), name="log_likelihood with one draw", help=help)
        x[0], x[count - 1] = 1, 0  # so different that one image's weights are nothing beside the other's
        for logit in (50.0, -50.0):
            weights[f"decoder.{len(channels) - 1}.bias"].fill_(logit)
            load_state(model, weights)
            found = solution.log_likelihood(model, x, eps)
            help = "exp(-1000) is zero, its logarithm infinite: stay with logarithms, of each image by itself"
            expected = _estimate(weights, x, eps, maps)
            assert_close(found, expected, name=f"log_likelihood with logits near {logit:.0f}", help=help)


@pytest.mark.value
def test_interpolate(solution, rng):
    """A walk has both ends, equal angles, and does not cut the corner; only between parallel codes it is straight."""
    for points, latent in ((2, 3), (3, 5), (5, 7), (8, 4), (6, 9)):
        start, end = _normal(rng, 2, latent)
        for first, last in ((start, end), (start, 3 * end), (start, end * start.norm() / end.norm())):
            path = solution.interpolate(first, last, points)
            help = "both ends belong to the path; the angle is that between the codes, whatever their lengths"
            assert_close(path, _walk(first, last, points), name=f"the path with {points} points", help=help)
        close = start + 0.03 * end * start.norm() / end.norm()
        help = "a small angle is an angle: the straight line is for codes that point the same way"
        path = solution.interpolate(start, close, points + 1)
        assert_close(path, _walk(start, close, points + 1), tol=EXACT, name="the path at a small angle", help=help)
        t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
        for times in (1.0, 2.5):
            path = solution.interpolate(start, times * start, points)
            help = "the angle is 0: the formula divides 0 by 0, and rounding can make the cosine larger than 1"
            expected = (1 - t + t * times) * start
            assert_close(path, expected, name="the path between parallel codes", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every parameter, the logits, the Gaussian, the images and the noise."""
    for count, image, channels, latent, _ in SMALL:
        model, weights = _model(solution, rng, image, channels, latent)
        x, logits = _binary(rng, count, *image), _normal(rng, count, *image)
        mean, logvar, eps = (_normal(rng, count, latent) for _ in range(3))

        def losses(logits, mean, logvar, x=x):
            likelihood = solution.bernoulli_log_likelihood(logits, x)
            return likelihood, *assert_parts(
                solution.beta_loss(logits, x, mean, logvar, 0.7), ("loss", "distortion", "rate"), name="beta_loss"
            )

        def draw(mean, logvar, eps, model=model):
            return model.draw(mean, logvar, eps)

        def forward(x, eps, model=model):
            return assert_parts(model(x, eps), ("logits", "mean", "logvar"), name="forward")

        gaussian, parameters = {"mean": mean, "logvar": logvar}, tensors_of(model, weights)
        help = "nothing may cut the graph: no detach, no .data, no no_grad between the images and the loss"
        assert_gradients(losses, {"logits": logits, **gaussian}, rng, name="gradient of the losses", help=help)
        assert_gradients(draw, {**gaussian, "eps": eps}, rng, name="gradient of draw", help=help)
        inputs = {"x": x, "eps": eps}
        assert_gradients(forward, inputs, rng, parameters=parameters, name="gradient of forward", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """An answer depends on its own image and noise alone, not on neighbours or earlier calls; arguments stay."""
    for count, image, channels, latent, draws in NETWORKS:
        model, weights = _model(solution, rng, image, channels, latent)
        x, eps = _binary(rng, count + 1, *image), _normal(rng, draws, count + 1, latent)
        x[0], x[1] = 0, 1

        def answers(rows, model=model, x=x, eps=eps):
            logits, mean, logvar = assert_parts(
                model(x[rows], eps[0, rows]), ("logits", "mean", "logvar"), name="forward"
            )
            result = solution.beta_loss(logits, x[rows], mean, logvar, 1.5)
            _, distortion, rate = assert_parts(result, ("loss", "distortion", "rate"), name="beta_loss")
            log_p = solution.log_likelihood(model, x[rows], eps[:, rows])
            names = ("logits", "mean", "logvar", "distortion", "rate", "log_likelihood")
            return dict(zip(names, (logits, mean, logvar, distortion, rate, log_p), strict=True))

        together, order = answers(torch.arange(count + 1)), torch.from_numpy(rng.permutation(count + 1))
        shapes = {"logits": image, "mean": (latent,), "logvar": (latent,)}
        for name, value in together.items():
            assert_shape(value, (count + 1, *shapes.get(name, ())), dtype=torch.float64, name=name)
            assert (value[0] != value[1]).any(), f"{name} is the same for a black and a white image"
        for rows in (order, torch.tensor([count])):
            for name, value in answers(rows).items():
                help = "an answer must depend on its own image and noise alone, and stay in its row"
                assert_close(value, together[name][rows], name=f"{name} in another batch", help=help)
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], name=f"{name} after the calls", help="a call changed the weights")
        solution.bernoulli_log_likelihood(_normal(rng, *x.shape), x)
        solution.interpolate(*eps[0, :2], 4)
        model.draw(*eps[:2], eps[0])
    solution.fit(model, x, torch.tensor([[0, 1], [2, 1]]), _normal(rng, 2, 2, latent), [0.5, 1.5], 0.01)
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.behaviour
def test_fresh_parameters(solution):
    """First values are drawn as PyTorch's layers draw them: small for many inputs, and new for each model."""
    image, channels, latent = (10, 8, 12), [12, 14], 16
    laws = layer_laws(_shapes(image, channels, latent))
    help = "uniform, within 1 / sqrt(product of all axes of the weight but the first) of zero"
    assert_drawn(lambda: _make(solution, image, channels, latent), laws, name="ConvVAE", help=help)


@pytest.mark.convergence
def test_explains_held_out_digits(solution, rng, record):
    """Trained on real digits it explains new ones far better than the mean image; a dear code is left unused."""
    images, held_out = _digits(rng)
    maps = _maps(DIGIT, CHANNELS)

    def train(steps, beta):
        model = _make(solution, DIGIT, CHANNELS, LATENT, torch.float32)
        batches = torch.from_numpy(rng.integers(0, len(images), (steps, BATCH)))
        noise = torch.from_numpy(rng.normal(size=(steps, BATCH, LATENT))).float()
        start = _float64(model, DIGIT, CHANNELS, LATENT)
        losses = solution.fit(model, images, batches, noise, [beta] * steps, LEARNING_RATE)
        assert isinstance(losses, list) and len(losses) == steps, "fit must return a list with one loss per step"
        distortion, rate = _parts(start, images[batches[0]].double(), noise[0].double(), maps)
        assert_trajectory(
            losses[:1], [(distortion + beta * rate).mean().item()], tol=1e-4, name="the first loss of fit"
        )
        return model, losses

    model, losses = train(STEPS, 1.0)
    ink = (images.double().sum(0) + 1) / (len(images) + 2)
    held_out = held_out.double()
    baseline = -_log_p(torch.logit(ink).expand_as(held_out), held_out).mean().item()
    record.curve("negative ELBO in nats per image, beside the mean image", losses, baseline=baseline)
    weights = _float64(model, DIGIT, CHANNELS, LATENT)
    means, _ = _posterior(weights, held_out)
    first, *others = held_out[:20]
    other = int(torch.stack([(first - image).abs().sum() for image in others]).argmax()) + 1
    path = solution.interpolate(means[0].float(), means[other].float(), 8)
    assert_shape(path, (8, LATENT), name="the path of interpolate")
    walk = torch.sigmoid(_logits(weights, path.detach().double(), maps))
    blend = torch.stack([(1 - t) * first + t * held_out[other] for t in torch.linspace(0, 1, 8)])
    record.images("a walk between two held-out digits in codes, then in pixels", torch.cat([walk, blend])[:, 0].numpy())
    samples = torch.sigmoid(_logits(weights, _normal(rng, 16, LATENT), maps))
    record.images("samples from the prior", samples[:, 0].numpy())

    nats = -_estimate(weights, held_out, _normal(rng, DRAWS, HELD_OUT, LATENT), maps).mean().item()
    help = "the judge works out -log p(x) from your weights: noise in every draw, a free logvar, and KL in the loss"
    assert_beats(nats, BETTER * baseline, name="nats per held-out digit", higher=False, help=help)
    model, _ = train(FEW, DEAR)
    rate = _rate(*_posterior(_float64(model, DIGIT, CHANNELS, LATENT), held_out)).mean().item()
    help = "with beta 4 the code is not worth its price, and the rate must fall to nearly nothing: is beta used?"
    assert_beats(rate, COLLAPSED, name="nats of rate with beta 4", higher=False, help=help)
