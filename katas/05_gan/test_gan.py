"""The suite of kata 05: losses in closed form, who moves in which step, probes whose optimum is known, and digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
    assert_shape,
    assert_state,
    assert_that,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    tensors_of,
    text,
)

# Real images, forgeries, pixels, noise, hidden units of the generator and of the discriminator; all differ in a case.
SIZES = [(4, 3, 9, 2, 6, 5), (1, 2, 7, 3, 5, 4), (3, 5, 6, 4, 8, 7), (6, 1, 8, 5, 3, 2), (2, 6, 5, 3, 4, 8)]
CROWD = (5003, 5005, 3, 2, 5, 4)
TOL, SAME = 1e-8, 1e-9
# Far out the logarithm of a sigmoid loses its digits, and exp overflows: in float32 long before float64.
LADDER, EXACT = (8.0, 20.0, 60.0, 200.0), ((torch.float64, TOL), (torch.float32, 1e-5))
SURE = "where the discriminator is sure of a forgery the slope is -1 / N: minimise -log p, not log(1 - p)"
SLOPE = "gradient of generator_loss in {dtype}"
PARAMETERS = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
ROUNDS = 12

STEPS, BATCH, NOISE, FORGER, DETECTIVE, LEARNING_RATE = 300, 64, 16, 128, 256, 0.002
BAR = 0.7  # of the mean image's distance: right ones reach 0.28 to 0.45, an untrained generator 1.6, one fed noise 2.9


def _drawn_logits(rng, count, scale):
    """Logits (count,) of this size; far ones are none between 20 and 40, where torch's softplus is 2e-9 beside the truth."""
    drawn = scale * _noise(rng, count, 1)[:, 0]
    return drawn if scale < 20 else drawn + 40 * drawn.sign()


def _noise(rng, count, size):
    """Noise for forgeries; the last of several is the first again."""
    z = normal(rng, count, size)
    z[-1] = z[0]
    return z


def _images(rng, count, pixels):
    """Images; the last of several is the first again."""
    return torch.tanh(_noise(rng, count, pixels))


def _shapes(inputs, hidden, outputs):
    shapes = (hidden, inputs), (hidden,), (outputs, hidden), (outputs,)
    return dict(zip(PARAMETERS, shapes, strict=True))


def _make(solution, size, dtype=torch.float64):
    """Both of the learner's networks, new."""
    _, _, pixels, noise, forger, detective = size
    generator = solution.Generator(noise, forger, pixels, dtype=dtype)
    discriminator = solution.Discriminator(pixels, detective, dtype=dtype)
    assert_state(generator, _shapes(noise, forger, pixels), dtype=dtype, name="Generator")
    return generator, assert_state(discriminator, _shapes(pixels, detective, 1), dtype=dtype, name="Discriminator")


class _Oracle(nn.Module):
    """Linear, LeakyReLU with slope 0.2, linear, and what comes last."""

    def __init__(self, inputs, hidden, outputs, last):
        super().__init__()
        self.hidden, self.output = (
            nn.Linear(*each, dtype=torch.float64) for each in ((inputs, hidden), (hidden, outputs))
        )
        self.last = last

    def forward(self, value):
        return self.last(self.output(F.leaky_relu(self.hidden(value), 0.2)))


def _networks(solution, rng, size, doubt=0.0):
    """Both of the learner's networks and both oracles, in float64 with the same weights; all logits are lower by `doubt`."""
    _, _, pixels, noise, forger, detective = size
    oracles = [_Oracle(noise, forger, pixels, torch.tanh), _Oracle(pixels, detective, 1, lambda column: column[:, 0])]
    models = _make(solution, size)
    for parameter in [*oracles[0].parameters(), *oracles[1].parameters()]:
        parameter.data = normal(rng, *parameter.shape) / parameter.shape[-1] ** 0.5
    oracles[1].output.bias.data -= doubt
    for model, oracle in zip(models, oracles, strict=True):
        load_state(model, state_of(oracle, PARAMETERS))
    return *models, *oracles


def _surprise(logits, real):
    """The mean of -log of the probability that these logits give to the truth, by torch's own loss."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def _detection(real, fake):
    """The discriminator's loss."""
    return _surprise(real, 1) + _surprise(fake, 0)


def _deception(fake):
    """The generator's loss."""
    return _surprise(fake, 1)


def _logits(discriminator, images):
    logits = discriminator(images)
    assert_shape(logits, (len(images),), dtype=images.dtype, name="logits", help="one number per image, not a column")
    return logits


def _number(loss, name):
    assert_that(isinstance(loss, float), "{name} must return a Python float, the loss before its update", name=name)
    assert_that(math.isfinite(loss), "the loss of {name} is {loss}", name=name, loss=str(loss))
    return loss


def _fit(solution, gan, images, batches, noise):
    """The learner's losses, one after the other."""
    pairs = solution.fit(gan, images, batches, noise)
    good = isinstance(pairs, list) and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs)
    assert good and len(pairs) == len(batches), "fit must return a list with one pair of losses per step"
    return [_number(loss, "fit") for pair in pairs for loss in pair]


@pytest.mark.shape
def test_shapes(solution, rng):
    """Forgeries, logits and losses have the stated shapes and dtypes; forgeries are pixels from -1 to 1"""
    for index, size in enumerate(SIZES):
        real_count, fakes, pixels, noise, *_ = size
        dtype = (torch.float32, torch.float64)[index % 2]
        generator, discriminator = _make(solution, size, dtype)
        real, z = _images(rng, real_count, pixels).to(dtype), 30 * _noise(rng, fakes, noise).to(dtype)
        images = generator(z)
        assert_shape(images, (fakes, pixels), dtype=dtype, name=text("forgeries"))
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
        batches = torch.zeros(3, 2, dtype=torch.int64)
        _fit(solution, gan, real, batches, normal(rng, 3, 2, 2, noise).to(dtype))


def _large(logit):
    """What to look at where logits are as large as this."""
    look = "logits of {logit:g} and {opposite:g}: sigmoid(60) rounds to 1, exp(200) overflows float32; which -log p needs neither?"
    return text(look, logit=logit, opposite=-logit)


def _by_place(function):
    """The function, called with its arguments in their order, whatever their names."""
    return lambda **inputs: function(*inputs.values())


@pytest.mark.value
def test_discriminator_loss(solution, rng):
    """The discriminator's loss is the surprise at real images plus that at forgeries, for logits of any size"""
    learner, help = (
        solution.discriminator_loss,
        "logits, not probabilities; real counts as 1, forged as 0; two means, added",
    )
    nothing, said = torch.zeros(3, dtype=torch.float64), text("the loss of not knowing")
    assert_close(learner(nothing, nothing[:2]), nothing.sum() + 2 * math.log(2), tol=TOL, name=said, help=help)
    for scale in (2, 100):
        for real_count, fakes, *_ in (*SIZES, CROWD):
            logits = {"real": _drawn_logits(rng, real_count, scale), "fake": _drawn_logits(rng, fakes, scale)}
            both = _by_place(learner), _by_place(_detection)
            assert_agrees(*both, logits, rng, tol=TOL, name="discriminator_loss", help=help)
    for dtype, tol in EXACT:
        said = text("discriminator_loss in {dtype}", dtype=str(dtype)[6:])
        for logit in LADDER:
            real, fake = torch.tensor([-logit, logit], dtype=dtype), torch.tensor([logit, logit, -logit], dtype=dtype)
            expected = _detection(real.double(), fake.double()).to(dtype)
            assert_close(learner(real, fake), expected, tol=tol, name=said, help=_large(logit))


@pytest.mark.value
def test_generator_loss(solution, rng):
    """The generator's loss is the surprise of a forgery that is taken for real, and its gradient does not vanish"""
    learner, help = solution.generator_loss, "-log p(real) of forgeries: its sign, its logits, and the mean over images"
    for scale in (2, 100):
        for _, fakes, *_ in (*SIZES, CROWD):
            logits, both = {"fake": _drawn_logits(rng, fakes, scale)}, (_by_place(learner), _by_place(_deception))
            assert_agrees(*both, logits, rng, tol=TOL, name="generator_loss", help=help)
    for dtype, tol in EXACT:
        said = [text(each, dtype=str(dtype)[6:]) for each in ("generator_loss in {dtype}", SLOPE)]
        for logit in LADDER:
            free = torch.tensor([-logit, logit, logit], dtype=dtype, requires_grad=True)
            loss, expected = learner(free), _deception(free.detach().double()).to(dtype)
            assert_close(loss, expected, tol=tol, name=said[0], help=_large(logit))
            (gradient,) = torch.autograd.grad(loss, free)
            assert_close(gradient, -torch.sigmoid(-free.detach()) / len(free), tol=tol, name=said[1], help=SURE)


@pytest.mark.value
def test_networks_with_given_weights(solution, rng):
    """With given weights, forgeries and logits are those of the stated networks"""
    for scale, sizes in ((1.0, SIZES), (60.0, (*SIZES, CROWD))):
        for size in sizes:
            generator, discriminator, forger, detective = _networks(solution, rng, size, doubt=scale)
            z, images = scale * _noise(rng, size[1], size[3]), _images(rng, size[0], size[2])
            help = "linear, LeakyReLU with slope 0.2, linear, tanh"
            _agree(generator, forger, z, rng, name=text("forgeries"), help=help)
            help = "linear, LeakyReLU with slope 0.2, linear, and nothing after it: a logit may be any number"
            _agree(discriminator, detective, images, rng, name="logits", help=help)


def _agree(learner, oracle, value, rng, **said):
    """A network of the learner's is the oracle, in either mode, and so are its gradients."""
    both, modules = (_by_place(learner), _by_place(oracle)), (learner, oracle)
    assert_agrees(*both, {"value": value}, rng, modules=modules, parameters=PARAMETERS, tol=TOL, **said)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the noise, the images and every parameter, through both networks one after the other"""
    size = (3, 2, 5, 2, 3, 4)
    generator, discriminator, _, _ = _networks(solution, rng, size)

    def both(z, real):
        fake = discriminator(generator(z))
        return solution.generator_loss(fake), solution.discriminator_loss(discriminator(real), fake)

    inputs = {"z": _noise(rng, size[1], size[3]), "real": _images(rng, size[0], size[2])}
    parameters = {f"generator.{name}": value for name, value in tensors_of(generator, PARAMETERS).items()}
    parameters |= {f"discriminator.{name}": value for name, value in tensors_of(discriminator, PARAMETERS).items()}
    help = "the networks and the losses must not cut the graph; only discriminator_step does"
    assert_gradients(both, inputs, rng, parameters=parameters, name=text("gradient of the losses"), help=help)


def _check_step(solution, rng, index):
    """Both steps in turn; the one of the generator (0) or of the discriminator (1) is held to what it returns and moves."""
    step, other = [("generator_step", "discriminator_step")[each] for each in (index, 1 - index)]
    for size in (*SIZES, CROWD):
        *models, forger, detective = _networks(solution, rng, size, doubt=60.0 * (size[0] == 3))
        gan = solution.GAN(*models, 0.03)
        for _ in range(2):
            before = [state_of(model, PARAMETERS) for model in models]
            load_state(forger, before[0]), load_state(detective, before[1])
            given = real, z = _images(rng, size[0], size[2]), _noise(rng, size[1], size[3])
            loss = _number(getattr(gan, step)(*given[1 - index :]), step)
            for place, network in enumerate((text("generator"), text("discriminator"))):
                for name, value in state_of(models[place], PARAMETERS).items():
                    moved, fields = not torch.equal(value, before[place][name]), {"step": step, "name": name}
                    help = "whose parameters does the optimiser have, and does the gradient come through to them?"
                    words = "{step} does not move {name} of the {network}"
                    if place != index:
                        moved, words = not moved, "{step} moves {name} of the {network}"
                    assert_that(moved, words, network=network, help=help, **fields)
            expected = _detection(detective(real), detective(forger(z))) if index else _deception(detective(forger(z)))
            look = "the loss before the update, of {real} real images and {fakes} forgeries"
            help, said = text(look, real=size[0] * index, fakes=size[1]), text("what {step} returns", step=step)
            assert_close(loss, expected.item(), tol=TOL, name=said, help=help)
            getattr(gan, other)(*given[index:])


@pytest.mark.behaviour
def test_discriminator_step_moves_one_network(solution, rng):
    """discriminator_step moves every tensor of the discriminator and no tensor of the generator"""
    _check_step(solution, rng, 1)


@pytest.mark.behaviour
def test_generator_step_moves_one_network(solution, rng):
    """generator_step moves every tensor of the generator and no tensor of the discriminator"""
    _check_step(solution, rng, 0)


def _update(adam, loss):
    """One update by this optimiser, and the loss before it."""
    adam.zero_grad()
    loss.backward()
    adam.step()
    return loss.item()


def _rounds(forger, detective, adams, images, batches, noise):
    """The losses of the same rounds of fit, by the oracles and their optimisers."""
    losses = []
    for rows, z in zip(batches, noise, strict=True):
        fake = forger(z[0]).detach()
        losses.append(_update(adams[1], _detection(detective(images[rows]), detective(fake))))
        losses.append(_update(adams[0], _deception(detective(forger(z[1])))))
    return losses


@pytest.mark.value
def test_rounds_of_fit(solution, rng):
    """From given weights, images and noise, a dozen rounds of fit and a dozen more have the right losses and weights"""
    for index, (count, size) in enumerate(zip((11, 1, 1201, 9, 7), SIZES, strict=True)):
        models = generator, discriminator, forger, detective = _networks(solution, rng, size, doubt=60.0 * (index == 2))
        for network in models:
            network.train(index % 2 == 0)  # neither has a layer to which this matters
        images, fakes, rate = _images(rng, count, size[2]), size[1], float(rng.uniform(0.01, 0.03))
        gan = solution.GAN(generator, discriminator, rate)
        adams = [torch.optim.Adam(each.parameters(), lr=rate, betas=(0.5, 0.999)) for each in (forger, detective)]
        for _ in range(2):
            batches = torch.from_numpy(rng.integers(0, count, (fakes, ROUNDS))).T
            batches[:, -1] = batches[:, 0]
            noise = normal(rng, ROUNDS, 2, fakes, size[3])
            losses = _fit(solution, gan, images, batches, noise)
            expected = _rounds(forger, detective, adams, images, batches, noise)
            help = "odd losses are the discriminator's: which update came before, did it clear the gradients, and whose noise was it?"
            assert_trajectory(losses, expected, name=text("the losses of a dozen rounds"), help=help)
            help = "betas (0.5, 0.999), the rate that was given, one optimiser of each network for all rounds"
            named = (generator, forger, text("generator")), (discriminator, detective, text("discriminator"))
            for model, oracle, network in named:
                wanted = state_of(oracle, PARAMETERS)
                for name, value in state_of(model, PARAMETERS).items():
                    said = text("{name} of the {network} after a dozen rounds", name=name, network=network)
                    assert_close(value, wanted[name], name=said, help=help)


@pytest.mark.behaviour
def test_a_fair_detective_learns_the_odds(solution, rng):
    """A discriminator that trains alone ends at the log-odds: how much oftener an image is real than forged"""
    generator, discriminator = _make(solution, (1, 1, 2, 2, 3, 16))
    load_state(generator, {name: torch.zeros_like(value) for name, value in state_of(generator, PARAMETERS).items()})
    gan, corners = solution.GAN(generator, discriminator, 0.03), torch.tensor([[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]])
    corners, often = corners.double(), int(rng.integers(2, 5))
    # Every forgery is the first corner. Of the real images `often` in 8 are, the others are the second and third.
    real = corners[torch.tensor([0] * often + [1, 2] * (8 - often))[:8]]
    z = normal(rng, 8, 2)
    for _ in range(100):
        gan.discriminator_step(real, z)
    odds = _logits(discriminator, corners[:1]).item()
    wanted = math.log(often / 8)
    told = (
        "an image that is forged always and real {often} times in 8 has log-odds {wanted:.2f} to be real; "
        "after 100 steps your discriminator says {odds:.2f}"
    )
    assert_that(abs(odds - wanted) < 0.3, told, often=often, wanted=wanted, odds=odds)
    least = _logits(discriminator, corners[1:]).min().item()
    told = "an image that is never forged must get a large logit; yours says {least:.2f}"
    assert_that(least > 1.5, told, least=least)


@pytest.mark.behaviour
def test_a_forger_follows_the_detective(solution, rng):
    """Against a discriminator that likes certain pixels and stays as it is, the generator learns to paint these"""
    size = 1, 1, 6, 3, 12, 2
    generator, discriminator = _make(solution, size)
    taste = torch.from_numpy(rng.permutation([1.0, 1.0, 1.0, -1.0, -1.0, -1.0]))
    # The two hidden units see the same sum with either sign, so that the logit is linear in the pixels.
    weights = {"hidden.weight": torch.stack([taste, -taste]), "hidden.bias": torch.zeros(2, dtype=torch.float64)}
    weights |= {"output.weight": torch.tensor([[0.5, -0.5]]).double(), "output.bias": torch.zeros(1).double()}
    load_state(discriminator, weights)
    gan = solution.GAN(generator, discriminator, 0.05)
    losses = [gan.generator_step(normal(rng, 16, 3)) for _ in range(60)]
    assert losses[-1] < losses[0] / 4, "against a discriminator that stands still the generator's loss must fall"
    painted = (generator(normal(rng, 32, 3)).detach() * taste).mean().item()
    told = (
        "a generator that follows paints the pixels that the discriminator likes, and leaves out the others: "
        "agreement 1 is perfect, 0 is chance, yours is {painted:.2f}"
    )
    assert_that(painted > 0.6, told, painted=painted)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were, images do not hear of their neighbours, and new networks start afresh"""
    for size in SIZES:
        generator, discriminator, forger, detective = _networks(solution, rng, size)
        z, real = normal(rng, size[1] + 1, size[3]), torch.tanh(normal(rng, size[0] + 1, size[2]))
        images, logits = generator(z), _logits(discriminator, real)
        generator(2 * z), discriminator(-real)
        solution.discriminator_loss(logits.detach(), logits.detach()[:1])
        solution.generator_loss(logits.detach())
        help = "what does one image hear of its neighbours or of earlier calls?"
        for row in range(len(z)):
            alone, said = generator(z[row : row + 1]), text("a forgery made alone")
            assert_close(alone, images[row : row + 1].detach(), tol=SAME, name=said, help=help)
        alone, said = _logits(discriminator, real[-1:]), text("the logit of an image alone")
        assert_close(alone, logits[-1:].detach(), tol=SAME, name=said, help=help)
        for model, oracle in ((generator, forger), (discriminator, detective)):
            weights = state_of(oracle, PARAMETERS)
            for name, value in state_of(model, PARAMETERS).items():
                said = "{name} has changed, and there was no training"
                assert_that(torch.equal(value, weights[name]), said, name=name)
        gan = solution.GAN(generator, discriminator, 0.01)
        gan.discriminator_step(real, z)
        gan.generator_step(z)
        solution.fit(gan, real, torch.zeros(2, 3).long(), normal(rng, 2, 2, 3, size[3]))
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
    assert_beats(score, BAR, name=text("distance to real digits, of the mean image's"), higher=False, help=help)
