"""The suite of kata 07: what a variational autoencoder must do, checked against torch.distributions."""

from __future__ import annotations

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
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    state_of,
    tensors_of,
)

# Images, pixels, hidden units and latent dimensions of each case; all four differ within a case.
SIZES = [(4, 9, 6, 3), (1, 7, 5, 2), (3, 11, 8, 5), (6, 8, 10, 4), (2, 12, 7, 6)]
HELD_OUT = 397
STEPS, BATCH, HIDDEN, LATENT, LEARNING_RATE = 120, 128, 64, 8, 0.02


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _binary(rng, count, pixels):
    return torch.from_numpy((rng.random((count, pixels)) < 0.4).astype(np.float64))


def _shapes(pixels, hidden, latent):
    layers = {
        "encoder": (hidden, pixels),
        "mean_head": (latent, hidden),
        "logvar_head": (latent, hidden),
        "decoder": (hidden, latent),
        "output": (pixels, hidden),
    }
    weights = {f"{name}.weight": size for name, size in layers.items()}
    return weights | {f"{name}.bias": size[:1] for name, size in layers.items()}


def _make(solution, pixels, hidden, latent, **options):
    """The learner's new model, found to hold the ten tensors that the statement names."""
    model = solution.VAE(pixels, hidden, latent, **options)
    dtype = options.get("dtype", torch.float32)
    return assert_state(model, _shapes(pixels, hidden, latent), dtype=dtype, name="VAE")


def _model(solution, rng, pixels, hidden, latent):
    """The learner's model in float64 with given weights, and those weights."""
    model = _make(solution, pixels, hidden, latent, dtype=torch.float64)
    weights = {name: _normal(rng, *size) / size[-1] ** 0.5 for name, size in _shapes(pixels, hidden, latent).items()}
    return load_state(model, weights), weights


def _float64(model, hidden, latent, pixels=64):
    shapes = _shapes(pixels, hidden, latent)
    return {name: value.double() for name, value in state_of(model, shapes).items()}


def _layer(weights, name, value):
    return F.linear(value, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _posterior(weights, x):
    hidden = torch.tanh(_layer(weights, "encoder", x))
    return _layer(weights, "mean_head", hidden), _layer(weights, "logvar_head", hidden)


def _logits(weights, z):
    return _layer(weights, "output", torch.tanh(_layer(weights, "decoder", z)))


def _gaussian(mean, logvar):
    return Normal(mean, logvar.exp().sqrt(), validate_args=False)


def _draw(mean, logvar, eps):
    """The quantile of N(mean, exp(logvar)) at the level where the noise stands in N(0, 1)."""
    return _gaussian(mean, logvar).icdf(Normal(0.0, 1.0).cdf(eps))


def _kl(mean, logvar):
    return kl_divergence(_gaussian(mean, logvar), Normal(0.0, 1.0)).sum(1)


def _log_likelihood(logits, x):
    return Bernoulli(logits=logits, validate_args=False).log_prob(x).sum(1)


def _negative_elbo(weights, x, eps):
    """Reconstruction and KL parts of each image, from the weights alone."""
    mean, logvar = _posterior(weights, x)
    return -_log_likelihood(_logits(weights, _draw(mean, logvar, eps)), x), _kl(mean, logvar)


def _digits(rng):
    """The 1797 real digits, 8x8 pixels, inked where half the full ink or more; shuffled, then split."""
    from sklearn.datasets import load_digits

    inked = torch.from_numpy((load_digits().data >= 8).astype(np.float32))
    shuffled = inked[torch.from_numpy(rng.permutation(len(inked)))]
    return shuffled[HELD_OUT:], shuffled[:HELD_OUT]


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one image and for several, and depends on the images."""
    for index, (count, pixels, hidden, latent) in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[index % 2]
        model = _make(solution, pixels, hidden, latent, **({"dtype": dtype} if index % 2 else {}))
        eps, seen = _normal(rng, count, latent).to(dtype), []
        for x in (torch.zeros(count, pixels, dtype=dtype), torch.ones(count, pixels, dtype=dtype)):
            mean, logvar = assert_parts(model.encode(x), ("mean", "logvar"), name="encode")
            logits, *again = assert_parts(model(x, eps), ("logits", "mean", "logvar"), name="forward")
            z = solution.reparameterise(mean, logvar, eps)
            for value, name in zip((mean, logvar, z, *again), ("mean", "logvar", "z", "mean", "logvar"), strict=True):
                assert_shape(value, (count, latent), dtype=dtype, name=name)
            assert_shape(logits, (count, pixels), dtype=dtype, name="the logits of forward")
            assert_shape(model.decode(z), (count, pixels), dtype=dtype, name="the logits of decode")
            assert_shape(model.sample(eps), (count, pixels), dtype=dtype, name="the probabilities of sample")
            assert_shape(solution.kl_divergence(mean, logvar), (count,), dtype=dtype, name="kl")
            assert_shape(solution.reconstruction_loss(logits, x), (count,), dtype=dtype, name="reconstruction_loss")
            loss = solution.negative_elbo(logits, x, mean, logvar)
            assert_shape(loss, (), dtype=dtype, name="negative_elbo")
            seen.append((mean, logvar, logits, loss))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "black and white images give the same result"
    batches, noise = torch.zeros(3, count, dtype=torch.int64), _normal(rng, 3, count, latent).to(dtype)
    losses = solution.fit(model, x, batches, noise, 0.01)
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"
    help = "as nn.Linear draws: uniform, within 1 / sqrt(inputs of the layer) of zero"
    assert_drawn(lambda: _make(solution, 60, 80, 40), layer_laws(_shapes(60, 80, 40)), name="VAE", help=help)


@pytest.mark.value
def test_reparameterise(solution, rng):
    """The draw is the Gaussian's mean, moved by the given noise times its standard deviation."""
    for count, _, _, latent in SIZES:
        mean, logvar, eps = (_normal(rng, count, latent) for _ in range(3))
        for extreme in (0.0, 25.0, -40.0):
            logvar[:, 0] = extreme
            z = solution.reparameterise(mean, logvar, eps)
            assert_close(z, _draw(mean, logvar, eps), name="z", help="how a log-variance becomes a standard deviation")


@pytest.mark.value
def test_kl_divergence(solution, rng):
    """The KL divergence agrees with torch.distributions and is zero for the standard normal itself."""
    for count, _, _, latent in SIZES:
        mean, logvar = _normal(rng, count, latent), _normal(rng, count, latent)
        for extreme in (0.0, 25.0, -40.0):
            logvar[:, 0] = extreme
            kl = solution.kl_divergence(mean, logvar)
            assert_close(kl, _kl(mean, logvar), name="kl", help="each term of the closed form, and the sum over Z")
        zeros = torch.zeros_like(mean)
        kl = solution.kl_divergence(zeros, zeros)
        assert_close(kl, torch.zeros(count, dtype=mean.dtype), name="kl of the standard normal to itself")


@pytest.mark.value
def test_reconstruction_loss(solution, rng):
    """The reconstruction loss is the Bernoulli log-likelihood with its sign turned, also where a pixel is certain."""
    for count, pixels, _, _ in SIZES:
        x, logits = _binary(rng, count, pixels), _normal(rng, count, pixels)
        loss = solution.reconstruction_loss(logits, x)
        help = "the sum over pixels, those that are 0 and those that are 1"
        assert_close(loss, -_log_likelihood(logits, x), name="reconstruction_loss", help=help)
        x[:, :2], logits[:, :3] = torch.tensor([0.0, 1.0]), torch.tensor([60.0, -60.0, 100.0])
        loss = solution.reconstruction_loss(logits, x)
        help = "the sigmoid of 60 is 1 exactly: the logarithm of what is left is lost"
        assert_close(loss, -_log_likelihood(logits, x), name="reconstruction_loss of certain pixels", help=help)


@pytest.mark.value
def test_negative_elbo(solution, rng):
    """The loss is reconstruction plus KL, in nats per image."""
    for count, pixels, _, latent in SIZES:
        x, logits = _binary(rng, count, pixels), _normal(rng, count, pixels)
        mean, logvar = _normal(rng, count, latent), _normal(rng, count, latent)
        expected = (_kl(mean, logvar) - _log_likelihood(logits, x)).mean()
        loss = solution.negative_elbo(logits, x, mean, logvar)
        assert_close(loss, expected, name="negative_elbo", help="both parts, their signs, and the mean over images")
        x[:, :2], logits[:, :3] = torch.tensor([0.0, 1.0]), torch.tensor([100.0, -100.0, 60.0])
        expected = (_kl(mean, logvar) - _log_likelihood(logits, x)).mean()
        loss = solution.negative_elbo(logits, x, mean, logvar)
        help = "reconstruction_loss is right there: use it as it is, and limit nothing"
        assert_close(loss, expected, name="negative_elbo of certain pixels", help=help)


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, encode, decode, forward and sample give the stated network's numbers."""
    for count, pixels, hidden, latent in SIZES:
        model, weights = _model(solution, rng, pixels, hidden, latent)
        x, eps = _binary(rng, count, pixels), _normal(rng, count, latent)
        expected = _posterior(weights, x)
        mean, logvar = assert_parts(model.encode(x), ("mean", "logvar"), name="encode")
        assert_close(mean, expected[0], name="mean", help="which layers lead to the mean, and what follows them")
        assert_close(logvar, expected[1], name="logvar", help="which layer of its own, and what follows it")
        assert_close(model.decode(eps), _logits(weights, eps), name="the logits of decode")
        chances = Bernoulli(logits=_logits(weights, eps)).probs
        for mode in ("", " in evaluation mode"):
            logits, *_ = assert_parts(model(x, eps), ("logits", "mean", "logvar"), name="forward")
            help = "the noise is an argument, in either mode" if mode else ""
            expected_logits = _logits(weights, _draw(*expected, eps))
            assert_close(logits, expected_logits, name=f"the logits of forward{mode}", help=help)
            assert_close(model.sample(eps), chances, name=f"the probabilities of sample{mode}", help=help)
            model.eval()
        for name in ("mean_head.bias", "logvar_head.bias"):
            weights[name] = 40 * _normal(rng, latent)
        load_state(model, weights)
        far = zip(
            assert_parts(model.encode(x), ("mean", "logvar"), name="encode"),
            _posterior(weights, x),
            ("mean", "logvar"),
            strict=True,
        )
        for value, want, name in far:
            assert_close(value, want, name=f"{name} far from zero", help="nothing may limit what a head says")


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every parameter, the mean, the log-variance, the logits, the images and the noise."""
    count, pixels, hidden, latent = SIZES[0]
    mean, logvar, eps = (_normal(rng, count, latent) for _ in range(3))
    x, logits = _binary(rng, count, pixels), _normal(rng, count, pixels)
    model, weights = _model(solution, rng, pixels, hidden, latent)

    def draw(mean, logvar, eps):
        return solution.reparameterise(mean, logvar, eps)

    def loss(logits, mean, logvar):
        parts = solution.kl_divergence(mean, logvar), solution.reconstruction_loss(logits, x)
        return *parts, solution.negative_elbo(logits, x, mean, logvar)

    def forward(x, eps):
        return assert_parts(model(x, eps), ("logits", "mean", "logvar"), name="forward")

    gaussian, parameters = {"mean": mean, "logvar": logvar}, tensors_of(model, weights)
    assert_gradients(draw, {**gaussian, "eps": eps}, rng, name="gradient of reparameterise")
    assert_gradients(loss, {"logits": logits, **gaussian}, rng, name="gradient of the losses")
    assert_gradients(forward, {"x": x, "eps": eps}, rng, parameters=parameters, name="gradient of forward")


@pytest.mark.value
def test_three_training_steps(solution, rng):
    """From given weights, batches and noise, a dozen losses and the weights after them are the right ones."""
    for count, pixels, hidden, latent in SIZES:
        model, weights = _model(solution, rng, pixels, hidden, latent)
        images = _binary(rng, 13, pixels)
        batches, noise = torch.from_numpy(rng.integers(0, 13, (12, count))), _normal(rng, 12, count, latent)
        rate = float(rng.uniform(0.02, 0.06))
        losses = solution.fit(model, images, batches, noise, rate)

        expected = []
        for tensor in weights.values():
            tensor.requires_grad_()
        adam = torch.optim.Adam(weights.values(), lr=rate)
        for rows, eps in zip(batches, noise, strict=True):
            value = sum(_negative_elbo(weights, images[rows], eps)).mean()
            gradients = torch.autograd.grad(value, list(weights.values()))
            for tensor, gradient in zip(weights.values(), gradients, strict=True):
                tensor.grad = gradient
            adam.step()
            expected.append(value.item())
        assert_trajectory(losses, expected, name="negative ELBO")
        for name, tensor in state_of(model, weights).items():
            assert_close(tensor, weights[name].detach(), name=f"{name} after twelve steps", help="the last update")


@pytest.mark.behaviour
def test_zero_noise_gives_the_mean(solution, rng):
    """With zero noise the code is the mean; noise is the argument and nothing else, so the same noise repeats."""
    for count, pixels, hidden, latent in SIZES:
        model, weights = _model(solution, rng, pixels, hidden, latent)
        x, eps = _binary(rng, count, pixels), _normal(rng, count, latent)
        mean, logvar = _posterior(weights, x)
        zeros = torch.zeros_like(mean)
        assert_close(solution.reparameterise(mean, logvar, zeros), mean, name="z with zero noise")
        still, first, second = (
            assert_parts(model(x, e), ("logits", "mean", "logvar"), name="forward")[0] for e in (zeros, eps, eps)
        )
        assert_close(still, _logits(weights, mean), name="the logits with zero noise")
        expected = _logits(weights, _draw(mean, logvar, eps))
        assert_close(first, expected, name="the logits with given noise", help="is the noise that was given used?")
        assert_close(second, expected, name="the logits when the same noise is given again")


@pytest.mark.behaviour
def test_each_image_stands_alone(solution, rng):
    """An image's answer is the same alone and in a batch, and follows it when the batch is put in another order."""
    for count, pixels, hidden, latent in SIZES:
        model, _ = _model(solution, rng, pixels, hidden, latent)
        count += 1
        x, eps = _binary(rng, count, pixels), _normal(rng, count, latent)
        x[0], x[1] = 0, 1

        def answers(rows, model=model, x=x, eps=eps):
            logits, mean, logvar = assert_parts(model(x[rows], eps[rows]), ("logits", "mean", "logvar"), name="forward")
            kl, loss = solution.kl_divergence(mean, logvar), solution.reconstruction_loss(logits, x[rows])
            return {"logits": logits, "mean": mean, "logvar": logvar, "kl": kl, "reconstruction_loss": loss}

        order = torch.from_numpy(rng.permutation(count))
        batch, shuffled = answers(torch.arange(count)), answers(order)
        widths = {"logits": (pixels,), "mean": (latent,), "logvar": (latent,)}
        for name, value in batch.items():
            assert_shape(value, (count, *widths.get(name, ())), dtype=torch.float64, name=name)
            assert (value[0] != value[1]).any(), f"{name} is the same for a black and a white image"
            assert_close(shuffled[name], value[order], name=f"{name} of the shuffled batch")
        for name, value in answers(torch.tensor([1])).items():
            assert_close(value, batch[name][1:2], name=f"{name} of one image alone")


@pytest.mark.behaviour
def test_arguments_are_left_alone(solution, rng, mutated):
    """No call changes its arguments, and a second call with other data leaves the first answer as it was."""
    first, second = ([_normal(rng, 3, 2) for _ in range(3)] for _ in range(2))
    expected = _draw(*first), _kl(*first[:2])
    z, kl = solution.reparameterise(*first), solution.kl_divergence(*first[:2])
    solution.reparameterise(*second)
    solution.kl_divergence(*second[:2])
    assert_unchanged(mutated, but=["model of fit"])
    assert_close(z, expected[0], name="z of the first call, after the second")
    assert_close(kl, expected[1], name="kl of the first call, after the second")
    model, _ = _model(solution, rng, 7, 5, 2)
    x = _binary(rng, 3, 7)
    logits, mean, logvar = assert_parts(model(x, first[2]), ("logits", "mean", "logvar"), name="forward")
    solution.reconstruction_loss(logits, x)
    solution.negative_elbo(logits, x, mean, logvar)
    model.decode(first[2])
    model.sample(first[2])
    solution.fit(model, x, torch.tensor([[0, 1], [2, 1]]), _normal(rng, 2, 2, 2), 0.01)
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.convergence
def test_held_out_digits(solution, rng, record):
    """Trained on real digits, the model explains digits it never saw better than the mean image, and by their codes."""
    images, held_out = _digits(rng)
    ink = (images.sum(0) + 1) / (len(images) + 2)
    baseline = -_log_likelihood(torch.logit(ink), held_out).mean().item()

    model = _make(solution, images.shape[1], HIDDEN, LATENT)
    batches = torch.from_numpy(rng.integers(0, len(images), (STEPS, BATCH)))
    noise = _normal(rng, STEPS, BATCH, LATENT).float()
    start = _float64(model, HIDDEN, LATENT)
    losses = solution.fit(model, images, batches, noise, LEARNING_RATE)
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    first = sum(_negative_elbo(start, images[batches[0]].double(), noise[0].double())).mean().item()
    assert_trajectory(losses[:1], [first], tol=1e-4, name="the first loss of fit")

    record.curve("negative ELBO in nats per image", losses, baseline=baseline)
    logits, *_ = assert_parts(model(held_out[:8], torch.zeros(8, LATENT)), ("logits", "mean", "logvar"), name="forward")
    assert_shape(logits, (8, 64), name="the logits of forward")
    pairs = torch.stack([held_out[:8], torch.sigmoid(logits.detach())], 1)
    record.images("held-out digits, each beside its reconstruction", pairs.reshape(-1, 8, 8).numpy())
    samples = model.sample(_normal(rng, 16, LATENT).float())
    assert_shape(samples, (16, 64), name="the probabilities of sample")
    record.images("samples from the prior", samples.detach().reshape(-1, 8, 8).numpy())

    weights, held_out, eps = _float64(model, HIDDEN, LATENT), held_out.double(), _normal(rng, len(held_out), LATENT)
    reconstruction, kl = _negative_elbo(weights, held_out, eps)
    z = _draw(*_posterior(weights, held_out), eps)
    swapped = -_log_likelihood(_logits(weights, z.roll(1, 0)), held_out).mean().item()
    elbo = (reconstruction + kl).mean().item()
    help = "the mean image explains every digit alike; reconstruction and KL both count"
    assert_beats(elbo, 0.91 * baseline, name="negative ELBO on held-out digits", higher=False, help=help)
    lost = swapped - reconstruction.mean().item()
    help = "the code carries nothing: does the gradient of the reconstruction reach the mean?"
    assert_beats(lost, 0.45 * baseline, name="nats lost by decoding another digit's code", help=help)
