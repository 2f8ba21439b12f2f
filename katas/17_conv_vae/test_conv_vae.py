"""The suite of kata 17: torch.distributions for every probability, PyTorch's own layers for the network."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from grader.checks import (
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
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

# Images in the batch, shape of an image, channels, latent dimensions, draws: no two alike where they could be mixed up.
NETWORKS = [
    (3, (1, 8, 8), [4, 5], 2, 6),
    (2, (2, 4, 12), [3], 5, 4),
    (1, (1, 16, 8), [2, 3, 4], 6, 3),
    (4, (3, 8, 4), [5, 2], 3, 2),
    (2, (1, 6, 10), [4], 1, 5),
]
TALL = (1101, (1, 4, 2), [2], 3, 2)
DIGIT, CHANNELS, LATENT, HELD_OUT = (1, 8, 8), [16, 32], 8, 397
STEPS, BATCH, LEARNING_RATE, DRAWS = 100, 48, 0.012, 5
BETTER = 0.9  # of the nats that the mean image needs: right ones 0.79 to 0.83, an unused code 0.99, no noise 2.4
DEAR, FEW = 4.0, 30  # a beta at which the code is not worth its price, and the steps that show it
EXACT = 1e-8  # at a small angle, where arc and line differ by 1e-5, and for what float32 must not pass for
COLLAPSED = 1.0  # nats of rate: 0.1 with that beta, 3 with beta 1
PARTS, LOSSES = ("logits", "mean", "logvar"), ("loss", "distortion", "rate")


def _binary(rng, *shape):
    return torch.from_numpy((rng.random(shape) < 0.4).astype(np.float64))


class _Oracle(nn.Module):
    """The same network of PyTorch's layers, in float64 and under the same names."""

    def __init__(self, image, channels, latent):
        super().__init__()
        self.maps = (channels[-1], image[1] >> len(channels), image[2] >> len(channels))
        self.encoder = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise([image[0], *channels]))
        self.mean_head, self.logvar_head = (nn.Linear(prod(self.maps), latent) for _ in range(2))
        self.project = nn.Linear(latent, prod(self.maps))
        layers = pairwise([*channels[::-1], image[0]])
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in layers)
        self.double()

    def encode(self, x):
        for layer in self.encoder:
            x = F.elu(layer(x))
        return self.mean_head(x.flatten(1)), self.logvar_head(x.flatten(1))

    def draw(self, mean, logvar, eps):
        return _gaussian(mean, logvar).scale * eps + mean

    def decode(self, z):
        x = self.project(z).unflatten(1, self.maps)
        for layer in self.decoder:
            x = layer(F.elu(x))
        return x

    def forward(self, x, eps):
        mean, logvar = self.encode(x)
        return self.decode(self.draw(mean, logvar, eps)), mean, logvar

    @property
    def names(self):
        return [name for name, _ in self.named_parameters()]


def _shapes(oracle):
    return {name: tuple(tensor.shape) for name, tensor in oracle.named_parameters()}


def _make(solution, image, channels, latent, dtype=torch.float64):
    """The learner's new model, found to hold the tensors that the statement names."""
    model = solution.ConvVAE(tuple(image), list(channels), latent, dtype=dtype)
    return assert_state(model, _shapes(_Oracle(image, channels, latent)), dtype=dtype, name="ConvVAE")


def _pair(solution, rng, image, channels, latent):
    """The learner's model and the oracle, both in float64 with the same weights."""
    model, oracle = _make(solution, image, channels, latent), _Oracle(image, channels, latent)
    weights = {}
    for name, size in _shapes(oracle).items():
        weights[name] = normal(rng, *size) / (prod(size[1:]) ** 0.5 if len(size) > 1 else 2)
    load_state(oracle, weights)
    return load_state(model, weights), oracle


def _judges(model, image, channels, latent):
    """The oracle with the weights that the learner's model has now."""
    oracle = _Oracle(image, channels, latent)
    return load_state(oracle, {name: value.double() for name, value in state_of(model, oracle.names).items()})


def _gaussian(mean, logvar):
    return Normal(mean, logvar.exp().sqrt(), validate_args=False)


def _log_p(logits, x):
    return Bernoulli(logits=logits, validate_args=False).log_prob(x).flatten(1).sum(1)


def _loss(logits, x, mean, logvar, beta):
    distortion = -_log_p(logits, x)
    rate = kl_divergence(_gaussian(mean, logvar), Normal(0.0, 1.0)).sum(1)
    return (distortion + beta * rate).mean(), distortion, rate


def _estimate(oracle, x, eps):
    """log p(x) from K draws; densities by torch.distributions, their mean taken in logarithms."""
    mean, logvar = oracle.encode(x)
    ratios = []
    for noise in eps:
        z = oracle.draw(mean, logvar, noise)
        densities = Normal(0.0, 1.0).log_prob(z) - _gaussian(mean, logvar).log_prob(z)
        ratios.append(_log_p(oracle.decode(z), x) + densities.sum(1))
    return torch.stack(ratios).logsumexp(0) - np.log(len(eps))


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


def _assert_likelihood(solution, rng, count, image, scale, *, gradients):
    """bernoulli_log_likelihood and beta_loss, for logits and means `scale` times as large."""
    x, logits = _binary(rng, count, *image), scale * normal(rng, count, *image)
    x[-1], logits[-1] = x[0].clone(), logits[0].clone()  # an image that is there twice counts twice
    help = "a sum over channels, rows and columns, of pixels that are 1 and pixels that are 0; no exp of a large logit"
    name = text("bernoulli_log_likelihood with logits of order {scale}", scale=scale)
    inputs, settings = {"logits": logits, "x": x}, {"fixed": ["x"], "gradients": gradients}
    assert_agrees(solution.bernoulli_log_likelihood, _log_p, inputs, rng, **settings, name=name, help=help)
    mean, logvar = scale * normal(rng, count, 3), normal(rng, count, 3)
    for beta in (0.0, 1.0, float(rng.uniform(2, 5))):
        for spread in (logvar, logvar + 14.0, logvar - 14.0):
            gaussian = {"mean": mean, "logvar": spread, "beta": beta}
            gaussian["mean"][-1], gaussian["logvar"][-1] = mean[0].clone(), spread[0].clone()
            help = "the closed form of KL, summed over Z; beta enters the loss alone, which is a mean over images"
            given = {**inputs, **gaussian}
            assert_agrees(solution.beta_loss, _loss, given, rng, **settings, name=LOSSES, help=help)


def _assert_network(solution, rng, size, scale, *, gradients):
    """encode, draw, decode and forward, for images and codes `scale` times as large."""
    count, image, channels, latent, _ = size
    model, oracle = _pair(solution, rng, image, channels, latent)
    x, (mean, logvar, eps) = scale * normal(rng, count, *image), (normal(rng, count, latent) for _ in range(3))
    more = {"modules": (model, oracle), "gradients": gradients}
    help = "an ELU after every convolution, flattened channel by channel; nothing follows the heads, nothing is clamped"
    inner = [name for name in oracle.names if name.startswith(("encoder", "mean", "logvar"))]
    assert_agrees(model.encode, oracle.encode, {"x": x}, rng, **more, parameters=inner, name=PARTS[1:], help=help)
    help = "noise times a standard deviation; what you are given is the logarithm of a variance"
    for spread in (logvar, logvar + 14.0, logvar - 14.0):
        given = {"mean": scale * mean, "logvar": spread, "eps": eps}
        assert_agrees(model.draw, oracle.draw, given, rng, **more, name="the draws", help=help)
    help = "a linear layer, maps in the order of reshape, an ELU before every transposed convolution, none after"
    outer = [name for name in oracle.names if name not in inner]
    assert_agrees(
        model.decode, oracle.decode, {"z": scale * eps}, rng, **more, parameters=outer, name="logits", help=help
    )
    help = "forward is encode, draw and decode, one after the other, with the noise that is given"
    for noise in (eps, torch.zeros_like(eps)):
        given = {"x": x, "eps": noise}
        assert_agrees(model, oracle, given, rng, **more, parameters=oracle.names, name=PARTS, help=help)


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one image and for several, and depends on the images."""
    for index, (count, image, channels, latent, draws) in enumerate(NETWORKS):
        dtype, seen = (torch.float32, torch.float64)[index % 2], []
        model = _make(solution, image, channels, latent, dtype)
        eps = normal(rng, draws, count, latent).to(dtype)
        for x in (torch.zeros(count, *image, dtype=dtype), torch.ones(count, *image, dtype=dtype)):
            mean, logvar = assert_parts(model.encode(x), PARTS[1:], name="encode")
            logits, *again = assert_parts(model(x, eps[0]), PARTS, name="forward")
            z = model.draw(mean, logvar, eps[0])
            for value, name in zip((mean, logvar, z, *again), ("mean", "logvar", "z", *PARTS[1:]), strict=True):
                assert_shape(value, (count, latent), dtype=dtype, name=name)
            assert_shape(logits, (count, *image), dtype=dtype, name="the logits of forward")
            assert_shape(model.decode(z), (count, *image), dtype=dtype, name="the logits of decode")
            log_p = solution.bernoulli_log_likelihood(logits, x)
            assert_shape(log_p, (count,), dtype=dtype, name="bernoulli_log_likelihood")
            losses = assert_parts(solution.beta_loss(logits, x, mean, logvar, 2.0), LOSSES, name="beta_loss")
            for value, name in zip(losses, LOSSES, strict=True):
                assert_shape(value, () if name == "loss" else (count,), dtype=dtype, name=name)
            estimate = solution.log_likelihood(model, x, eps)
            assert_shape(estimate, (count,), dtype=dtype, name="log_likelihood")
            seen.append((mean, logvar, logits, losses[0], estimate))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "black and white images give the same result"
        start, end = normal(rng, 2, latent + 1).to(dtype).unbind()
        path = solution.interpolate(start, end, draws)
        assert_shape(path, (draws, latent + 1), dtype=dtype, name="the path of interpolate")
    batches, noise = torch.zeros(3, count, dtype=torch.int64), normal(rng, 3, count, latent).to(dtype)
    losses = solution.fit(model, x, batches, noise, [0.0, 1.0, 2.0], 0.01)
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_bernoulli_log_likelihood(solution, rng, mutated):
    """The log-likelihood agrees with torch.distributions.Bernoulli, and holds for logits as large as 1000."""
    help = "exp(1000) is infinite and the sigmoid of 60 exactly 1: no exp of a large logit, no log of a sigmoid"
    for count, image, *_ in NETWORKS:
        for size in (1.0, 60.0, 1000.0):
            x, logits = _binary(rng, count, *image), normal(rng, count, *image)
            x[:, :, 0, :2], x[:, :, 1, :2] = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
            logits[:, :, 0, :2], logits[:, :, 1, :2] = size, -size
            name = text("the log-likelihood with logits of {size:.0f}", size=size)
            assert_close(solution.bernoulli_log_likelihood(logits, x), _log_p(logits, x), name=name, help=help)
    assert_unchanged(mutated)


@pytest.mark.value
def test_beta_loss(solution, rng, mutated):
    """Distortion and rate are numbers per image; the loss weighs the rate with beta and averages over images."""
    for count, image, *_ in (*NETWORKS, (5001, (1, 2, 1))):
        for scale in (1, 60):
            _assert_likelihood(solution, rng, count, image, scale, gradients=False)
        zeros, x = torch.zeros(count, 4, dtype=torch.float64), _binary(rng, count, *image)
        _, _, rate = assert_parts(solution.beta_loss(x, x, zeros, zeros, 1.0), LOSSES, name="beta_loss")
        assert_close(rate, zeros[:, 0], name="the rate of a code that says nothing")
    assert_unchanged(mutated)


@pytest.mark.value
def test_network_with_given_weights(solution, rng, mutated):
    """With given weights, encode, draw, decode and forward give the stated network's numbers, for oblong images too."""
    for size in (*NETWORKS, TALL):
        _assert_network(solution, rng, size, 1, gradients=False)
    _assert_network(solution, rng, NETWORKS[1], 60, gradients=False)
    assert_unchanged(mutated)


@pytest.mark.behaviour
def test_sizes_that_cannot_be_halved(solution):
    """Images whose rows or columns leave a remainder when they are halved are refused, all others accepted."""
    for image, channels in (((1, 9, 8), [3]), ((1, 8, 9), [3]), ((1, 8, 6), [2, 3]), ((2, 12, 8), [2, 3, 4])):
        try:
            assert_raises(ValueError, solution.ConvVAE, image, channels, 2)
        except AssertionError:
            message = "images {image} cannot be halved {times} times: ConvVAE must raise ValueError"
            assert_that(False, message, image=image, times=len(channels))
    for image, channels in (((1, 6, 2), [3]), ((1, 12, 4), [2, 3]), ((2, 8, 24), [2, 3, 4])):
        _make(solution, image, channels, 2)


@pytest.mark.value
def test_training(solution, rng, mutated):
    """From given weights, batches, noise and betas, the losses of twelve steps and the weights after them are right."""
    cases = zip((*NETWORKS, NETWORKS[0], NETWORKS[0]), (11, 11, 1, 1101, 11, 11, 11), (12,) * 6 + (1,), strict=True)
    for place, ((count, image, channels, latent, _), most, steps) in enumerate(cases):
        model, oracle = _pair(solution, rng, image, channels, latent)
        model.train(place % 2 == 0)
        images, noise = _binary(rng, most, *image), normal(rng, steps, count, latent)
        batches = torch.from_numpy(rng.integers(0, most, (count, steps))).T
        batches[-1, -1] = batches[-1, 0]  # one image twice
        rate = 0.0 if place == 4 else float(rng.uniform(0.003, 0.01))
        betas = [float(beta) for beta in rng.uniform(0.3, 2, steps)]
        betas[-1] = 0.0 if place == 0 else betas[-1]
        losses = solution.fit(model, images, batches, noise, betas, rate)

        def values(oracle=oracle, images=images, batches=batches, noise=noise, betas=betas):
            for rows, eps, beta in zip(batches, noise, betas, strict=True):
                logits, mean, logvar = oracle(images[rows], eps)
                yield _loss(logits, images[rows], mean, logvar, beta)[0]

        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        help = "one Adam for all steps, each with its own beta and the gradient of that step alone"
        assert_trained(losses, model, oracle, values(), adam, parameters=oracle.names, weights_tol=1e-6, help=help)
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.value
def test_log_likelihood(solution, rng, mutated):
    """log p(x) is the logarithm of a mean of weights, also where every weight is too small for a float."""

    def compare(model, oracle, x, eps, name):
        help = (
            "each weight has three factors: pixels given the code, code under the prior, code under its own Gaussian "
            "(that one divides); then the mean over the draws, and the logarithm last, of each image by itself"
        )
        assert_agrees(
            lambda x, eps: solution.log_likelihood(model, x, eps), lambda x, eps: _estimate(oracle, x, eps),
            {"x": x, "eps": eps}, rng, modules=(model, oracle), gradients=False, tol=EXACT, name=name, help=help,
        )  # fmt: skip

    for count, image, channels, latent, draws in (*NETWORKS, TALL):
        model, oracle = _pair(solution, rng, image, channels, latent)
        x, eps = _binary(rng, count, *image), normal(rng, draws, count, latent)
        compare(model, oracle, x, eps, "log_likelihood")
        compare(model, oracle, x, eps[:1], "log_likelihood with one draw")
        x[0], x[count - 1] = 1, 0  # so different that one image's weights are nothing beside the other's
        for logit in (50.0, -50.0):
            bias = f"decoder.{len(channels) - 1}.bias"
            for each in (model, oracle):
                load_state(each, {bias: torch.full((image[0],), logit)})
            compare(model, oracle, x, eps, text("log_likelihood with logits near {logit:.0f}", logit=logit))
    assert_unchanged(mutated)


@pytest.mark.value
def test_interpolate(solution, rng, mutated):
    """A walk has both ends, equal angles, and does not cut the corner; only between parallel codes it is straight."""
    for points, latent in ((2, 3), (3, 5), (5, 7), (8, 4), (6, 9), (13, 5001), (1200, 2)):
        start, end = normal(rng, 2, latent)
        for first, last in ((start, end), (start, 3 * end), (60 * start, end * start.norm() / end.norm())):
            path = solution.interpolate(first, last, points)
            help = "both ends belong to the path; the angle is that between the codes, whatever their lengths"
            name = text("the path with {points} points", points=points)
            assert_close(path, _walk(first, last, points), name=name, help=help)
        close = start + 0.03 * end * start.norm() / end.norm()
        help = "a small angle is an angle: the straight line is for codes that point the same way"
        path = solution.interpolate(start, close, points + 1)
        assert_close(path, _walk(start, close, points + 1), tol=EXACT, name="the path at a small angle", help=help)
        t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
        for code, times in ((start, 1.0), (start, 2.5), (start[:1], 2.5)):
            path = solution.interpolate(code, times * code, points)
            help = "the angle is 0: the formula divides 0 by 0, and rounding can make the cosine larger than 1"
            expected = (1 - t + t * times) * code
            assert_close(path, expected, name="the path between parallel codes", help=help)
    assert_unchanged(mutated)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every parameter, the logits, the Gaussian, the images and the noise."""
    for size, scale in zip(NETWORKS, (1, 60, 1, 1, 1), strict=True):
        _assert_likelihood(solution, rng, size[0], size[1], scale, gradients=True)
        _assert_network(solution, rng, size, scale, gradients=True)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """An answer depends on its own image and noise alone, not on neighbours or earlier calls; arguments stay."""
    for count, image, channels, latent, draws in NETWORKS:
        model, oracle = _pair(solution, rng, image, channels, latent)
        before = state_of(model, oracle.names)
        x, eps = _binary(rng, count + 1, *image), normal(rng, draws, count + 1, latent)
        x[0], x[1] = 0, 1

        def answers(rows, model=model, x=x, eps=eps):
            parts = assert_parts(model(x[rows], eps[0, rows]), PARTS, name="forward")
            result = solution.beta_loss(parts[0], x[rows], *parts[1:], 1.5)
            _, distortion, rate = assert_parts(result, LOSSES, name="beta_loss")
            log_p = solution.log_likelihood(model, x[rows], eps[:, rows])
            names = (*PARTS, "distortion", "rate", "log_likelihood")
            return dict(zip(names, (*parts, distortion, rate, log_p), strict=True))

        together, order = answers(torch.arange(count + 1)), torch.from_numpy(rng.permutation(count + 1))
        shapes = {"logits": image, "mean": (latent,), "logvar": (latent,)}
        for key, value in together.items():
            assert_shape(value, (count + 1, *shapes.get(key, ())), dtype=torch.float64, name=key)
            assert_that((value[0] != value[1]).any(), "{key} is the same for a black and a white image", key=key)
        for rows in (order, torch.tensor([count])):
            for key, value in answers(rows).items():
                help = "an answer must depend on its own image and noise alone, and stay in its row"
                assert_close(value, together[key][rows], name=text("{key} in another batch", key=key), help=help)
        for key, value in state_of(model, before).items():
            name = text("{key} after the calls", key=key)
            assert_close(value, before[key], name=name, help="a call changed the weights")
    assert_unchanged(mutated)


@pytest.mark.behaviour
def test_fresh_parameters(solution):
    """First values are drawn as PyTorch's layers draw them: small for many inputs, and new for each model."""
    image, channels, latent = (10, 8, 12), [12, 14], 16
    laws = layer_laws(_shapes(_Oracle(image, channels, latent)))
    help = "uniform, within 1 / sqrt(product of all axes of the weight but the first) of zero"
    assert_drawn(lambda: _make(solution, image, channels, latent), laws, name="ConvVAE", help=help)


def _digits(rng):
    """The 1797 real digits, 8x8 pixels, inked where half the full ink or more; shuffled, then split."""
    from sklearn.datasets import load_digits

    inked = torch.from_numpy((load_digits().images[:, None] >= 8).astype(np.float32))
    shuffled = inked[torch.from_numpy(rng.permutation(len(inked)))]
    return shuffled[HELD_OUT:], shuffled[:HELD_OUT].double()


@pytest.mark.convergence
def test_explains_held_out_digits(solution, rng, record):
    """Trained on real digits it explains new ones far better than the mean image; a dear code is left unused."""
    images, held_out = _digits(rng)
    sizes = DIGIT, CHANNELS, LATENT

    def train(steps, beta):
        """The oracle with the weights that the learner's loop ends with, and the losses."""
        model = _make(solution, *sizes, torch.float32)
        batches = torch.from_numpy(rng.integers(0, len(images), (steps, BATCH)))
        noise = torch.from_numpy(rng.normal(size=(steps, BATCH, LATENT))).float()
        begun = _judges(model, *sizes)
        losses = solution.fit(model, images, batches, noise, [beta] * steps, LEARNING_RATE)
        assert isinstance(losses, list) and len(losses) == steps, "fit must return a list with one loss per step"
        x = images[batches[0]].double()
        logits, mean, logvar = begun(x, noise[0].double())
        first = _loss(logits, x, mean, logvar, beta)[0].item()
        assert_trajectory(losses[:1], [first], tol=1e-4, name="the first loss of fit")
        return _judges(model, *sizes), losses

    (judge, losses), (dear, _) = train(STEPS, 1.0), train(FEW, DEAR)
    with torch.no_grad():
        ink = (images.double().sum(0) + 1) / (len(images) + 2)
        baseline = -_log_p(torch.logit(ink).expand_as(held_out), held_out).mean().item()
        record.curve("negative ELBO in nats per image, beside the mean image", losses, baseline=baseline)
        means, _ = judge.encode(held_out)
        first, *others = held_out[:20]
        other = int(torch.stack([(first - image).abs().sum() for image in others]).argmax()) + 1
        path = solution.interpolate(means[0].float(), means[other].float(), 8)
        assert_shape(path, (8, LATENT), name="the path of interpolate")
        walk = torch.sigmoid(judge.decode(path.double()))
        blend = torch.stack([(1 - t) * first + t * held_out[other] for t in torch.linspace(0, 1, 8)])
        both = torch.cat([walk, blend])[:, 0].numpy()
        record.images("a walk between two held-out digits in codes, then in pixels", both)
        samples = torch.sigmoid(judge.decode(normal(rng, 16, LATENT)))
        record.images("samples from the prior", samples[:, 0].numpy())

        nats = -_estimate(judge, held_out, normal(rng, DRAWS, HELD_OUT, LATENT)).mean().item()
        help = "the judge works out -log p(x) from your weights: noise in every draw, a free logvar, and KL in the loss"
        assert_beats(nats, BETTER * baseline, name="nats per held-out digit", higher=False, help=help)
        *_, rate = _loss(held_out, held_out, *dear.encode(held_out), DEAR)
        help = "with beta 4 the code is not worth its price, and the rate must fall to nearly nothing: is beta used?"
        assert_beats(rate.mean().item(), COLLAPSED, name="nats of rate with beta 4", higher=False, help=help)
