"""The suite of kata 16: sizes, networks beside torch's layers, who moves in which step, and what batch norm remembers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Constant,
    Normal,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
    assert_raises,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    load_state,
    state_of,
    tensors_of,
)

# Images, noise, channels of the generator and of the discriminator, pixels of a side; no two are equal in a case.
SIZES = [(5, 3, 2, 4, 8), (2, 5, 3, 1, 4), (3, 2, 4, 5, 12), (6, 4, 1, 3, 8), (4, 1, 5, 2, 16)]
TOL, SAME = 1e-8, 1e-9
NAMES = "generator", "discriminator"

STEPS, BATCH, NOISE, FEATURES, LEARNING_RATE = 100, 32, 16, 16, 0.003
BAR = 0.8  # of the mean image's distance: right ones reach 0.4, a generator that nobody teaches 1.6


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _images(rng, count, side):
    return torch.tanh(_normal(rng, count, 1, side, side))


class _Forger(nn.Module):
    def __init__(self, noise, features, side):
        super().__init__()
        self.start = nn.ConvTranspose2d(noise, 2 * features, side // 4, bias=False)
        self.norm1 = nn.BatchNorm2d(2 * features)
        self.grow = nn.ConvTranspose2d(2 * features, features, 4, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(features)
        self.paint = nn.ConvTranspose2d(features, 1, 4, 2, 1)

    def forward(self, z):
        leaky = nn.LeakyReLU(0.2)
        x = leaky(self.norm1(self.start(z.unflatten(1, (-1, 1, 1)))))
        return self.paint(leaky(self.norm2(self.grow(x)))).tanh()


class _Detective(nn.Module):
    def __init__(self, features, side):
        super().__init__()
        self.look = nn.Conv2d(1, features, 4, 2, 1)
        self.shrink = nn.Conv2d(features, 2 * features, 4, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * features)
        self.judge = nn.Conv2d(2 * features, 1, side // 4)

    def forward(self, images):
        leaky = nn.LeakyReLU(0.2)
        return self.judge(leaky(self.norm(self.shrink(leaky(self.look(images))))))[:, 0, 0, 0]


# The names of the parameters of both networks.
FORGER, DETECTIVE = ([name for name, _ in net.named_parameters()] for net in (_Forger(1, 1, 4), _Detective(1, 4)))


def _oracles(size):
    _, noise, forger, detective, side = size
    return _Forger(noise, forger, side).double(), _Detective(detective, side).double()


def _named(tensors):
    return {name: tuple(tensor.shape) for name, tensor in tensors}


def _make(solution, size, dtype):
    """Both of the learner's networks, found to hold the tensors that the statement names."""
    _, noise, forger, detective, side = size
    made = solution.Generator(noise, forger, side, dtype=dtype), solution.Discriminator(detective, side, dtype=dtype)
    for model, oracle, name in zip(made, _oracles(size), ("Generator", "Discriminator"), strict=True):
        shapes, buffers = (_named(tensors) for tensors in (oracle.named_parameters(), oracle.named_buffers()))
        assert_state(model, shapes, buffers=buffers, dtype=dtype, name=name)
    return made


def _load(rng, model, oracle):
    """The same state in both, in which no bias and no running mean is zero and no scale is one."""
    state = {}
    for key, value in oracle.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state[key] = value
            continue
        fan_in = math.prod(value.shape[1:]) if value.ndim > 1 else 4
        state[key] = _normal(rng, *value.shape) / fan_in**0.5
        if key.endswith("running_var") or ("norm" in key and key.endswith("weight")):
            state[key] = state[key].abs() + 0.5
    load_state(model, state)
    oracle.load_state_dict(state)


def _networks(solution, rng, size):
    """The learner's networks and torch's with the same state, all in float64 and in training mode."""
    models, oracles = _make(solution, size, torch.float64), _oracles(size)
    for model, oracle in zip(models, oracles, strict=True):
        _load(rng, model, oracle)
    return *models, *oracles


def _game(solution, rng, size, rate):
    """The learner's DCGAN around networks whose weights are given after it has drawn its own."""
    models, oracles = _make(solution, size, torch.float64), _oracles(size)
    gan = solution.DCGAN(*models, rate)
    for model, oracle in zip(models, oracles, strict=True):
        _load(rng, model, oracle)
    return gan, *models, *oracles


def _surprise(logits, real):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def _logits(discriminator, images):
    logits = discriminator(images)
    assert_shape(logits, (len(images),), dtype=images.dtype, name="logits", help="one number per image")
    return logits


def _number(loss, name):
    assert isinstance(loss, float), f"{name} must return a Python float, the loss before its update"
    assert math.isfinite(loss), f"the loss of {name} is {loss}"
    return loss


@pytest.mark.shape
def test_shapes(solution, rng):
    """Forgeries, logits and losses have the stated shapes and dtypes at every size of image"""
    for index, size in enumerate(SIZES):
        count, noise, _, _, side = size
        dtype = (torch.float32, torch.float64)[index % 2]
        generator, discriminator = _make(solution, size, dtype)
        z, real = _normal(rng, count, noise).to(dtype), _images(rng, count, side).to(dtype)
        images = generator(z)
        assert_shape(images, (count, 1, side, side), dtype=dtype, name="forgeries", help="two doublings from Y / 4")
        assert images.abs().max() <= 1, "forgeries must lie between -1 and 1, where real pixels lie"
        assert (images != generator(z.flip(0))).any(), "other noise gives the same forgery"
        assert (_logits(discriminator, images) != _logits(discriminator, real)).any(), "all images get the same logits"
        gan = solution.DCGAN(generator, discriminator, 0.01)
        assert_shape(gan.forge(z[:1]), (1, 1, side, side), dtype=dtype, name="the result of forge")
        _number(gan.discriminator_step(real, z), "discriminator_step")
        _number(gan.generator_step(z), "generator_step")
    batches, z = torch.zeros(3, 2, dtype=torch.int64), _normal(rng, 3, 2, 2, noise).to(dtype)
    losses = solution.fit(gan, real, batches, z)
    pairs = isinstance(losses, list) and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in losses)
    assert pairs and len(losses) == 3, "fit must return a list with one pair of losses per step"
    for loss in (loss for pair in losses for loss in pair):
        _number(loss, "fit")


@pytest.mark.value
def test_grown_size(solution, rng):
    """The size of a transposed convolution's result is that of torch's layer"""
    for _ in range(12):
        size, kernel, stride = (int(number) for number in rng.integers(1, 6, 3))
        padding = int(rng.integers(0, (kernel + 1) // 2))
        layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding)
        wanted = layer(torch.zeros(1, 1, size, size)).shape[2] if (size - 1) * stride + kernel > 2 * padding else None
        if wanted is None:
            continue
        found = solution.grown_size(size, kernel, stride, padding)
        told = f"size {size}, kernel {kernel}, stride {stride}, padding {padding}"
        assert isinstance(found, int), "grown_size must return a whole number"
        assert found == wanted, f"{told}: the result has {wanted} pixels a side, not {found}"


@pytest.mark.behaviour
def test_sizes_that_do_not_fit(solution):
    """Sides that two doublings cannot reach are refused when the network is made, not when it is used"""
    for side in (6, 2, 0, 10, 9):
        assert_raises(ValueError, solution.Generator, 3, 2, side)
        assert_raises(ValueError, solution.Discriminator, 2, side)


@pytest.mark.value
def test_networks_with_given_weights(solution, rng):
    """With given weights, forgeries and logits are those of torch's layers, in training and in evaluation mode"""
    for size in SIZES:
        count, noise, _, _, side = size
        generator, discriminator, forger, detective = _networks(solution, rng, size)
        z, images = _normal(rng, count, noise), _images(rng, count, side)
        for mode in (True, False):
            told = "in training mode" if mode else "in evaluation mode"
            for model in (generator, discriminator, forger, detective):
                model.train(mode)
            help = "norm, then LeakyReLU with slope 0.2, after start and grow; paint and tanh at the end"
            assert_close(generator(z), forger(z).detach(), tol=TOL, name=f"forgeries {told}", help=help)
            help = "LeakyReLU after look, norm and LeakyReLU after shrink, nothing after judge"
            found, expected = _logits(discriminator, images), detective(images).detach()
            assert_close(found, expected, tol=TOL, name=f"logits {told}", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the noise, the images and every parameter, through both networks one after the other"""
    for size in ((3, 2, 1, 2, 4),):
        generator, discriminator, forger, detective = _networks(solution, rng, size)
        inputs = {"z": _normal(rng, size[0], size[1])}

        def deceive(z, networks=(generator, discriminator)):
            return networks[1](networks[0](z))

        parameters = {f"generator.{name}": value for name, value in tensors_of(generator, FORGER).items()}
        parameters |= {f"discriminator.{name}": value for name, value in tensors_of(discriminator, DETECTIVE).items()}
        help = "the networks must not cut the graph; only discriminator_step does"
        assert_gradients(
            deceive, inputs, rng, parameters=parameters, tol=1e-5, name="gradient of the logits", help=help
        )
    for size in SIZES:
        generator, discriminator, forger, detective = _networks(solution, rng, size)
        z, upstream = _normal(rng, size[0], size[1]), _normal(rng, size[0])
        (detective(forger(z)) * upstream).sum().backward()
        (_logits(discriminator, generator(z)) * upstream).sum().backward()
        expected = dict(forger.named_parameters())
        for name, value in tensors_of(generator, FORGER).items():
            assert value.grad is not None, f"no gradient reaches {name} of the generator: {help}"
            assert_close(value.grad, expected[name].grad, name=f"gradient of the generator's {name}", help=help)


@pytest.mark.behaviour
def test_each_step_moves_one_network(solution, rng):
    """Each step moves every parameter of its own network and none of the other, whichever came before it"""
    for size in SIZES:
        gan, *networks, _, _ = _game(solution, rng, size, 0.03)
        for mover in (0, 1, 0, 1, 1, 0):
            (own, other), step = (networks, networks[::-1])[mover], f"{NAMES[mover]}_step"
            names = (FORGER, DETECTIVE)[mover], (FORGER, DETECTIVE)[1 - mover]
            before, resting = state_of(own, names[0]), state_of(other, names[1])
            z = _normal(rng, size[0], size[1])
            if mover:
                gan.discriminator_step(_images(rng, size[0], size[4]), z)
            else:
                gan.generator_step(z)
            moved = [key for key, value in state_of(other, resting).items() if not torch.equal(value, resting[key])]
            told = f"of the {NAMES[1 - mover]}: whose parameters does its optimiser have?"
            assert not moved, f"{step} moves {', '.join(moved)} {told}"
            still = [key for key, value in state_of(own, before).items() if torch.equal(value, before[key])]
            told = "does its loss reach them, through the discriminator if it is the generator's?"
            assert not still, f"{step} does not move {', '.join(still)} of the {NAMES[mover]}: {told}"


@pytest.mark.value
def test_a_discriminator_whose_answer_is_known(solution, rng):
    """With one logit for all images, losses have a closed form and G stays; if forgeries are real, D stays at logit 0"""
    for size, logit in zip(SIZES, (0.0, -1.5, 60.0, -1000.0, 1000.0), strict=True):
        gan, generator, discriminator, _, _ = _game(solution, rng, size, 0.01)
        z, real = _normal(rng, *size[:2]), _images(rng, size[0], size[4])
        told, before = f"when every logit is {logit:g}", state_of(generator, FORGER)
        fooled, seen_through = (_surprise(torch.tensor(logit).double(), answer).item() for answer in (1, 0))
        _answer(discriminator, logit)
        loss = _number(gan.generator_step(z), f"generator_step {told}")
        help = "-log p(real), where p(real) = sigmoid(logit)"
        assert_close(loss, fooled, tol=SAME, name=f"the loss of generator_step {told}", help=help)
        learnt = "the discriminator gives all images the same logit: what did the generator move for?"
        for key, value in state_of(generator, before).items():
            assert_close(value, before[key], tol=SAME, name=f"{key} of the generator {told}", help=learnt)
        loss = _number(gan.discriminator_step(real, z), f"discriminator_step {told}")
        help = "-log p(real) of real images plus -log p(forged) of forgeries: two means, added"
        assert_close(loss, fooled + seen_through, tol=SAME, name=f"the loss of discriminator_step {told}", help=help)

        gan, generator, discriminator, _, _ = _game(solution, rng, size, 0.01)
        _answer(discriminator, 0.0)
        before = state_of(discriminator, DETECTIVE)
        gan.discriminator_step(generator(z).detach(), z)
        help = "real images and forgeries are the same here, and logit 0 is the best answer: no gradient is left"
        for key, value in state_of(discriminator, before).items():
            assert_close(value, before[key], name=f"{key} of the discriminator at its optimum", help=help)


def _answer(discriminator, logit):
    """Make the discriminator give this logit to every image."""
    judge = state_of(discriminator, ("judge.weight", "judge.bias"))
    load_state(discriminator, {key: value * 0 + logit * (key == "judge.bias") for key, value in judge.items()})


@pytest.mark.behaviour
def test_running_statistics(solution, rng):
    """Each step leaves in batch norm what it saw, real images before forgeries; forge reads it and leaves nothing"""
    for size in SIZES:
        count, noise, _, _, side = size
        gan, generator, discriminator, forger, detective = _game(solution, rng, size, 1e-12)
        real, z = _images(rng, count, side) * 2, _normal(rng, 3, count, noise)
        generator.eval(), discriminator.eval()  # a step must see to its modes itself
        gan.discriminator_step(real, z[0])
        with torch.no_grad():
            fake = forger(z[0])
            detective(real), detective(fake)
        help = "one call on real images, then one on forgeries, both networks in training mode"
        _statistics(generator, forger, "generator", "discriminator_step", help)
        _statistics(discriminator, detective, "discriminator", "discriminator_step", help)
        generator.eval(), discriminator.eval()
        gan.generator_step(z[1])
        with torch.no_grad():
            detective(forger(z[1]))
        help = "both networks in training mode, each of them called once"
        _statistics(generator, forger, "generator", "generator_step", help)
        _statistics(discriminator, detective, "discriminator", "generator_step", help)
        forger.eval()
        for mode in (True, False):
            generator.train(mode), discriminator.train(mode)
            images = gan.forge(z[2])
            assert not images.requires_grad, "what forge returns must carry no graph"
            assert generator.training == mode, "forge must leave the generator in the mode in which it found it"
            assert discriminator.training == mode, "forge must leave the discriminator in the mode in which it found it"
            help = "evaluation mode: running statistics, not those of this batch"
            assert_close(images, forger(z[2]).detach(), name="the result of forge", help=help)
            alone = gan.forge(z[2][:1])
            assert_close(alone, images[:1], tol=SAME, name="an image forged alone", help="what does it hear of others?")
        _statistics(generator, forger, "generator", "forge", "forge must not move running statistics")


def _statistics(model, oracle, name, step, help):
    running = {key: value for key, value in oracle.state_dict().items() if "running" in key}
    for key, value in state_of(model, running).items():
        assert_close(value, running[key], name=f"{key} of the {name} after {step}", help=help)


@pytest.mark.value
def test_three_rounds(solution, rng):
    """From given weights, images and noise, three rounds of fit have the right losses, and the weights after them"""
    for size in SIZES:
        count, noise, _, _, side = size
        rate = float(rng.uniform(0.003, 0.01))
        gan, generator, discriminator, forger, detective = _game(solution, rng, size, rate)
        images, z = _images(rng, 7, side), _normal(rng, 3, 2, count, noise)
        batches = torch.from_numpy(rng.integers(0, 7, (3, count)))
        pairs = solution.fit(gan, images, batches, z)
        losses, expected = [_number(loss, "fit") for pair in pairs for loss in pair], []
        adams = [torch.optim.Adam(model.parameters(), lr=rate, betas=(0.5, 0.999)) for model in (forger, detective)]
        for rows, (first, second) in zip(batches, z, strict=True):
            fake = forger(first).detach()
            loss = _surprise(detective(images[rows]), 1) + _surprise(detective(fake), 0)
            expected += [_update(adams[1], loss), _update(adams[0], _surprise(detective(forger(second)), 1))]
        help = "entries 0, 2 and 4 are the discriminator's: two batches, two means, gradients of the other step cleared"
        assert_trajectory(losses, expected, name="the losses of three rounds", help=help)
        help = "betas (0.5, 0.999), the rate that was given, one optimiser of each network for all rounds"
        for model, oracle, name in ((generator, forger, "generator"), (discriminator, detective, "discriminator")):
            wanted = dict(oracle.named_parameters())
            for key, value in state_of(model, wanted).items():
                name_of = f"{key} of the {name} after three rounds"
                assert_close(value, wanted[key].detach(), tol=1e-5, name=name_of, help=help)


def _update(adam, loss):
    adam.zero_grad()
    loss.backward()
    adam.step()
    return loss.item()


@pytest.mark.behaviour
def test_first_weights(solution, rng):
    """DCGAN draws the filters anew, small and normal, and leaves the norms and all biases plain"""
    size = 2, 40, 24, 24, 8

    def make(index):
        networks = _make(solution, size, torch.float64)
        solution.DCGAN(*networks, 0.01)
        return networks[index]

    plain = {"weight": Constant(1.0), "bias": Constant(0.0)}
    for index, names in enumerate((FORGER, DETECTIVE)):
        filters = {name: Normal(0.05) for name in names if "norm" not in name and name.endswith("weight")}
        laws = {name: filters.get(name) or plain[name.rpartition(".")[2]] for name in names}
        help = "only filters are drawn anew; norms stay at one and zero, and all biases become zero"
        assert_drawn(lambda index=index: make(index), laws, name=f"{NAMES[index]} in a DCGAN", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were; in evaluation mode an image hears nothing of its neighbours"""
    for size in SIZES:
        count, noise, _, _, side = size
        gan, generator, discriminator, _, _ = _game(solution, rng, size, 0.01)
        z, real = _normal(rng, count, noise), _images(rng, count, side)
        generator.eval(), discriminator.eval()
        before = state_of(generator, FORGER) | state_of(discriminator, DETECTIVE)
        images, logits = generator(z), _logits(discriminator, real)
        for row in range(count):
            alone = generator(z[row : row + 1])
            assert_close(alone, images[row : row + 1].detach(), tol=SAME, name="a forgery made alone")
        alone = _logits(discriminator, real[-1:])
        assert_close(alone, logits[-1:].detach(), tol=SAME, name="the logit of an image alone")
        gan.forge(z)
        after = state_of(generator, FORGER) | state_of(discriminator, DETECTIVE)
        assert all(torch.equal(value, before[key]) for key, value in after.items()), "weights moved without training"
        gan.discriminator_step(real, z)
        gan.generator_step(z)
        solution.fit(gan, real, torch.tensor([[0, 1]]), _normal(rng, 1, 2, 2, noise))
        assert_unchanged(mutated, but=["generator of DCGAN", "discriminator of DCGAN", "gan of fit"])


def _distance(ours, theirs):
    """The Fréchet distance between two sets of images, as if each were Gaussian: 0 for the same mean and covariance."""
    first, second = np.cov(ours, rowvar=False), np.cov(theirs, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    both = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(((ours.mean(0) - theirs.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * both)


@pytest.mark.convergence
def test_forged_digits(solution, rng, record):
    """After 100 rounds the forgeries have means and covariances nearer to held-out digits than a fixed image has"""
    from sklearn.datasets import load_digits

    digits = rng.permutation(load_digits().data) / 8 - 1
    held_out, training = digits[:397], digits[397:]
    networks = _make(solution, (2, NOISE, FEATURES, FEATURES, 8), torch.float32)
    gan = solution.DCGAN(*networks, LEARNING_RATE)
    batches = torch.from_numpy(rng.integers(0, len(training), (STEPS, BATCH)))
    noise = torch.from_numpy(rng.normal(size=(STEPS, 2, BATCH, NOISE))).float()
    images = torch.from_numpy(training).float().reshape(-1, 1, 8, 8)
    losses = np.array(solution.fit(gan, images, batches, noise))
    assert losses.shape == (STEPS, 2), "fit must return one pair of losses per step"
    record.curve("the discriminator's loss (2 log 2: it cannot tell)", losses[:, 0], baseline=2 * math.log(2))
    record.curve("the generator's loss (log 2: taken for real half of the time)", losses[:, 1], baseline=math.log(2))
    z = torch.from_numpy(rng.normal(size=(1000, NOISE))).float()
    forged = gan.forge(z).double().numpy().reshape(-1, 64)
    record.images("forged digits", forged[:16].reshape(-1, 8, 8))
    record.images("real digits", held_out[:16].reshape(-1, 8, 8))
    fixed = np.repeat(training.mean(0, keepdims=True), 2, axis=0)
    score = _distance(forged, held_out) / _distance(fixed, held_out)
    help = "does the discriminator see real digits, and does the generator hear of what it says?"
    assert_beats(score, BAR, name="distance to real digits, of the mean image's", higher=False, help=help)
