"""The suite of kata 07: what a variational autoencoder must do, checked against torch.distributions."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from grader.checks import (
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
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

# Images, pixels, hidden units and latent dimensions of each case; all four differ within a case.
SIZES = [(4, 9, 6, 3), (1, 7, 5, 2), (3, 11, 8, 5), (6, 8, 10, 4), (1201, 6, 5, 2)]
ROWS = [(4, 9, 3), (1, 7, 2), (3, 11, 5), (6, 8, 4), (5001, 3, 2)]  # the same without hidden units, for the losses
TOL = 1e-9  # of values in which float32 would else not be seen
FAR = 60.0  # times what is near: logits and log-variances in the hundreds
PARTS = ("logits", "mean", "logvar")
HELD_OUT = 397
STEPS, BATCH, HIDDEN, LATENT, LEARNING_RATE = 120, 128, 64, 8, 0.02


def _binary(rng, count, pixels):
    """Images of pixels 0.0 and 1.0, never contiguous; the last is the first again."""
    x = torch.from_numpy((rng.random((pixels, count)) < 0.4).astype(np.float64)).T
    x[-1] = x[0]
    return x


def _gaussians(rng, count, latent):
    """Means and log-variances of which one, so the first, is the last again."""
    mean, logvar = normal(rng, count, latent), normal(rng, count, latent)
    mean[-1], logvar[-1] = mean[0], logvar[0]
    return {"mean": mean, "logvar": logvar}


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


def _make(solution, *sizes, **options):
    """The learner's new model, found to hold the ten tensors that the statement names."""
    model = solution.VAE(*sizes, **options)
    return assert_state(model, _shapes(*sizes), dtype=options.get("dtype", torch.float32), name="VAE")


def _oracle(sizes, weights):
    """The five layers in float64 with these weights."""
    layers = {name.removesuffix(".weight"): shape for name, shape in _shapes(*sizes).items() if len(shape) > 1}
    linear = {name: nn.Linear(*shape[::-1], dtype=torch.float64) for name, shape in layers.items()}
    return load_state(nn.ModuleDict(linear), {name: value.double() for name, value in weights.items()})


def _pair(solution, rng, sizes, scale=1.0):
    """The learner's model in float64 and the oracle, with the same given weights."""
    model = _make(solution, *sizes, dtype=torch.float64)
    weights = {name: scale * normal(rng, *size) / size[-1] ** 0.5 for name, size in _shapes(*sizes).items()}
    return load_state(model, weights), _oracle(sizes, weights)


def _posterior(oracle, x):
    hidden = torch.tanh(oracle["encoder"](x))
    return oracle["mean_head"](hidden), oracle["logvar_head"](hidden)


def _logits(oracle, z):
    return oracle["output"](torch.tanh(oracle["decoder"](z)))


def _forward(oracle, x, eps):
    mean, logvar = _posterior(oracle, x)
    return _logits(oracle, _draw(mean, logvar, eps)), mean, logvar


def _chances(oracle, z):
    return Bernoulli(logits=_logits(oracle, z)).probs


def _gaussian(mean, logvar):
    return Normal(mean, logvar.exp().sqrt(), validate_args=False)


def _draw(mean, logvar, eps):
    """The quantile of N(mean, exp(logvar)) at the level where the noise stands in N(0, 1)."""
    return _gaussian(mean, logvar).icdf(Normal(0.0, 1.0).cdf(eps))


def _kl(mean, logvar):
    return kl_divergence(_gaussian(mean, logvar), Normal(0.0, 1.0)).sum(1)


def _reconstruction(logits, x):
    return -Bernoulli(logits=logits, validate_args=False).log_prob(x).sum(1)


def _negative_elbo(logits, x, mean, logvar):
    return (_reconstruction(logits, x) + _kl(mean, logvar)).mean()


def _compare(solution, rng, *, gradients):
    """The learner's networks against the oracle's, near zero and far from it; no slope is asked of `sample`."""
    for count, *sizes in SIZES[: -1 if gradients else None]:  # a thousand images in values alone
        for scale in (1.0, FAR):
            model, oracle = _pair(solution, rng, sizes, scale)
            x, eps = _binary(rng, count, sizes[0]), normal(rng, count, sizes[2])
            z, names = {"z": scale * eps}, list(_shapes(*sizes))
            parts = [
                (model.encode, _posterior, {"x": x}, PARTS[1:], "which layers lead to each, and what follows: nothing"),
                (model.decode, _logits, z, "decode", "a tanh, and nothing after the logits"),
                (model, _forward, {"x": x, "eps": eps}, PARTS, "the noise is an argument, in either mode"),
                (model.sample, _chances, z, "sample", "the chance that a pixel is 1"),
            ]
            more = {"modules": (model, oracle), "tol": TOL, "gradients": False}
            if gradients:
                more, parts = more | {"tol": 1e-6, "gradients": True, "parameters": names}, parts[:3]
            for function, right, inputs, name, help in parts:
                assert_agrees(function, partial(right, oracle), inputs, rng, name=name, help=help, **more)


def _answers(model, x, eps):
    """(logits, mean, logvar) of the learner's forward."""
    return assert_parts(model(x, eps), PARTS, name="forward")


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
        eps, seen = normal(rng, count, latent).to(dtype), []
        for x in (torch.zeros(count, pixels, dtype=dtype), torch.ones(count, pixels, dtype=dtype)):
            mean, logvar = assert_parts(model.encode(x), PARTS[1:], name="encode")
            logits, *again = _answers(model, x, eps)
            z = solution.reparameterise(mean, logvar, eps)
            for value, name in zip((mean, logvar, z, *again), ("mean", "logvar", "z", "mean", "logvar"), strict=True):
                assert_shape(value, (count, latent), dtype=dtype, name=name)
            for value, name in ((logits, "forward"), (model.decode(z), "decode"), (model.sample(eps), "sample")):
                assert_shape(value, (count, pixels), dtype=dtype, name=name)
            assert_shape(solution.kl_divergence(mean, logvar), (count,), dtype=dtype, name="kl")
            assert_shape(solution.reconstruction_loss(logits, x), (count,), dtype=dtype, name="reconstruction_loss")
            loss = solution.negative_elbo(logits, x, mean, logvar)
            assert_shape(loss, (), dtype=dtype, name="negative_elbo")
            seen.append((mean, logvar, logits, loss))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "black and white images give the same result"
    batches, noise = torch.zeros(3, count, dtype=torch.int64), normal(rng, 3, count, latent).to(dtype)
    losses = solution.fit(model, x, batches, noise, 0.01)
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"
    help = "as nn.Linear draws: uniform, within 1 / sqrt(inputs of the layer) of zero"
    assert_drawn(lambda: _make(solution, 60, 80, 40), layer_laws(_shapes(60, 80, 40)), name="VAE", help=help)


@pytest.mark.value
def test_reparameterise(solution, rng):
    """The draw is the Gaussian's mean, moved by the given noise times its standard deviation."""
    help = "how a log-variance becomes a standard deviation"
    for count, _, latent in ROWS:
        inputs = _gaussians(rng, count, latent) | {"eps": normal(rng, count, latent)}
        for extreme in (0.0, 25.0, -40.0):
            inputs["logvar"][:, 0] = extreme
            assert_agrees(solution.reparameterise, _draw, inputs, rng, gradients=False, name="z", help=help)


@pytest.mark.value
def test_kl_divergence(solution, rng):
    """The KL divergence agrees with torch.distributions and is zero for the standard normal itself."""
    help = "each term of the closed form, and the sum over Z"
    for count, _, latent in ROWS:
        inputs = _gaussians(rng, count, latent)
        for extreme in (0.0, 25.0, -40.0):
            inputs["logvar"][:, 0] = extreme
            assert_agrees(solution.kl_divergence, _kl, inputs, rng, gradients=False, name="kl", help=help)
        zeros = torch.zeros(count, latent, dtype=torch.float64)
        assert_close(
            solution.kl_divergence(zeros, zeros), zeros[:, 0], name=text("kl of the standard normal to itself")
        )


@pytest.mark.value
def test_reconstruction_loss(solution, rng):
    """The reconstruction loss is the Bernoulli log-likelihood with its sign turned, also where a pixel is certain."""
    for count, pixels, _ in ROWS:
        inputs = {"logits": normal(rng, count, pixels), "x": _binary(rng, count, pixels)}
        more = {"gradients": False, "tol": TOL, "help": "the sum over pixels, those that are 0 and those that are 1"}
        found = solution.reconstruction_loss
        assert_agrees(found, _reconstruction, inputs, rng, name="reconstruction_loss", **more)
        inputs["x"][:, :2], inputs["logits"][:, :3] = torch.tensor([0.0, 1.0]), torch.tensor([60.0, -60.0, 100.0])
        more["help"] = "the sigmoid of 60 is 1 exactly: the logarithm of what is left is lost"
        name = text("reconstruction_loss of certain pixels")
        assert_agrees(found, _reconstruction, inputs, rng, name=name, **more)


@pytest.mark.value
def test_negative_elbo(solution, rng):
    """The loss is reconstruction plus KL, in nats per image."""
    for count, pixels, latent in ROWS:
        inputs = {"logits": normal(rng, count, pixels), "x": _binary(rng, count, pixels)}
        inputs["logits"][-1] = inputs["logits"][0]
        inputs |= _gaussians(rng, count, latent)
        more = {"gradients": False, "help": "both parts, their signs, and the mean over images"}
        assert_agrees(solution.negative_elbo, _negative_elbo, inputs, rng, name="negative_elbo", **more)
        inputs["x"][:, :2], inputs["logits"][:, :3] = torch.tensor([0.0, 1.0]), torch.tensor([100.0, -100.0, 60.0])
        more["help"] = "reconstruction_loss is right there: use it as it is, and limit nothing"
        name = text("negative_elbo of certain pixels")
        assert_agrees(solution.negative_elbo, _negative_elbo, inputs, rng, name=name, **more)


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, encode, decode, forward and sample give the stated network's numbers, in either mode."""
    _compare(solution, rng, gradients=False)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every parameter, the mean, the log-variance, the logits, the images and the noise."""
    for count, pixels, latent in ROWS[:-1]:
        for scale in (1.0, FAR):
            gaussian = {name: scale * value for name, value in _gaussians(rng, count, latent).items()}
            logits, x = {"logits": scale * normal(rng, count, pixels)}, {"x": _binary(rng, count, pixels)}
            noise = {"eps": normal(rng, count, latent)}
            assert_agrees(solution.reparameterise, _draw, gaussian | noise, rng, name="z")
            assert_agrees(solution.kl_divergence, _kl, gaussian, rng, name="kl")
            losses = solution.reconstruction_loss, _reconstruction
            assert_agrees(*losses, logits | x, rng, fixed=("x",), name="reconstruction_loss")
            gaussian["logvar"] = gaussian["logvar"] / scale  # else its exponential hides all else
            losses = solution.negative_elbo, _negative_elbo
            assert_agrees(*losses, logits | x | gaussian, rng, fixed=("x",), name="negative_elbo")
    _compare(solution, rng, gradients=True)


@pytest.mark.value
def test_training_steps(solution, rng):
    """From given weights, batches and noise, every loss of fit and the weights at the end are the right ones."""
    cases = [(*sizes, 13, 12, rng.uniform(0.02, 0.06)) for sizes in SIZES[:-1]]  # N, D, H, Z, M, S and the rate
    cases += [(2, 5, 4, 3, 1, 1, 0.1), (3, 6, 4, 2, 9, 3, 0.0), *2 * [(5, 6, 4, 3, 1300, 2, 0.05)]]
    for index, (count, *sizes, rows, steps, rate) in enumerate(cases):
        model, oracle = _pair(solution, rng, sizes, 1.0 if index else 20.0)  # losses beyond 30 too
        images, noise = _binary(rng, rows, sizes[0]), normal(rng, steps, count, sizes[2])
        batches = torch.from_numpy(rng.integers(0, rows, (count, steps)).T)
        model.train(index % 2 > 0)
        losses = solution.fit(model, images, batches, noise, float(rate))

        def steps_of(oracle=oracle, images=images, batches=batches, noise=noise):
            for chosen, eps in zip(batches, noise, strict=True):
                logits, *gaussian = _forward(oracle, images[chosen], eps)
                yield _negative_elbo(logits, images[chosen], *gaussian)

        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        more = {"parameters": list(_shapes(*sizes)), "weights_tol": 1e-6, "name": "negative_elbo"}
        more["help"] = "from step 1 batch and noise; from step 2 the rate; from step 3 cleared gradients, one optimiser"
        assert_trained(losses, model, oracle, steps_of(), adam, **more)


@pytest.mark.behaviour
def test_zero_noise_gives_the_mean(solution, rng):
    """With zero noise the code is the mean; noise is the argument and nothing else, so the same noise repeats."""
    for count, *sizes in SIZES:
        model, oracle = _pair(solution, rng, sizes)
        x, eps = _binary(rng, count, sizes[0]), normal(rng, count, sizes[2])
        mean, logvar = (value.detach() for value in _posterior(oracle, x))
        zeros = torch.zeros_like(mean)
        assert_close(solution.reparameterise(mean, logvar, zeros), mean, name=text("z with zero noise"))
        still, first, second = (_answers(model, x, e)[0] for e in (zeros, eps, eps))
        assert_close(still, _logits(oracle, mean), name=text("the logits with zero noise"))
        expected, help = _forward(oracle, x, eps)[0], "is the noise that was given used?"
        assert_close(first, expected, name=text("the logits with given noise"), help=help)
        assert_close(second, expected, name=text("the logits when the same noise is given again"))


@pytest.mark.behaviour
def test_each_image_stands_alone(solution, rng):
    """An image's answer is the same alone and in a batch, and follows it when the batch is put in another order."""
    for count, pixels, hidden, latent in SIZES:
        model, _ = _pair(solution, rng, (pixels, hidden, latent))
        x, eps = _binary(rng, count + 1, pixels), normal(rng, count + 1, latent)
        x[0], x[1] = 0, 1

        def answers(rows, model=model, x=x, eps=eps):
            logits, mean, logvar = _answers(model, x[rows], eps[rows])
            kl, loss = solution.kl_divergence(mean, logvar), solution.reconstruction_loss(logits, x[rows])
            return {"logits": logits, "mean": mean, "logvar": logvar, "kl": kl, "reconstruction_loss": loss}

        batch, widths = answers(torch.arange(count + 1)), {"logits": (pixels,), "mean": (latent,), "logvar": (latent,)}
        for name, value in batch.items():
            assert_shape(value, (count + 1, *widths.get(name, ())), dtype=torch.float64, name=name)
            assert_that((value[0] != value[1]).any(), "{name} is the same for a black and a white image", name=name)
        for rows in (torch.from_numpy(rng.permutation(count + 1)), torch.tensor([1])):
            for name, value in answers(rows).items():
                assert_close(value, batch[name][rows], name=text("{name} in another batch", name=name))


@pytest.mark.behaviour
def test_arguments_are_left_alone(solution, rng, mutated):
    """No call changes its arguments or the model, and a second call with other data leaves the first answer as it was."""
    first, second = ([normal(rng, 3, 2) for _ in range(3)] for _ in range(2))
    z, kl = solution.reparameterise(*first), solution.kl_divergence(*first[:2])
    solution.reparameterise(*second)
    solution.kl_divergence(*second[:2])
    assert_close(z, _draw(*first), name=text("z of the first call, after the second"))
    assert_close(kl, _kl(*first[:2]), name=text("kl of the first call, after the second"))
    model, _ = _pair(solution, rng, (7, 5, 2))
    x, before = _binary(rng, 3, 7), state_of(model, _shapes(7, 5, 2))
    logits, mean, logvar = _answers(model, x, first[2])
    solution.reconstruction_loss(logits, x)
    solution.negative_elbo(logits, x, mean, logvar)
    model.encode(x)
    model.decode(first[2])
    model.sample(first[2])
    for name, value in state_of(model, before).items():
        assert_close(value, before[name], name=text("{name} after the calls", name=name))
    solution.fit(model, x, torch.tensor([[0, 1], [2, 1]]), normal(rng, 2, 2, 2), 0.01)
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.convergence
def test_held_out_digits(solution, rng, record):
    """Trained on real digits, the model explains digits it never saw better than the mean image, and by their codes."""
    images, held_out = _digits(rng)
    ink = (images.sum(0) + 1) / (len(images) + 2)
    baseline = _reconstruction(torch.logit(ink), held_out).mean().item()

    sizes = images.shape[1], HIDDEN, LATENT
    model = _make(solution, *sizes)
    batches = torch.from_numpy(rng.integers(0, len(images), (STEPS, BATCH)))
    noise = normal(rng, STEPS, BATCH, LATENT).float()
    start, x = _oracle(sizes, state_of(model, _shapes(*sizes))), images[batches[0]].double()
    logits, *gaussian = _forward(start, x, noise[0].double())
    losses = solution.fit(model, images, batches, noise, LEARNING_RATE)
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    first = _negative_elbo(logits, x, *gaussian).item()
    assert_trajectory(losses[:1], [first], tol=1e-4, name=text("the first loss of fit"))
    trained = _oracle(sizes, state_of(model, _shapes(*sizes))).requires_grad_(False)

    record.curve("negative ELBO in nats per image", losses, baseline=baseline)
    rebuilt = torch.sigmoid(_logits(trained, _posterior(trained, held_out[:8].double())[0]))
    pairs = torch.stack([held_out[:8], rebuilt], 1)
    record.images("held-out digits, each beside its reconstruction", pairs.reshape(-1, 8, 8).numpy())
    samples = model.sample(normal(rng, 16, LATENT).float())
    assert_shape(samples, (16, 64), name="sample")
    record.images("samples from the prior", samples.detach().reshape(-1, 8, 8).numpy())

    held_out, eps = held_out.double(), normal(rng, len(held_out), LATENT)
    logits, mean, logvar = _forward(trained, held_out, eps)
    reconstruction = _reconstruction(logits, held_out).mean().item()
    elbo = reconstruction + _kl(mean, logvar).mean().item()
    help = "the mean image explains every digit alike; reconstruction and KL both count"
    name = text("negative ELBO on held-out digits")
    assert_beats(elbo, 0.91 * baseline, name=name, higher=False, help=help)
    swapped = _reconstruction(_logits(trained, _draw(mean, logvar, eps).roll(1, 0)), held_out).mean().item()
    help = "the code carries nothing: does the gradient of the reconstruction reach the mean?"
    name = text("nats lost by decoding another digit's code")
    assert_beats(swapped - reconstruction, 0.45 * baseline, name=name, help=help)
