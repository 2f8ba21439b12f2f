"""The suite of kata 05: losses in closed form, who moves in which step, probes whose optimum is known, and digits."""

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

# Real images, forgeries, pixels, noise, hidden units of the generator and of the discriminator; all differ in a case.
SIZES = [(4, 3, 9, 2, 6, 5), (1, 2, 7, 3, 5, 4), (3, 5, 6, 4, 8, 7), (6, 1, 8, 5, 3, 2), (2, 6, 5, 3, 4, 8)]
TOL, SAME = 1e-8, 1e-9
# Far out the logarithm of a sigmoid loses its digits, and exp overflows: in float32 long before float64.
LADDER, EXACT = (8.0, 20.0, 60.0, 200.0), ((torch.float64, TOL), (torch.float32, 1e-5))
LARGE = "sigmoid(60) rounds to 1, exp(200) overflows float32; which form of -log p needs neither?"
SURE = "where the discriminator is sure of a forgery the slope is -1 / N: minimise -log p, not log(1 - p)"
PARAMETERS = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")

STEPS, BATCH, NOISE, FORGER, DETECTIVE, LEARNING_RATE = 300, 64, 16, 128, 256, 0.002
BAR = 0.7  # of the mean image's distance: right ones reach 0.28 to 0.45, an untrained generator 1.6, one fed noise 2.9


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _images(rng, count, pixels):
    return torch.tanh(_normal(rng, count, pixels))


def _shapes(inputs, hidden, outputs):
    shapes = (hidden, inputs), (hidden,), (outputs, hidden), (outputs,)
    return dict(zip(PARAMETERS, shapes, strict=True))


def _make(solution, size, dtype):
    """Both of the learner's networks, new."""
    _, _, pixels, noise, forger, detective = size
    generator = solution.Generator(noise, forger, pixels, dtype=dtype)
    discriminator = solution.Discriminator(pixels, detective, dtype=dtype)
    assert_state(generator, _shapes(noise, forger, pixels), dtype=dtype, name="Generator")
    return generator, assert_state(discriminator, _shapes(pixels, detective, 1), dtype=dtype, name="Discriminator")


def _networks(solution, rng, size):
    """Both networks in float64 with given weights, and those weights."""
    models = _make(solution, size, torch.float64)
    weights = []
    for model in models:
        before = state_of(model, PARAMETERS)
        weights.append({k: _normal(rng, *value.shape) / value.shape[-1] ** 0.5 for k, value in before.items()})
        load_state(model, weights[-1])
    return *models, *weights


def _same(model, before, name, step):
    """A network that was to be left alone is bit for bit what it was."""
    moved = [key for key, value in state_of(model, before).items() if not torch.equal(value, before[key])]
    assert not moved, f"{step} moves {', '.join(moved)} of the {name}: whose parameters does its optimiser have?"


def _linear(weights, name, value):
    return F.linear(value, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _hidden(weights, value):
    value = _linear(weights, "hidden", value)
    return torch.where(value > 0, value, 0.2 * value)


def _forge(weights, z):
    return torch.tanh(_linear(weights, "output", _hidden(weights, z)))


def _judge(weights, images):
    return _linear(weights, "output", _hidden(weights, images))[:, 0]


def _surprise(logits, real):
    """The mean of -log of the probability that these logits give to the truth, by torch's own loss."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def _logits(discriminator, images):
    logits = discriminator(images)
    assert_shape(logits, (len(images),), dtype=images.dtype, name="logits", help="one number per image, not a column")
    return logits


def _number(loss, name):
    assert isinstance(loss, float), f"{name} must return a Python float, the loss before its update"
    assert math.isfinite(loss), f"the loss of {name} is {loss}"
    return loss


@pytest.mark.shape
def test_shapes(solution, rng):
    """Forgeries, logits and losses have the stated shapes and dtypes; forgeries are pixels from -1 to 1"""
    for index, size in enumerate(SIZES):
        real_count, fakes, pixels, noise, *_ = size
        dtype = (torch.float32, torch.float64)[index % 2]
        generator, discriminator = _make(solution, size, dtype)
        real, z = _images(rng, real_count, pixels).to(dtype), 30 * _normal(rng, fakes, noise).to(dtype)
        images = generator(z)
        assert_shape(images, (fakes, pixels), dtype=dtype, name="forgeries")
        assert (images != generator(-z)).any(), "other noise gives the same forgery"
        assert images.abs().max() <= 1, "forgeries must lie between -1 and 1, where real pixels lie"
        of_real, of_fake = _logits(discriminator, real), _logits(discriminator, images)
        assert (of_fake != _logits(discriminator, -images)).any(), "other images get the same logits"
        loss = solution.discriminator_loss(of_real, of_fake)
        assert_shape(loss, (), dtype=dtype, name="discriminator_loss")
        assert_shape(solution.generator_loss(of_fake), (), dtype=dtype, name="generator_loss")
        gan = solution.GAN(generator, discriminator, 0.01)
        _number(gan.discriminator_step(real, z), "discriminator_step")
        _number(gan.generator_step(z), "generator_step")
    batches, z = torch.zeros(3, 2, dtype=torch.int64), _normal(rng, 3, 2, 2, noise).to(dtype)
    losses = solution.fit(gan, real, batches, z)
    pairs = isinstance(losses, list) and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in losses)
    assert pairs and len(losses) == 3, "fit must return a list with one pair of losses per step"
    for pair in losses:
        _number(pair[0], "fit"), _number(pair[1], "fit")


@pytest.mark.value
def test_discriminator_loss(solution, rng):
    """The discriminator's loss is the surprise at real images plus that at forgeries, for logits of any size"""
    help = "logits, not probabilities; real counts as 1, forged as 0; two means, added and not averaged"
    for real_count, fakes, *_ in SIZES:
        real, fake = 2 * _normal(rng, real_count), 2 * _normal(rng, fakes)
        expected = _surprise(real, 1) + _surprise(fake, 0)
        assert_close(solution.discriminator_loss(real, fake), expected, tol=TOL, name="discriminator_loss", help=help)
    nothing = torch.zeros(3, dtype=torch.float64)
    expected = torch.tensor(2 * math.log(2), dtype=torch.float64)
    assert_close(solution.discriminator_loss(nothing, nothing[:2]), expected, tol=TOL, name="the loss of not knowing")
    for dtype, tol in EXACT:
        for logit in LADDER:
            real, fake = torch.tensor([-logit, logit], dtype=dtype), torch.tensor([logit, logit, -logit], dtype=dtype)
            expected = (_surprise(real.double(), 1) + _surprise(fake.double(), 0)).to(dtype)
            name, help = f"discriminator_loss in {str(dtype)[6:]}", f"logits of {logit:g} and {-logit:g}: {LARGE}"
            assert_close(solution.discriminator_loss(real, fake), expected, tol=tol, name=name, help=help)


@pytest.mark.value
def test_generator_loss(solution, rng):
    """The generator's loss is the surprise of a forgery that is taken for real, and its gradient does not vanish"""
    for _, fakes, *_ in SIZES:
        logits = 2 * _normal(rng, fakes)
        free = logits.clone().requires_grad_()
        loss = solution.generator_loss(free)
        help = "-log p(real) of forgeries: its sign, its logits, and the mean over images"
        assert_close(loss, _surprise(logits, 1), tol=TOL, name="generator_loss", help=help)
        (gradient,) = torch.autograd.grad(loss, free)
        expected = (torch.sigmoid(logits) - 1) / len(logits)
        assert_close(gradient, expected, tol=TOL, name="gradient of generator_loss", help=SURE)
    for dtype, tol in EXACT:
        for logit in LADDER:
            free = torch.tensor([-logit, logit, logit], dtype=dtype, requires_grad=True)
            loss, name = solution.generator_loss(free), f"generator_loss in {str(dtype)[6:]}"
            expected = _surprise(free.detach().double(), 1).to(dtype)
            assert_close(loss, expected, tol=tol, name=name, help=f"logits of {logit:g} and {-logit:g}: {LARGE}")
            (gradient,) = torch.autograd.grad(loss, free)
            expected = -torch.sigmoid(-free.detach()) / len(free)
            assert_close(gradient, expected, tol=tol, name=f"gradient of {name}", help=SURE)


@pytest.mark.value
def test_networks_with_given_weights(solution, rng):
    """With given weights, forgeries and logits are those of the stated networks"""
    for size in SIZES:
        generator, discriminator, forger, detective = _networks(solution, rng, size)
        z, images = 2 * _normal(rng, size[1], size[3]), _images(rng, size[0], size[2])
        help = "linear, LeakyReLU with slope 0.2, linear, tanh"
        assert_close(generator(z), _forge(forger, z), tol=TOL, name="forgeries", help=help)
        help = "linear, LeakyReLU with slope 0.2, linear, and nothing after it: a logit may be any number"
        assert_close(_logits(discriminator, images), _judge(detective, images), tol=TOL, name="logits", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the noise, the images and every parameter, through both networks one after the other"""
    for size in ((3, 2, 5, 2, 3, 4), (1, 2, 4, 3, 2, 3)):
        generator, discriminator, _, _ = _networks(solution, rng, size)
        z, real = _normal(rng, size[1], size[3]), _images(rng, size[0], size[2])

        def both(z, real, networks=(generator, discriminator)):
            fake = networks[1](networks[0](z))
            return solution.generator_loss(fake), solution.discriminator_loss(networks[1](real), fake)

        parameters = {f"generator.{name}": value for name, value in tensors_of(generator, PARAMETERS).items()}
        parameters |= {f"discriminator.{name}": value for name, value in tensors_of(discriminator, PARAMETERS).items()}
        help = "the networks and the losses must not cut the graph; only discriminator_step does"
        inputs = {"z": z, "real": real}
        assert_gradients(both, inputs, rng, parameters=parameters, name="gradient of the losses", help=help)


@pytest.mark.behaviour
def test_discriminator_step_moves_one_network(solution, rng):
    """discriminator_step moves every tensor of the discriminator and no tensor of the generator"""
    for size in SIZES:
        generator, discriminator, _, _ = _networks(solution, rng, size)
        gan = solution.GAN(generator, discriminator, 0.03)
        for _ in range(2):
            before, after = state_of(discriminator, PARAMETERS), state_of(generator, PARAMETERS)
            real, z = _images(rng, size[0], size[2]), _normal(rng, size[1], size[3])
            loss = _number(gan.discriminator_step(real, z), "discriminator_step")
            _same(generator, after, "generator", "discriminator_step")
            for name, value in state_of(discriminator, PARAMETERS).items():
                assert not torch.equal(value, before[name]), f"discriminator_step does not move {name}"
            expected = _surprise(_judge(before, real), 1) + _surprise(_judge(before, _forge(after, z)), 0)
            help = f"the loss before the update, of the {size[0]} given real images and of {size[1]} forgeries"
            assert_close(loss, expected.item(), tol=TOL, name="what discriminator_step returns", help=help)
            gan.generator_step(_normal(rng, size[1], size[3]))


@pytest.mark.behaviour
def test_generator_step_moves_one_network(solution, rng):
    """generator_step moves every tensor of the generator and no tensor of the discriminator"""
    for size in SIZES:
        generator, discriminator, _, _ = _networks(solution, rng, size)
        gan = solution.GAN(generator, discriminator, 0.03)
        for _ in range(2):
            before, after = state_of(generator, PARAMETERS), state_of(discriminator, PARAMETERS)
            z = _normal(rng, size[1], size[3])
            loss = _number(gan.generator_step(z), "generator_step")
            _same(discriminator, after, "discriminator", "generator_step")
            for name, value in state_of(generator, PARAMETERS).items():
                help = "does the gradient come through the discriminator to the generator?"
                assert not torch.equal(value, before[name]), f"generator_step does not move {name}: {help}"
            expected, help = _surprise(_judge(after, _forge(before, z)), 1), "the loss before the update"
            assert_close(loss, expected.item(), tol=TOL, name="what generator_step returns", help=help)
            gan.discriminator_step(_images(rng, size[0], size[2]), _normal(rng, size[1], size[3]))


@pytest.mark.value
def test_three_rounds(solution, rng):
    """From given weights, images and noise, three rounds of fit have the right losses, and the weights after them"""
    for size in SIZES:
        generator, discriminator, forger, detective = _networks(solution, rng, size)
        images, fakes = _images(rng, 11, size[2]), size[1]
        batches, noise = torch.from_numpy(rng.integers(0, 11, (3, fakes))), _normal(rng, 3, 2, fakes, size[3])
        rate = float(rng.uniform(0.01, 0.03))
        pairs = solution.fit(solution.GAN(generator, discriminator, rate), images, batches, noise)
        losses, expected = [_number(loss, "fit") for pair in pairs for loss in pair], []
        adams = []
        for weights in (forger, detective):
            for tensor in weights.values():
                tensor.requires_grad_()
            adams.append(torch.optim.Adam(weights.values(), lr=rate, betas=(0.5, 0.999)))
        for rows, z in zip(batches, noise, strict=True):
            fake = _forge(forger, z[0]).detach()
            first = _surprise(_judge(detective, images[rows]), 1) + _surprise(_judge(detective, fake), 0)
            _update(adams[1], detective, first)
            second = _surprise(_judge(detective, _forge(forger, z[1])), 1)
            _update(adams[0], forger, second)
            expected += [first.item(), second.item()]
        help = (
            "odd steps are the discriminator's losses, even ones the generator's: which update came just before, and "
            "did it clear the gradients that were left behind, and take its own images and noise?"
        )
        assert_trajectory(losses, expected, name="the losses of three rounds", help=help)
        help = "betas (0.5, 0.999), the rate that was given, one optimiser of each network for all rounds"
        for model, weights, name in ((generator, forger, "generator"), (discriminator, detective, "discriminator")):
            for key, value in state_of(model, weights).items():
                wanted = weights[key].detach()
                assert_close(value, wanted, name=f"{key} of the {name} after three rounds", help=help)


def _update(adam, weights, loss):
    for tensor, gradient in zip(weights.values(), torch.autograd.grad(loss, list(weights.values())), strict=True):
        tensor.grad = gradient
    adam.step()


@pytest.mark.behaviour
def test_a_fair_detective_learns_the_odds(solution, rng):
    """A discriminator that trains alone ends at the log-odds: how much oftener an image is real than forged"""
    generator, discriminator = _make(solution, (1, 1, 2, 2, 3, 16), torch.float64)
    load_state(generator, {name: torch.zeros_like(value) for name, value in state_of(generator, PARAMETERS).items()})
    gan, corners = solution.GAN(generator, discriminator, 0.03), torch.tensor([[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]])
    corners, often = corners.double(), int(rng.integers(2, 5))
    # Every forgery is the first corner. Of the real images `often` in 8 are, the others are the second and third.
    real = corners[torch.tensor([0] * often + [1, 2] * (8 - often))[:8]]
    z = _normal(rng, 8, 2)
    for _ in range(100):
        gan.discriminator_step(real, z)
    odds = _logits(discriminator, corners[:1]).item()
    wanted = math.log(often / 8)
    told = f"an image that is forged always and real {often} times in 8 has log-odds {wanted:.2f} to be real"
    assert abs(odds - wanted) < 0.3, f"{told}; after 100 steps your discriminator says {odds:.2f}"
    least = _logits(discriminator, corners[1:]).min().item()
    assert least > 1.5, f"an image that is never forged must get a large logit; yours says {least:.2f}"


@pytest.mark.behaviour
def test_a_forger_follows_the_detective(solution, rng):
    """Against a discriminator that likes certain pixels and stays as it is, the generator learns to paint these"""
    size = 1, 1, 6, 3, 12, 2
    generator, discriminator = _make(solution, size, torch.float64)
    taste = torch.from_numpy(rng.permutation([1.0, 1.0, 1.0, -1.0, -1.0, -1.0]))
    # The two hidden units see the same sum with either sign, so that the logit is linear in the pixels.
    weights = {"hidden.weight": torch.stack([taste, -taste]), "hidden.bias": torch.zeros(2, dtype=torch.float64)}
    weights |= {"output.weight": torch.tensor([[0.5, -0.5]]).double(), "output.bias": torch.zeros(1).double()}
    load_state(discriminator, weights)
    gan = solution.GAN(generator, discriminator, 0.05)
    losses = [gan.generator_step(_normal(rng, 16, 3)) for _ in range(60)]
    assert losses[-1] < losses[0] / 4, "against a discriminator that stands still the generator's loss must fall"
    painted = (generator(_normal(rng, 32, 3)).detach() * taste).mean().item()
    told = "a generator that follows paints the pixels that the discriminator likes, and leaves out the others"
    assert painted > 0.6, f"{told}: agreement 1 is perfect, 0 is chance, yours is {painted:.2f}"


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were, images do not hear of their neighbours, and new networks start afresh"""
    for size in SIZES:
        generator, discriminator, forger, detective = _networks(solution, rng, size)
        z, real = _normal(rng, size[1] + 1, size[3]), _images(rng, size[0] + 1, size[2])
        images, logits = generator(z), _logits(discriminator, real)
        generator(2 * z), discriminator(-real)
        solution.discriminator_loss(logits.detach(), logits.detach()[:1])
        solution.generator_loss(logits.detach())
        for row in range(len(z)):
            alone, help = generator(z[row : row + 1]), "what does one image hear of its neighbours or of earlier calls?"
            assert_close(alone, images[row : row + 1].detach(), tol=SAME, name="a forgery made alone", help=help)
        alone = _logits(discriminator, real[-1:])
        assert_close(alone, logits[-1:].detach(), tol=SAME, name="the logit of an image alone", help=help)
        for model, weights in ((generator, forger), (discriminator, detective)):
            for name, value in state_of(model, weights).items():
                assert torch.equal(value, weights[name]), f"{name} has changed, and there was no training"
        gan = solution.GAN(generator, discriminator, 0.01)
        gan.discriminator_step(real, z)
        gan.generator_step(z)
        solution.fit(gan, real, torch.zeros(2, 3).long(), _normal(rng, 2, 2, 3, size[3]))
        assert_unchanged(mutated, but=["gan of fit"])
    help = "as nn.Linear draws: uniform, within 1 / sqrt(inputs of the layer) of zero"
    laws = layer_laws(_shapes(20, 30, 40))
    assert_drawn(lambda: solution.Generator(20, 30, 40), laws, name="Generator", help=help)
    laws = layer_laws(_shapes(40, 25, 1))
    assert_drawn(lambda: solution.Discriminator(40, 25), laws, name="Discriminator", help=help)


def _distance(ours, theirs):
    """The Fréchet distance between two sets of images, as if each were Gaussian: 0 for the same mean and covariance."""
    first, second = np.cov(ours, rowvar=False), np.cov(theirs, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    both = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(((ours.mean(0) - theirs.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * both)


@pytest.mark.convergence
def test_forged_digits(solution, rng, record):
    """After 300 rounds the forgeries have means and covariances much nearer to held-out digits than a fixed image has"""
    from sklearn.datasets import load_digits

    digits = rng.permutation(load_digits().data) / 8 - 1
    held_out, training = digits[:397], digits[397:]
    size = 1, 1, 64, NOISE, FORGER, DETECTIVE
    gan = solution.GAN(*(networks := _make(solution, size, torch.float32)), LEARNING_RATE)
    batches = torch.from_numpy(rng.integers(0, len(training), (STEPS, BATCH)))
    noise = torch.from_numpy(rng.normal(size=(STEPS, 2, BATCH, NOISE))).float()
    losses = np.array(solution.fit(gan, torch.from_numpy(training).float(), batches, noise))
    assert losses.shape == (STEPS, 2), "fit must return one pair of losses per step"
    record.curve("the discriminator's loss (2 log 2: it cannot tell)", losses[:, 0], baseline=2 * math.log(2))
    record.curve("the generator's loss (log 2: taken for real half of the time)", losses[:, 1], baseline=math.log(2))
    z = torch.from_numpy(rng.normal(size=(1000, NOISE))).float()
    forged = networks[0](z).detach().double().numpy()
    record.images("forged digits", forged[:16].reshape(-1, 8, 8))
    record.images("real digits", held_out[:16].reshape(-1, 8, 8))
    fixed = np.repeat(training.mean(0, keepdims=True), 2, axis=0)
    score = _distance(forged, held_out) / _distance(fixed, held_out)
    help = "does the discriminator see real digits, and does the generator hear of what it says?"
    assert_beats(score, BAR, name="distance to real digits, of the mean image's", higher=False, help=help)
