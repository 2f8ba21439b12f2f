"""The suite of kata 09: sizes that come back exactly, PyTorch's own transposed convolution, and PCA as the rival."""

from __future__ import annotations

from functools import partial
from itertools import pairwise, product
from math import prod

import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional as F

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
    text,
)

# Images in the batch, shape of an image, channels, kernel, stride, padding: even and odd sizes, each with its own rest.
NETWORKS = [
    (3, (1, 8, 8), [4, 5, 2], 3, 2, 1),
    (2, (2, 7, 10), [4, 3], 3, 2, 1),
    (1, (1, 9, 6), [5, 2], 4, 2, 1),
    (4, (3, 12, 8), [2], 5, 3, 2),
    (2, (2, 6, 5), [3, 4, 1], 2, 1, 0),
    (1201, (1, 4, 3), [2], 3, 2, 1),
]
# Images, channels read and written, size of the map, size of the kernel, stride, padding, extra.
STAMPS = [
    (2, 3, 4, [5, 4], [3, 2], 1, 0, (0, 0)),
    (1, 2, 5, [3, 4], [3, 3], 2, 1, (1, 0)),
    (3, 4, 2, [4, 3], [3, 4], 2, 1, (0, 1)),
    (2, 1, 3, [2, 5], [2, 3], 3, 0, (2, 1)),
    (2, 3, 1, [4, 2], [5, 4], 3, 2, (1, 2)),
    (1, 5, 2, [1, 3], [4, 3], 2, 2, (1, 1)),
    (4, 2, 3, [3, 1], [2, 1], 2, 0, (1, 1)),
    (2, 2, 6, [6, 5], [5, 3], 1, 2, (0, 0)),
    (3, 2, 4, [4, 1], [3, 5], 2, 2, (1, 0)),
    (5001, 1, 2, [2, 1], [2, 2], 1, 0, (0, 0)),
]
BACK = "an ELU after every layer but the last, and in every layer the rows and columns that this layer must add"
DOWN = "an ELU after every layer but the last: nothing follows the code"
BOTH = "encode and decode are right: forward is one after the other"
FAR = 1000.0  # times what is near
DIGIT, CHANNELS, HELD_OUT = (1, 8, 8), [16, 32, 6], 397
STEPS, BATCH, NOISE, LEARNING_RATE = 150, 48, 1.0, 0.02
GAIN = 0.05  # beyond PCA: right ones gain 0.10 to 0.12, without the ELU 0.01


def _stops(size, kernel, stride, padding):
    """Where a window can begin, one by one: the definition that the formula shortens."""
    return [start for start in range(0, size + 2 * padding, stride) if start + kernel <= size + 2 * padding]


def _sizes():
    """All small sizes with kernels, strides and paddings that fit."""
    for size, kernel, stride, padding in product(range(1, 12), range(1, 6), range(1, 5), range(5)):
        if padding < kernel <= size + 2 * padding:
            yield {"size": size, "kernel": kernel, "stride": stride, "padding": padding}


class Oracle(nn.Module):
    """The stated network of PyTorch's own layers in float64; each on the way back is told which sizes it must reach."""

    def __init__(self, image, channels, kernel=3, stride=2, padding=1):
        super().__init__()
        self.encoder, self.decoder, self.sizes = nn.ModuleList(), nn.ModuleList(), [image[1:]]
        for read, written in pairwise([image[0], *channels]):
            more = kernel, stride, padding
            self.encoder.append(nn.Conv2d(read, written, *more).double())
            self.decoder.insert(0, nn.ConvTranspose2d(written, read, *more).double())
            self.sizes.append(tuple(len(_stops(size, *more)) for size in self.sizes[-1]))
        self.code_shape = (channels[-1], *self.sizes[-1])

    def encode(self, x):
        for index, layer in enumerate(self.encoder):
            x = layer(F.elu(x) if index else x)
        return x

    def decode(self, code):
        for index, (layer, size) in enumerate(zip(self.decoder, self.sizes[-2::-1], strict=True)):
            code = layer(F.elu(code) if index else code, output_size=size)
        return code

    def forward(self, x):
        return self.decode(self.encode(x))

    def loss(self, x, noise):
        return _distance(self(x + noise), x).mean()

    def steps(self, adam, images, batches, noise, rates):
        """The loss at each step, for which Adam is given the step's rate."""
        for rows, disturbance, rate in zip(batches, noise, rates, strict=True):
            adam.param_groups[0]["lr"] = rate
            yield self.loss(images[rows], disturbance)


def _shapes(image, channels, kernel=3, *_):
    """Names and shapes of the parameters that the statement asks for."""
    shapes, last = {}, len(channels) - 1
    for i, (read, written) in enumerate(pairwise([image[0], *channels])):
        for name, bias in ((f"encoder.{i}", written), (f"decoder.{last - i}", read)):
            shapes[f"{name}.weight"] = (written, read, kernel, kernel)
            shapes[f"{name}.bias"] = (bias,)
    return shapes


def _make(solution, image, channels, *rest, dtype=torch.float64):
    """The learner's new model, found to hold the tensors that the statement names."""
    model = solution.ConvAutoencoder(tuple(image), list(channels), *rest, dtype=dtype)
    return assert_state(model, _shapes(image, channels, *rest), dtype=dtype, name="ConvAutoencoder")


def _pair(solution, rng, network):
    """The learner's model in float64 and the oracle, with the same given weights."""
    weights = {}
    for name, size in _shapes(*network).items():
        weights[name] = normal(rng, *size) / (prod(size[1:]) ** 0.5 if len(size) > 1 else 2)
    return load_state(_make(solution, *network), weights), load_state(Oracle(*network), weights)


def _twice(rng, count, image):
    """Images of which one, so the first, is the last again."""
    x = normal(rng, count, *image)
    x[-1] = x[0]
    return x


def _stamps(rng, cases=STAMPS):
    """What conv_transpose2d is given, near zero and far from it, and what its result is called."""
    for count, read, written, size, kernel, stride, padding, extra in cases:
        numbers = {"stride": stride, "padding": padding, "extra": extra}
        seen = {**numbers, "kernel": kernel, "extra": list(extra)}
        name = text("conv_transpose2d, stride {stride}, padding {padding}, kernel {kernel}, extra {extra}", **seen)
        for scale in (1.0, FAR):
            x, weight = scale * normal(rng, count, read, *size), normal(rng, read, written, *kernel)
            yield {"x": x, "weight": weight, "bias": scale * normal(rng, written), **numbers}, name


def _stamped(x, weight, bias, stride, padding, extra):
    return F.conv_transpose2d(x, weight, bias, stride, padding, extra)


def _compare(solution, rng, *, gradients):
    """The learner's networks for images of every size against the oracle's, near zero and far; a thousand in values alone."""
    for count, *network in NETWORKS[: -1 if gradients else None]:
        model, oracle = _pair(solution, rng, network)
        seen = {"image": list(network[0]), "channels": network[1]}
        for scale in (1.0, FAR):
            x, code = scale * normal(rng, count, *network[0]), scale * normal(rng, count, *oracle.code_shape)
            parts = (
                (model.decode, oracle.decode, code, text("decode, images {image}, channels {channels}", **seen), BACK),
                (model.encode, oracle.encode, x, text("the code, images {image}, channels {channels}", **seen), DOWN),
                (model, oracle, x, text("forward, images {image}, channels {channels}", **seen), BOTH),
            )
            more = {"modules": (model, oracle), "parameters": list(_shapes(*network)), "gradients": gradients}
            for function, right, value, name, help in parts:
                call, answer = (lambda value, f=each: f(value) for each in (function, right))
                assert_agrees(call, answer, {"value": value}, rng, name=name, help=help, **more)


def _distance(output, x):
    """Squared distance of each image from another."""
    return torch.linalg.vector_norm((output - x).flatten(1), dim=1) ** 2


def _explained(output, x):
    """One minus the share of the variance that is left; the mean image is zero here."""
    return (1 - _distance(output, x).sum() / _distance(x, torch.zeros_like(x)).sum()).item()


def _digits(rng):
    """The 1797 real digits, shuffled and split; and what stands for black and for one in the pictures.

    The mean training image is subtracted, and all is divided by one number: the mean square of the rest is 1.
    """
    from sklearn.datasets import load_digits

    ink = torch.from_numpy(load_digits().images)[:, None]
    ink = ink[torch.from_numpy(rng.permutation(len(ink)))]
    mean = ink[HELD_OUT:].mean(0)
    scale = ((ink[HELD_OUT:] - mean) ** 2).mean() ** 0.5
    images = (ink - mean) / scale
    return images[HELD_OUT:].float(), images[:HELD_OUT], mean, scale


@pytest.mark.shape
def test_shapes(solution, rng):
    """Codes have the noted shape, outputs the shape of the images, also for one image, odd sizes and other strides."""
    for index, (count, image, *rest) in enumerate(NETWORKS):
        dtype, seen = (torch.float32, torch.float64)[index % 2], []
        model, shape = _make(solution, image, *rest, dtype=dtype), Oracle(image, *rest).code_shape
        found = model.code_shape
        assert_that(
            isinstance(found, tuple | list) and tuple(found) == shape,
            "code_shape must be (Z, P, Q) of the code, {shape} for images {image}, channels {channels}, kernel {kernel}, "
            "stride {stride}, padding {padding}",
            help="does each layer start from what the last one left?",
            **dict(zip(("image", "channels", "kernel", "stride", "padding"), (image, *rest), strict=True)),
            shape=shape,
        )
        for x in (torch.zeros(count, *image, dtype=dtype), torch.ones(count, *image, dtype=dtype)):
            code, output = model.encode(x), model(x)
            help = "a code has the shape code_shape: every layer of the encoder has the stride and the padding"
            assert_shape(code, (count, *shape), dtype=dtype, name=text("the code"), help=help)
            help = "the decoder must give back exactly the sizes that the encoder was given, layer by layer"
            for value, name in ((model.decode(code), "decode"), (output, "forward")):
                name = text("output of {part}", part=name)
                assert_shape(value, (count, *image), dtype=dtype, name=name, help=help)
            loss = solution.denoising_loss(model, x, torch.full_like(x, 0.5))
            assert_shape(loss, (), dtype=dtype, name="denoising_loss")
            seen.append((code, output, loss))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "black and white images give the same result"
    batches, noise = torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3, 4, *image, dtype=dtype)
    losses = solution.fit(model, x, batches, noise, [0.01, 0.02, 0.01])
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_conv_size(solution):
    """conv_size counts the stops of a window that never hangs over the edge, for every stride and padding."""
    for given in _sizes():
        found, stops = solution.conv_size(**given), _stops(**given)
        assert type(found) is int, "conv_size must return a Python int"
        assert_that(
            found == len(stops),
            "conv_size({size}, {kernel}, {stride}, {padding}) gave {found}: the image and its padding have {rows} rows, "
            "and windows of {kernel} begin at rows {stops}",
            **given | {"found": found, "rows": given["size"] + 2 * given["padding"], "stops": stops},
        )


@pytest.mark.value
def test_output_padding(solution):
    """With output_padding the way back ends at the size that it began with, and not at a smaller one."""
    for given in _sizes():
        found, last = solution.output_padding(**given), _stops(**given)[-1]
        assert type(found) is int, "output_padding must return a Python int"
        back = last + given["kernel"] - 2 * given["padding"]
        assert_that(
            back + found == given["size"],
            "output_padding({size}, {kernel}, {stride}, {padding}) gave {found}: the way down and back without it leads "
            "from {size} rows to {back}",
            **given | {"found": found, "back": back},
        )


@pytest.mark.value
def test_conv_transpose2d(solution, rng):
    """The transposed convolution agrees with PyTorch's: any stride, padding and kernel, with and without extra rows."""
    help = (
        "stamps that overlap add up and are not flipped; the bias is added once; the cut takes padding rows off each side, "
        "and fewer by extra at the end: those rows keep what was stamped on them. Rows and columns have an extra each"
    )
    for given, name in _stamps(rng):
        assert_agrees(solution.conv_transpose2d, _stamped, given, rng, gradients=False, name=name, help=help)
    x = torch.zeros(1, 1, 3, 4).double()
    x[0, 0, 1, 2] = 1
    weight = normal(rng, 1, 2, 3, 2)
    out = solution.conv_transpose2d(x, weight, torch.zeros(2).double(), 3, 0, (0, 0))
    help = "one pixel that is 1 among zeros leaves the kernel itself, with its corner at the pixel's place times stride"
    assert_close(out[:, :, 3:6, 6:8], weight, name=text("the stamp of a single pixel"), help=help)


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, encode, decode and forward give the stated network's numbers, for images of any size."""
    _compare(solution, rng, gradients=False)


@pytest.mark.behaviour
def test_code_is_shorter_than_the_image(solution):
    """A code with as many numbers as the image, or more, is refused; what lies between may be larger."""
    for image, channels in (((1, 8, 8), [4]), ((1, 8, 8), [2, 20]), ((3, 5, 7), [2, 30]), ((1, 5, 9), [3])):
        size, numbers, refused = prod(image), prod(Oracle(image, channels).code_shape), False
        try:
            solution.ConvAutoencoder(image, list(channels))
        except ValueError:
            refused = True
        seen = {"image": list(image), "size": size, "channels": channels, "numbers": numbers}
        assert_that(
            refused,
            "a ValueError is due: images {image} have {size} numbers, and codes of channels {channels} have {numbers}",
            **seen,
        )
    for image, channels in (((1, 8, 8), [3]), ((1, 8, 8), [30, 15]), ((3, 5, 7), [40, 26]), ((2, 5, 9), [5])):
        _make(solution, image, channels)


@pytest.mark.value
def test_denoising_loss(solution, rng):
    """The loss compares what becomes of the noisy images with the clean ones, in squares summed over each image."""
    help = "noise goes into the model and nowhere else; a sum over channels, rows, columns, a mean over images"
    for count, *network in NETWORKS:
        model, oracle = _pair(solution, rng, network)
        x, noise = _twice(rng, count, network[0]), 0.7 * _twice(rng, count, network[0])
        loss, more = partial(solution.denoising_loss, model), {"modules": (model, oracle), "gradients": False}
        for given, name in ((noise, "denoising_loss"), (0 * noise, text("denoising_loss without noise"))):
            assert_agrees(loss, oracle.loss, {"x": x, "noise": given}, rng, name=name, help=help, **more)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach maps, kernels and biases of the transposed convolution, and every parameter of the model."""
    help = "nothing may cut the graph: no detach, no .data, no no_grad between the images and the loss"
    for given, name in _stamps(rng, STAMPS[2:6]):
        assert_agrees(solution.conv_transpose2d, _stamped, given, rng, name=name, help=help)
    _compare(solution, rng, gradients=True)
    for count, *network in NETWORKS[:3]:
        model, oracle = _pair(solution, rng, network)
        loss, more = partial(solution.denoising_loss, model), {"modules": (model, oracle), "help": help}
        for scale in (1.0, FAR):
            given = {name: scale * normal(rng, count, *network[0]) for name in ("x", "noise")}
            names = list(_shapes(*network))
            assert_agrees(loss, oracle.loss, given, rng, parameters=names, name="denoising_loss", **more)


@pytest.mark.value
def test_training_steps(solution, rng):
    """From given weights, batches, noise and rates, every loss of fit and the weights at the end are the right ones."""
    help = "from step 1 batch, noise, target; from step 2 the step's rate, cleared gradients; later one Adam"
    cases = [(*network, 11, 12) for network in NETWORKS[:-1]]  # the last two: training images, steps
    cases += [(2, *NETWORKS[5][1:], 1, 1), *2 * [(3, *NETWORKS[5][1:], 1300, 2)]]
    for index, (count, *network, rows, steps) in enumerate(cases):
        model, oracle = _pair(solution, rng, network)
        images, noise = normal(rng, rows, *network[0]), 0.7 * normal(rng, steps, count, *network[0])
        batches = torch.from_numpy(rng.integers(0, rows, (count, steps)).T)
        rates = [float(rate) for rate in rng.uniform(0.02, 0.12, steps)]
        rates[3:4] = [0.0] * (steps > 3)
        model.train(index % 2 > 0)
        losses = solution.fit(model, images, batches, noise, list(rates))
        adam = torch.optim.Adam(oracle.parameters())
        more = {"parameters": list(_shapes(*network)), "weights_tol": 1e-6, "name": "denoising_loss", "help": help}
        assert_trained(losses, model, oracle, oracle.steps(adam, images, batches, noise, rates), adam, **more)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """An answer depends on its own image alone, not on neighbours, earlier calls or other models; arguments stay."""
    for count, *network in NETWORKS:
        model, oracle = _pair(solution, rng, network)
        x, code = normal(rng, count + 1, *network[0]), normal(rng, count + 1, *oracle.code_shape)
        widths, before = (oracle.code_shape, network[0], network[0]), state_of(model, _shapes(*network))

        def answers(x, code, model=model):
            return dict(
                zip(("encode", "decode", "forward"), (model.encode(x), model.decode(code), model(x)), strict=True)
            )

        together = answers(x, code)
        for (name, value), width in zip(together.items(), widths, strict=True):
            assert_shape(value, (count + 1, *width), dtype=torch.float64, name=name)
            assert_that((value[0] != value[1]).any(), "{name} answers two different images alike", name=name)
        _make(solution, (7, 5, 6), *network[1:])
        for rows in (torch.from_numpy(rng.permutation(count + 1)), torch.tensor([count])):
            for name, value in answers(x[rows], code[rows]).items():
                help = "an answer must depend on its own model and image alone, and stay in its row"
                assert_close(value, together[name][rows], name=text("{name} in another batch", name=name), help=help)
        solution.denoising_loss(model, x, x.flip(0))
        for name, value in state_of(model, before).items():
            assert_close(value, before[name], name=text("{name} after the calls", name=name))
    images, noise = normal(rng, 5, *network[0]), normal(rng, 2, 3, *network[0])
    solution.fit(model, images, torch.tensor([[0, 1, 4], [2, 1, 0]]), noise, [0.01, 0.02])
    for given, _ in _stamps(rng):
        solution.conv_transpose2d(**given)
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.behaviour
def test_fresh_parameters(solution):
    """First values are drawn as PyTorch's layers draw them: small for large kernels, and new for each model."""
    sizes = (12, 9, 9), [16, 12]
    help = "uniform, within 1 / sqrt(second axis of the weight * K * K)"
    assert_drawn(lambda: _make(solution, *sizes), layer_laws(_shapes(*sizes)), name="ConvAutoencoder", help=help)


@pytest.mark.convergence
def test_cleans_held_out_digits_better_than_pca(solution, rng, record):
    """Noisy digits that it never saw come out cleaner than from PCA with a code of the same six numbers."""
    images, clean, mean, scale = _digits(rng)
    model, names = _make(solution, DIGIT, CHANNELS, dtype=torch.float32), _shapes(DIGIT, CHANNELS)
    batches = torch.from_numpy(rng.integers(0, len(images), (STEPS, BATCH)))
    noise = NOISE * torch.from_numpy(rng.normal(size=(STEPS, BATCH, *DIGIT))).float()
    oracle = load_state(Oracle(DIGIT, CHANNELS), state_of(model, names)).requires_grad_(False)
    first = oracle.loss(images[batches[0]].double(), noise[0].double()).item()
    losses = solution.fit(model, images, batches, noise, [LEARNING_RATE * (1 - s / STEPS) for s in range(STEPS)])
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    assert_trajectory(losses[:1], [first], tol=1e-4, name=text("the first loss of fit"))

    pca = PCA(prod(oracle.code_shape), svd_solver="full").fit(images.flatten(1).double().numpy())
    noisy = clean + NOISE * torch.from_numpy(rng.normal(size=clean.shape))
    linear = torch.from_numpy(pca.inverse_transform(pca.transform(noisy.flatten(1).numpy()))).reshape(clean.shape)
    output = load_state(oracle, state_of(model, names))(noisy)
    baseline = _distance(linear, clean).mean().item()
    record.curve("denoising loss, beside PCA's on held-out digits", losses, baseline=baseline)
    rows = torch.stack([clean[:8], noisy[:8], output[:8], linear[:8]], 1).reshape(-1, *DIGIT) * scale + mean
    record.images("held-out digits: clean, noisy, cleaned by the model, by PCA", rows[:, 0].numpy())

    score, bar = _explained(output, clean), _explained(linear, clean) + GAIN
    help = "a network that only ever reaches PCA is linear, or trained on other noise than the one it is given"
    assert_beats(score, bar, name=text("explained variance of clean held-out digits"), help=help)
