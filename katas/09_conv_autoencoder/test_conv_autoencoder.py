"""The suite of kata 09: sizes that come back exactly, PyTorch's own transposed convolution, and PCA as the rival."""

from __future__ import annotations

from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch.nn import functional as F

from grader.checks import (
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
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

# Images in the batch, shape of an image, channels, kernel, stride, padding: even and odd sizes, each with its own rest.
NETWORKS = [
    (3, (1, 8, 8), [4, 5, 2], 3, 2, 1),
    (2, (2, 7, 10), [4, 3], 3, 2, 1),
    (1, (1, 9, 6), [5, 2], 4, 2, 1),
    (4, (3, 12, 8), [2], 5, 3, 2),
    (2, (2, 6, 5), [3, 4, 1], 2, 1, 0),
]
SMALL = [(2, (1, 5, 4), [3, 2], 3, 2, 1), (1, (2, 4, 5), [4], 3, 3, 1)]
# Images, channels read and written, size of the map, size of the kernel, stride, padding, extra.
STAMPS = [
    (2, 3, 4, (5, 4), (3, 2), 1, 0, (0, 0)),
    (1, 2, 5, (3, 4), (3, 3), 2, 1, (1, 0)),
    (3, 4, 2, (4, 3), (3, 4), 2, 1, (0, 1)),
    (2, 1, 3, (2, 5), (2, 3), 3, 0, (2, 1)),
    (2, 3, 1, (4, 2), (5, 4), 3, 2, (1, 2)),
    (1, 5, 2, (1, 3), (4, 3), 2, 2, (1, 1)),
    (4, 2, 3, (3, 1), (2, 1), 2, 0, (1, 1)),
    (2, 2, 6, (6, 5), (5, 3), 1, 2, (0, 0)),
]
DIGIT, CHANNELS, HELD_OUT = (1, 8, 8), [16, 32, 6], 397
STEPS, BATCH, NOISE, LEARNING_RATE = 150, 48, 1.0, 0.02
GAIN = 0.05  # beyond PCA: right ones gain 0.10 to 0.12, without the ELU 0.01


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out with the axes in reverse, so never contiguous."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _stops(size, kernel, stride, padding):
    """Where a window can begin, one by one: the definition that the formula shortens."""
    return [start for start in range(0, size + 2 * padding, stride) if start + kernel <= size + 2 * padding]


def _sizes():
    """All small sizes with kernels, strides and paddings that fit."""
    for size, kernel, stride, padding in product(range(1, 12), range(1, 6), range(1, 5), range(5)):
        if padding < kernel <= size + 2 * padding:
            yield size, kernel, stride, padding


def _shapes(image, channels, kernel):
    """Names and shapes of the parameters that the statement asks for."""
    shapes, last = {}, len(channels) - 1
    for i, (read, written) in enumerate(pairwise([image[0], *channels])):
        for name, bias in ((f"encoder.{i}", written), (f"decoder.{last - i}", read)):
            shapes[f"{name}.weight"] = (written, read, kernel, kernel)
            shapes[f"{name}.bias"] = (bias,)
    return shapes


def _code_shape(image, channels, kernel, stride, padding):
    rows, columns = image[1:]
    for _ in channels:
        rows, columns = (len(_stops(size, kernel, stride, padding)) for size in (rows, columns))
    return (channels[-1], rows, columns)


def _make(solution, image, channels, kernel=3, stride=2, padding=1, dtype=torch.float64):
    """The learner's new model, found to hold the tensors that the statement names."""
    model = solution.ConvAutoencoder(tuple(image), list(channels), kernel, stride, padding, dtype=dtype)
    return assert_state(model, _shapes(image, channels, kernel), dtype=dtype, name="ConvAutoencoder")


def _model(solution, rng, image, channels, kernel, stride, padding):
    """The learner's model in float64 with given weights, and those weights."""
    model = _make(solution, image, channels, kernel, stride, padding)
    weights = {}
    for name, size in _shapes(image, channels, kernel).items():
        weights[name] = _normal(rng, *size) / (prod(size[1:]) ** 0.5 if len(size) > 1 else 2)
    return load_state(model, weights), weights


def _float64(model, image, channels, kernel=3):
    return {name: value.double() for name, value in state_of(model, _shapes(image, channels, kernel)).items()}


def _encode(weights, x, stride, padding):
    """The code, and the shape of what every layer was given."""
    shapes = []
    for i in range(len(weights) // 4):
        x = F.elu(x) if i else x
        shapes.append(x.shape[2:])
        x = F.conv2d(x, weights[f"encoder.{i}.weight"], weights[f"encoder.{i}.bias"], stride, padding)
    return x, shapes


def _decode(weights, code, stride, padding, shapes):
    """What PyTorch's transposed convolutions make of a code, each told which rows and columns it must give back."""
    for i, shape in enumerate(reversed(shapes)):
        code = F.elu(code) if i else code
        weight, bias = weights[f"decoder.{i}.weight"], weights[f"decoder.{i}.bias"]
        smallest = [(n - 1) * stride + weight.shape[2] - 2 * padding for n in code.shape[2:]]
        extra = [size - least for size, least in zip(shape, smallest, strict=True)]
        code = F.conv_transpose2d(code, weight, bias, stride, padding, extra)
    return code


def _forward(weights, x, stride, padding):
    code, shapes = _encode(weights, x, stride, padding)
    return _decode(weights, code, stride, padding, shapes)


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
        model, shape = _make(solution, image, *rest, dtype=dtype), _code_shape(image, *rest)
        found = model.code_shape
        assert isinstance(found, tuple | list) and tuple(found) == shape, (
            f"code_shape must be the tuple (Z, P, Q) of the code: does each layer start from what the last one left? "
            f"images {image}, channels {rest[0]}, kernel {rest[1]}, stride {rest[2]}, padding {rest[3]}"
        )
        for x in (torch.zeros(count, *image, dtype=dtype), torch.ones(count, *image, dtype=dtype)):
            code = model.encode(x)
            help = "a code has the shape code_shape: every layer of the encoder has the stride and the padding"
            assert_shape(code, (count, *shape), dtype=dtype, name="the code", help=help)
            help = "the decoder must give back exactly the sizes that the encoder was given, layer by layer"
            assert_shape(model.decode(code), (count, *image), dtype=dtype, name="the output of decode", help=help)
            output = model(x)
            assert_shape(output, (count, *image), dtype=dtype, name="the output of forward", help=help)
            loss = solution.denoising_loss(model, x, torch.full_like(x, 0.5))
            assert_shape(loss, (), dtype=dtype, name="denoising_loss")
            seen.append((code, output, loss))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "black and white images give the same result"
    for count, read, written, size, kernel, stride, padding, extra in STAMPS:
        arguments = torch.ones(count, read, *size), torch.ones(read, written, *kernel), torch.ones(written)
        out = solution.conv_transpose2d(*arguments, stride, padding, extra)
        rows, columns = ((n - 1) * stride + k - 2 * padding + e for n, k, e in zip(size, kernel, extra, strict=True))
        help = "P is of the rows: H, R and extra[0]; Q is of the columns: W, S and extra[1]"
        assert_shape(out, (count, written, rows, columns), dtype=torch.float32, name="conv_transpose2d", help=help)
    batches, noise = torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3, 4, *image, dtype=dtype)
    losses = solution.fit(model, x, batches, noise, [0.01, 0.02, 0.01])
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_conv_size(solution):
    """conv_size counts the stops of a window that never hangs over the edge, for every stride and padding."""
    for size, kernel, stride, padding in _sizes():
        found, stops = solution.conv_size(size, kernel, stride, padding), _stops(size, kernel, stride, padding)
        assert type(found) is int, "conv_size must return a Python int"
        assert found == len(stops), (
            f"conv_size({size}, {kernel}, {stride}, {padding}) gave {found}: the image and its padding have "
            f"{size + 2 * padding} rows, and windows of {kernel} begin at rows {', '.join(map(str, stops))}"
        )


@pytest.mark.value
def test_output_padding(solution):
    """With output_padding the way back ends at the size that it began with, and not at a smaller one."""
    for size, kernel, stride, padding in _sizes():
        found = solution.output_padding(size, kernel, stride, padding)
        assert type(found) is int, "output_padding must return a Python int"
        back = (len(_stops(size, kernel, stride, padding)) - 1) * stride + kernel - 2 * padding
        assert back + found == size, (
            f"output_padding({size}, {kernel}, {stride}, {padding}) gave {found}: the way down and back without it "
            f"leads from {size} rows to {back}"
        )


@pytest.mark.value
def test_conv_transpose2d(solution, rng):
    """The transposed convolution agrees with PyTorch's: any stride, padding and kernel, with and without extra rows."""
    for count, read, written, size, kernel, stride, padding, extra in STAMPS:
        x, weight = _normal(rng, count, read, *size), _normal(rng, read, written, *kernel)
        bias = _normal(rng, written)
        out = solution.conv_transpose2d(x, weight, bias, stride, padding, extra)
        expected = F.conv_transpose2d(x, weight, bias, stride, padding, extra)
        where = f"conv_transpose2d, stride {stride}, padding {padding}, kernel {kernel}, extra {extra}"
        help = (
            "stamps that overlap add up and are not flipped; the bias is added once; the cut takes padding rows off "
            "each side, and fewer by extra at the end: those rows keep what was stamped on them"
        )
        assert_close(out, expected, name=where, help=help)
    x = torch.zeros(1, 1, 3, 4).double()
    x[0, 0, 1, 2] = 1
    weight = _normal(rng, 1, 2, 3, 2)
    out = solution.conv_transpose2d(x, weight, torch.zeros(2).double(), 3, 0, (0, 0))
    help = "one pixel that is 1 among zeros leaves the kernel itself, with its corner at the pixel's place times stride"
    assert_close(out[:, :, 3:6, 6:8], weight, name="the stamp of a single pixel", help=help)


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, encode, decode and forward give the stated network's numbers, for images of any size."""
    for count, image, *rest in NETWORKS:
        model, weights = _model(solution, rng, image, *rest)
        x, code = _normal(rng, count, *image), 2 * _normal(rng, count, *_code_shape(image, *rest))
        hidden, shapes = _encode(weights, x, *rest[2:])
        where = f"images {image}, channels {rest[0]}"
        help = "an ELU after every layer but the last, and in every layer the rows and columns that this layer must add"
        expected = _decode(weights, code, *rest[2:], shapes)
        assert_close(model.decode(code), expected, name=f"decode, {where}", help=help)
        help = "an ELU after every layer but the last: nothing follows the code"
        assert_close(model.encode(x), hidden, name=f"the code, {where}", help=help)
        help = "encode and decode are right: forward is one after the other"
        assert_close(model(x), _forward(weights, x, *rest[2:]), name=f"forward, {where}", help=help)
        model.eval()
        help = "nothing limits the output, in either mode: an image has any numbers of either sign"
        far = 1000 * x
        assert_close(
            model(far), _forward(weights, far, *rest[2:]), name=f"forward of large numbers, {where}", help=help
        )


@pytest.mark.behaviour
def test_code_is_shorter_than_the_image(solution):
    """A code with as many numbers as the image, or more, is refused; what lies between may be larger."""
    for image, channels, numbers in (
        ((1, 8, 8), [4], 64),
        ((1, 8, 8), [2, 20], 80),
        ((3, 5, 7), [2, 30], 120),
        ((1, 5, 9), [3], 45),
    ):
        help = f"{prod(image)} numbers of an image {image} against {numbers} of a code with channels {channels}"
        try:
            assert_raises(ValueError, solution.ConvAutoencoder, image, channels)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {help}") from failure
    for image, channels in (((1, 8, 8), [3]), ((1, 8, 8), [30, 15]), ((3, 5, 7), [40, 26]), ((2, 5, 9), [5])):
        _make(solution, image, channels)


@pytest.mark.value
def test_denoising_loss(solution, rng):
    """The loss compares what becomes of the noisy images with the clean ones, in squares summed over each image."""
    for count, image, *rest in NETWORKS:
        model, weights = _model(solution, rng, image, *rest)
        x, noise = _normal(rng, count, *image), 0.7 * _normal(rng, count, *image)
        for disturbance, name in ((noise, "denoising_loss"), (torch.zeros_like(noise), "denoising_loss without noise")):
            expected = _distance(_forward(weights, x + disturbance, *rest[2:]), x).mean()
            help = "noise goes into the model and nowhere else; a sum over channels, rows, columns, a mean over images"
            assert_close(solution.denoising_loss(model, x, disturbance), expected, name=name, help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach maps, kernels and biases of the transposed convolution, and every parameter of the model."""
    for count, read, written, size, kernel, stride, padding, extra in STAMPS[2:4]:
        x, weight = _normal(rng, count, read, *size), _normal(rng, read, written, *kernel)

        def stamp(x, weight, bias, rest=(stride, padding, extra)):
            return solution.conv_transpose2d(x, weight, bias, *rest)

        inputs = {"x": x, "weight": weight, "bias": _normal(rng, written)}
        assert_gradients(stamp, inputs, rng, name="gradient of conv_transpose2d", help="detach, .data, no_grad?")
    for count, image, *rest in SMALL:
        model, weights = _model(solution, rng, image, *rest)
        x, noise = _normal(rng, count, *image), _normal(rng, count, *image)

        def forward(x, model=model):
            return model(x)

        def loss(x, noise, model=model):
            return solution.denoising_loss(model, x, noise)

        parameters = tensors_of(model, weights)
        help = "nothing may cut the graph: no detach, no .data, no no_grad between the images and the loss"
        assert_gradients(forward, {"x": x}, rng, parameters=parameters, name="gradient of forward", help=help)
        assert_gradients(loss, {"x": x, "noise": noise}, rng, name="gradient of denoising_loss", help=help)


@pytest.mark.value
def test_three_training_steps(solution, rng):
    """From given weights, batches, noise and rates, the first three losses and the weights after them are right."""
    for count, image, *rest in NETWORKS:
        model, weights = _model(solution, rng, image, *rest)
        images = _normal(rng, 11, *image)
        batches, noise = torch.from_numpy(rng.integers(0, 11, (3, count))), 0.7 * _normal(rng, 3, count, *image)
        rates = [float(rate) for rate in rng.uniform(0.02, 0.06, 3) * [1, 2, 0.5]]
        losses = solution.fit(model, images, batches, noise, rates)

        expected = []
        for tensor in weights.values():
            tensor.requires_grad_()
        adam = torch.optim.Adam(weights.values())
        for rows, disturbance, rate in zip(batches, noise, rates, strict=True):
            value = _distance(_forward(weights, images[rows] + disturbance, *rest[2:]), images[rows]).mean()
            gradients = torch.autograd.grad(value, list(weights.values()))
            for tensor, gradient in zip(weights.values(), gradients, strict=True):
                tensor.grad = gradient
            adam.param_groups[0]["lr"] = rate
            adam.step()
            expected.append(value.item())
        assert_trajectory(losses, expected, name="denoising loss")
        help = "the losses agree: is the rate of each step used, is it one Adam throughout, does every layer move?"
        for name, tensor in state_of(model, weights).items():
            assert_close(tensor, weights[name].detach(), name=f"{name} after three steps", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """An answer depends on its own image alone, not on neighbours, earlier calls or other models; arguments stay."""
    for count, image, *rest in NETWORKS:
        model, weights = _model(solution, rng, image, *rest)
        x, other = _normal(rng, count + 1, *image), _normal(rng, 3, *image)
        widths = {"code": _code_shape(image, *rest), "decode": image, "forward": image}

        def answers(x, model=model):
            code = model.encode(x)
            return {"code": code, "decode": model.decode(code), "forward": model(x)}

        together, order = answers(x), torch.from_numpy(rng.permutation(count + 1))
        for name, value in together.items():
            assert_shape(value, (count + 1, *widths[name]), dtype=torch.float64, name=name)
            assert (value[0] != value[1]).any(), f"{name} is the same for two different images"
        answers(other)
        _make(solution, (7, 5, 6), rest[0])
        for rows in (order, torch.tensor([count])):
            for name, value in answers(x[rows]).items():
                help = "an answer must depend on its own model and image alone, and stay in its row"
                assert_close(value, together[name][rows], name=f"{name} in another batch", help=help)
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], name=f"{name} after the calls", help="a call changed the weights")
        solution.denoising_loss(model, x, other[:1].expand(count + 1, -1, -1, -1))
    images, noise = _normal(rng, 5, *image), _normal(rng, 2, 3, *image)
    solution.fit(model, images, torch.tensor([[0, 1, 4], [2, 1, 0]]), noise, [0.01, 0.02])
    for count, read, written, size, kernel, stride, padding, extra in STAMPS:
        x, weight = _normal(rng, count, read, *size), _normal(rng, read, written, *kernel)
        solution.conv_transpose2d(x, weight, _normal(rng, written), stride, padding, extra)
    assert_unchanged(mutated, but=["model of fit"])


@pytest.mark.behaviour
def test_fresh_parameters(solution):
    """First values are drawn as PyTorch's layers draw them: small for large kernels, and new for each model."""
    image, channels = (12, 9, 9), [16, 12]
    laws, help = layer_laws(_shapes(image, channels, 3)), "uniform, within 1 / sqrt(second axis of the weight * K * K)"
    assert_drawn(lambda: _make(solution, image, channels), laws, name="ConvAutoencoder", help=help)


@pytest.mark.convergence
def test_cleans_held_out_digits_better_than_pca(solution, rng, record):
    """Noisy digits that it never saw come out cleaner than from PCA with a code of the same six numbers."""
    images, clean, mean, scale = _digits(rng)
    model = _make(solution, DIGIT, CHANNELS, dtype=torch.float32)
    batches = torch.from_numpy(rng.integers(0, len(images), (STEPS, BATCH)))
    noise = NOISE * torch.from_numpy(rng.normal(size=(STEPS, BATCH, *DIGIT))).float()
    start = _float64(model, DIGIT, CHANNELS)
    losses = solution.fit(model, images, batches, noise, [LEARNING_RATE * (1 - s / STEPS) for s in range(STEPS)])
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    x = images[batches[0]].double()
    first = _distance(_forward(start, x + noise[0].double(), 2, 1), x).mean().item()
    assert_trajectory(losses[:1], [first], tol=1e-4, name="the first loss of fit")

    pca = PCA(prod(_code_shape(DIGIT, CHANNELS, 3, 2, 1)), svd_solver="full").fit(images.flatten(1).double().numpy())
    noisy = clean + NOISE * torch.from_numpy(rng.normal(size=clean.shape))
    linear = torch.from_numpy(pca.inverse_transform(pca.transform(noisy.flatten(1).numpy()))).reshape(clean.shape)
    output = _forward(_float64(model, DIGIT, CHANNELS), noisy, 2, 1)
    baseline = _distance(linear, clean).mean().item()
    record.curve("denoising loss, beside PCA's on held-out digits", losses, baseline=baseline)
    rows = torch.stack([clean[:8], noisy[:8], output[:8], linear[:8]], 1).reshape(-1, *DIGIT) * scale + mean
    record.images("held-out digits: clean, noisy, cleaned by the model, by PCA", rows[:, 0].numpy())

    score, bar = _explained(output, clean), _explained(linear, clean) + GAIN
    help = "a network that only ever reaches PCA is linear, or trained on other noise than the one it is given"
    assert_beats(score, bar, name="explained variance of clean held-out digits", help=help)
