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
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_raises,
    assert_shape,
    assert_state,
    assert_that,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

# Images, noise, channels of the generator and of the discriminator, pixels of a side; no two are equal in a case.
SIZES = [(5, 3, 2, 4, 8), (2, 5, 3, 1, 4), (3, 2, 4, 5, 12), (6, 4, 1, 3, 8), (4, 1, 5, 2, 16)]
TALL = (1101, 2, 1, 3, 4)
TOL, SAME = 1e-8, 1e-9
WHOSE = text("generator"), text("discriminator")

STEPS, BATCH, NOISE, FEATURES, LEARNING_RATE = 100, 32, 16, 16, 0.003
BAR = 0.8  # of the mean image's distance: right ones reach 0.4, a generator that nobody teaches 1.6


def _images(rng, count, side):
    return torch.tanh(normal(rng, count, 1, side, side))


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
NAMES = FORGER, DETECTIVE = [
    [name for name, _ in net.named_parameters()] for net in (_Forger(1, 1, 4), _Detective(1, 4))
]


def _oracles(size):
    _, noise, forger, detective, side = size
    return _Forger(noise, forger, side).double(), _Detective(detective, side).double()


def _shapes(tensors):
    return {name: tuple(tensor.shape) for name, tensor in tensors}


def _makers(solution, size):
    """What makes a generator, and a discriminator, of a dtype."""
    _, noise, forger, detective, side = size
    return (
        lambda dtype: solution.Generator(noise, forger, side, dtype=dtype),
        lambda dtype: solution.Discriminator(detective, side, dtype=dtype),
    )


def _make(solution, size, dtype=torch.float64):
    """Both of the learner's networks, found to hold the tensors that the statement names."""
    made = [make(dtype) for make in _makers(solution, size)]
    for model, oracle, name in zip(made, _oracles(size), ("Generator", "Discriminator"), strict=True):
        shapes, buffers = (_shapes(tensors) for tensors in (oracle.named_parameters(), oracle.named_buffers()))
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
        state[key] = normal(rng, *value.shape) / fan_in**0.5
        if key.endswith("running_var") or ("norm" in key and key.endswith("weight")):
            state[key] = state[key].abs() + 0.5
    load_state(model, state)
    oracle.load_state_dict(state)


def _networks(solution, rng, size):
    """The learner's networks and torch's with the same state, all in float64 and in training mode."""
    pairs = [*zip(_make(solution, size), _oracles(size), strict=True)]
    for pair in pairs:
        _load(rng, *pair)
    return *next(zip(*pairs, strict=True)), *[oracle for _, oracle in pairs]


def _game(solution, rng, size, rate=0.01):
    """The learner's DCGAN around networks whose weights are given after it has drawn its own, and torch's networks."""
    models, oracles = _make(solution, size), _oracles(size)
    gan = solution.DCGAN(*models, rate)
    for pair in zip(models, oracles, strict=True):
        _load(rng, *pair)
    return gan, *models, *oracles


def _surprise(logits, real):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


@pytest.mark.shape
def test_shapes(solution, rng):
    """Forgeries, logits and losses have the stated shapes and dtypes at every size of image"""
    for index, size in enumerate(SIZES):
        count, noise, _, _, side = size
        dtype = (torch.float32, torch.float64)[index % 2]
        generator, discriminator = _make(solution, size, dtype)
        z, real = normal(rng, count, noise).to(dtype), _images(rng, count, side).to(dtype)
        images, logits = generator(z), discriminator(real)
        assert_shape(images, (count, 1, side, side), dtype=dtype, name="forgeries", help="two doublings from Y / 4")
        assert_shape(logits, (count,), dtype=dtype, name="logits", help="one number per image")
        assert images.abs().max() <= 1, "forgeries must lie between -1 and 1, where real pixels lie"
        assert (images != generator(z.flip(0))).any(), "other noise gives the same forgery"
        assert (logits != discriminator(images)).any(), "all images get the same logits"
        gan = solution.DCGAN(generator, discriminator, 0.01)
        assert_shape(gan.forge(z[:1]), (1, 1, side, side), dtype=dtype, name="the result of forge")
        losses = [gan.discriminator_step(real, z), gan.generator_step(z)]
        pairs = solution.fit(gan, real, torch.zeros(3, 2, dtype=torch.int64), normal(rng, 3, 2, 2, noise).to(dtype))
        assert isinstance(pairs, list) and len(pairs) == 3, "fit must return a list with one pair of losses per step"
        for pair in pairs:
            losses += assert_parts(pair, ("discriminator_loss", "generator_loss"), name="each step of fit")
        sound = all(isinstance(loss, float) and math.isfinite(loss) for loss in losses)
        assert sound, "every loss must be a finite Python float, taken before its update"


@pytest.mark.value
def test_grown_size(solution, rng):
    """The size of a transposed convolution's result is that of torch's layer"""
    for _ in range(40):
        size, kernel, stride = (int(number) for number in rng.integers(1, 6, 3))
        padding = int(rng.integers(0, (kernel + 1) // 2))
        if (size - 1) * stride + kernel > 2 * padding:
            wanted = nn.ConvTranspose2d(1, 1, kernel, stride, padding)(torch.zeros(1, 1, size, size)).shape[2]
            name = text(
                "grown_size({size}, {kernel}, {stride}, {padding})",
                size=size, kernel=kernel, stride=stride, padding=padding,
            )  # fmt: skip
            help = "where the last copy of the filter begins, and what padding cuts from both ends"
            assert_close(solution.grown_size(size, kernel, stride, padding), wanted, name=name, help=help)


@pytest.mark.behaviour
def test_sizes_that_do_not_fit(solution):
    """Sides that two doublings cannot reach are refused when the network is made, not when it is used"""
    for side in (6, 2, 0, 10, 9):
        assert_raises(ValueError, solution.Generator, 3, 2, side)
        assert_raises(ValueError, solution.Discriminator, 2, side)


def _assert_networks(solution, rng, size, scale, gradients):
    """Both networks against torch's, for noise and images `scale` times as large."""
    generator, discriminator, forger, detective = _networks(solution, rng, size)
    z, images = scale * normal(rng, *size[:2]), scale * _images(rng, size[0], size[4])
    help = "norm, then LeakyReLU with slope 0.2, after start and grow; paint and tanh at the end; nothing is detached"
    made = {"modules": (generator, forger), "parameters": FORGER, "gradients": gradients, "tol": TOL}
    assert_agrees(generator, forger, {"z": z}, rng, **made, name="forgeries", help=help)
    help = "LeakyReLU after look, norm and LeakyReLU after shrink, nothing after judge; nothing is detached"
    made = {"modules": (discriminator, detective), "parameters": DETECTIVE, "gradients": gradients, "tol": TOL}
    assert_agrees(discriminator, detective, {"images": images}, rng, **made, name="logits", help=help)
    return generator, discriminator, forger, detective


@pytest.mark.value
def test_networks_with_given_weights(solution, rng):
    """With given weights, forgeries and logits are those of torch's layers, in training and in evaluation mode"""
    for size in (*SIZES, TALL):
        _assert_networks(solution, rng, size, 1, gradients=False)
    _assert_networks(solution, rng, SIZES[0], 200, gradients=False)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the noise, the images and every parameter, through both networks one after the other"""
    for size, scale in zip(SIZES, (1, 1, 1, 100, 1), strict=True):
        generator, discriminator, forger, detective = _assert_networks(solution, rng, size, scale, gradients=True)
        help = "the networks must not cut the graph; only discriminator_step does"
        assert_agrees(
            lambda z, nets=(generator, discriminator): nets[1](nets[0](z)),
            lambda z, nets=(forger, detective): nets[1](nets[0](z)),
            {"z": normal(rng, *size[:2])}, rng, modules=(generator, forger), parameters=FORGER,
            name="logits of forgeries", help=help,
        )  # fmt: skip


@pytest.mark.behaviour
def test_each_step_moves_one_network(solution, rng):
    """Each step moves every parameter of its own network and none of the other, whichever came before it"""
    for size in SIZES:
        gan, *networks, _, _ = _game(solution, rng, size, 0.03)
        for mover in (0, 1, 0, 1, 1, 0):
            before = [state_of(network, names) for network, names in zip(networks, NAMES, strict=True)]
            z, step = normal(rng, *size[:2]), ("generator_step", "discriminator_step")[mover]
            gan.discriminator_step(_images(rng, size[0], size[4]), z) if mover else gan.generator_step(z)
            for place, network in enumerate(networks):
                moved = {
                    key: not torch.equal(now, before[place][key])
                    for key, now in state_of(network, NAMES[place]).items()
                }
                for key, has_moved in moved.items():
                    fields = {"step": step, "key": key, "network": WHOSE[place]}
                    if place == mover:
                        help = "does its loss reach it, through the discriminator if it is the generator's?"
                        assert_that(has_moved, "{step} does not move {key} of the {network}", help=help, **fields)
                    else:
                        help = "whose parameters does its optimiser have?"
                        assert_that(not has_moved, "{step} moves {key} of the {network}", help=help, **fields)


@pytest.mark.value
def test_a_discriminator_whose_answer_is_known(solution, rng):
    """With one logit for all images, losses have a closed form and G stays; if forgeries are real, D stays at logit 0"""
    for size, logit in zip((*SIZES, TALL), (0.0, -1.5, 60.0, -1000.0, 1000.0, 7.0), strict=True):
        gan, generator, discriminator, _, _ = _game(solution, rng, size)
        z, real = normal(rng, *size[:2]), _images(rng, size[0], size[4])
        before = state_of(generator, FORGER)
        fooled, seen_through = (_surprise(torch.tensor(logit).double(), answer).item() for answer in (1, 0))
        _answer(discriminator, logit)
        help = "-log p(real), where p(real) = sigmoid(logit)"
        name = text("the loss of generator_step when every logit is {logit:g}", logit=logit)
        assert_close(gan.generator_step(z), fooled, tol=SAME, name=name, help=help)
        help = "the discriminator gives all images the same logit: what did the generator move for?"
        for key, value in state_of(generator, before).items():
            name = text("{key} of the generator when every logit is {logit:g}", key=key, logit=logit)
            assert_close(value, before[key], tol=SAME, name=name, help=help)
        help = "-log p(real) of real images plus -log p(forged) of forgeries: two means, added"
        name = text("the loss of discriminator_step when every logit is {logit:g}", logit=logit)
        assert_close(gan.discriminator_step(real, z), fooled + seen_through, tol=SAME, name=name, help=help)

        gan, generator, discriminator, _, _ = _game(solution, rng, size)
        _answer(discriminator, 0.0)
        before = state_of(discriminator, DETECTIVE)
        gan.discriminator_step(generator(z).detach(), z)
        help = "real images and forgeries are the same here, and logit 0 is the best answer: no gradient is left"
        for key, value in state_of(discriminator, before).items():
            name = text("{key} of the discriminator at its optimum", key=key)
            assert_close(value, before[key], name=name, help=help)


def _answer(discriminator, logit):
    """Make the discriminator give this logit to every image."""
    judge = state_of(discriminator, ("judge.weight", "judge.bias"))
    load_state(discriminator, {key: value * 0 + logit * (key == "judge.bias") for key, value in judge.items()})


@pytest.mark.behaviour
def test_running_statistics(solution, rng):
    """Each step leaves in batch norm what it saw, real images before forgeries; forge reads it and leaves nothing"""
    for size in (*SIZES, TALL):
        count, noise, _, _, side = size
        gan, *models, forger, detective = _game(solution, rng, size, 1e-12)
        real, z = _images(rng, count, side) * 2, normal(rng, 3, count, noise)
        _set_modes(models, False)  # a step must see to its modes itself
        gan.discriminator_step(real, z[0])
        with torch.no_grad():
            fake = forger(z[0])
            detective(real), detective(fake)
        help = "one call on real images, then one on forgeries, both networks in training mode"
        _assert_statistics(models, (forger, detective), "discriminator_step", help=help)
        _set_modes(models, False)
        loss = gan.generator_step(z[1])
        with torch.no_grad():
            expected = _surprise(detective(forger(z[1])), 1).item()
        help = "both networks in training mode, each of them called once"
        assert_close(loss, expected, tol=TOL, name="the loss of generator_step", help=help)
        _assert_statistics(models, (forger, detective), "generator_step", help=help)
        forger.eval()
        for mode in (True, False):
            _set_modes(models, mode)
            for noises in (z[2], z[2][:1], z[1]):
                images = gan.forge(noises)
                assert not images.requires_grad, "what forge returns must carry no graph"
                kept = all(model.training == mode for model in models)
                assert kept, "forge must leave both networks in the modes in which it found them"
                help = (
                    "evaluation mode: running statistics, not those of this batch, so that an image hears of no other"
                )
                assert_close(images, forger(noises).detach(), tol=TOL, name="the result of forge", help=help)
        _assert_statistics(models, (forger, detective), "forge", help="forge must not move running statistics")


def _set_modes(models, mode):
    for model in models:
        model.train(mode)


def _assert_statistics(models, oracles, step, *, help):
    for model, oracle, network in zip(models, oracles, WHOSE, strict=True):
        running = {key: value for key, value in oracle.state_dict().items() if "running" in key}
        for key, value in state_of(model, running).items():
            name = text("{key} of the {network} after {step}", key=key, network=network, step=step)
            assert_close(value, running[key], name=name, help=help)


@pytest.mark.value
def test_twelve_rounds(solution, rng):
    """From given weights, images and noise, twelve rounds of fit have the right losses, and the weights after them"""
    for size, most in zip((*SIZES, SIZES[1]), (7, 7, 1101, 1, 7, 7), strict=True):
        count, noise, _, _, side = size
        rate = float(rng.uniform(0.003, 0.01))
        gan, *models, forger, detective = _game(solution, rng, size, rate)
        _set_modes(models, most == 7)  # fit must see to modes itself
        if most == 1:  # where a discriminator is sure of itself, losses are large
            for each in (models[1], detective):
                load_state(each, {"judge.bias": torch.tensor([60.0])})
        images, z = _images(rng, most, side), normal(rng, 12, 2, count, noise)
        batches = torch.from_numpy(rng.integers(0, most, (count, 12))).T
        if count > 2:  # one row twice, in images and in noise
            batches[1::2, -1], z[1::2, :, -1] = batches[1::2, 0], z[1::2, :, 0]
        pairs = solution.fit(gan, images, batches, z)
        adams = [torch.optim.Adam(model.parameters(), lr=rate, betas=(0.5, 0.999)) for model in (forger, detective)]
        expected = []
        for rows, (first, second) in zip(batches, z, strict=True):
            fake = forger(first).detach()
            loss = _surprise(detective(images[rows]), 1) + _surprise(detective(fake), 0)
            expected += [_update(adams[1], loss), _update(adams[0], _surprise(detective(forger(second)), 1))]
        help = "the discriminator's and the generator's in turn: two batches, two means, gradients of the other step cleared"
        losses = [loss for pair in pairs for loss in pair]
        assert_trajectory(losses, expected, name="the losses of twelve rounds", help=help)
        help = "betas (0.5, 0.999), the rate that was given, one optimiser of each network for all rounds"
        for model, oracle, network in zip(models, (forger, detective), WHOSE, strict=True):
            wanted = dict(oracle.named_parameters())
            for key, value in state_of(model, wanted).items():
                name = text("{key} of the {network} after twelve rounds", key=key, network=network)
                assert_close(value, wanted[key].detach(), tol=1e-5, name=name, help=help)


def _update(adam, loss):
    adam.zero_grad()
    loss.backward()
    adam.step()
    return loss.item()


@pytest.mark.behaviour
def test_first_weights(solution, rng):
    """The layers are drawn as torch draws them; DCGAN draws the filters anew, small and normal, and zeroes all biases"""
    size = 2, 20, 10, 10, 8
    _make(solution, size)
    makers = _makers(solution, size)

    def make(index, play):
        if not play:
            return makers[index](torch.float64)
        networks = [make(torch.float64) for make in makers]
        solution.DCGAN(*networks, 0.01)
        return networks[index]

    for index, (network, oracle) in enumerate(zip(("Generator", "Discriminator"), _oracles(size), strict=True)):
        own = layer_laws(_shapes(oracle.named_parameters()), norms=("norm", "norm1", "norm2"))
        plain = {name: Constant(1.0 if "norm" in name and name.endswith("weight") else 0.0) for name in own}
        anew = {name: Normal(0.05) for name in own if "norm" not in name and name.endswith("weight")}
        help = "a new network is as torch's layers are; only DCGAN draws its filters anew"
        assert_drawn(lambda index=index: make(index, play=False), own, name=network, help=help)
        help = "only filters are drawn anew; norms stay at one and zero, and all biases become zero"
        name = text("{network} in a DCGAN", network=network)
        assert_drawn(lambda index=index: make(index, play=True), plain | anew, name=name, help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were; in evaluation mode an image hears nothing of its neighbours"""
    for size in SIZES:
        count, noise, _, _, side = size
        gan, *models, _, _ = _game(solution, rng, size)
        z, real = normal(rng, count, noise), _images(rng, count, side)
        _set_modes(models, False)
        before = [state_of(model, names) for model, names in zip(models, NAMES, strict=True)]
        for model, given, name in zip(models, (z, real), ("forgeries", "logits"), strict=True):
            together = model(given).detach()
            for row in range(count):
                help = "running statistics, not those of the batch"
                assert_close(model(given[row : row + 1])[0], together[row], tol=SAME, name=name, help=help)
        gan.forge(z)
        for model, names, values in zip(models, NAMES, before, strict=True):
            still = all(torch.equal(value, values[key]) for key, value in state_of(model, names).items())
            assert still, "weights moved without training"
            assert not model.training, "a network must stay in the mode in which it is called"
        gan.discriminator_step(real, z)
        gan.generator_step(z)
        solution.fit(gan, real, torch.tensor([[0, 1]]), normal(rng, 1, 2, 2, noise))
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
