"""A convolutional autoencoder that cleans images: strides shrink them to a short code, and back they grow.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    conv_size          how many rows a strided convolution leaves
    output_padding     how many of them the way back would forget
    conv_transpose2d   the way back itself: every pixel stamps the kernel, overlapping stamps add up
    ConvAutoencoder    encoder and decoder for images of any size, with a code that must be shorter than the image
    denoising_loss     noisy images go in; which images should come out?
    fit                train it, with new noise and a learning rate for every step

Letters in shapes: N images, C channels of H rows and W columns; R rows and S columns of a kernel; P rows and Q columns
of a result; Z channels of the code; M training images, T training steps. The same stride and padding hold for rows and
columns. Chance comes in as an argument (noise): never draw numbers of your own, and leave every argument as it was.
"""

import torch
from torch import Tensor, nn


def conv_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """How many rows (or columns) a convolution leaves of an image: windows never hang over the edge.

    size     rows of the image, at least 1; kernel <= size + 2 * padding
    kernel   rows of the kernel, at least 1
    stride   how far the window moves from stop to stop, at least 1
    padding  rows of zeros on each side, at least 0 and less than kernel

    Returns a Python int, at least 1.
    """
    raise NotImplementedError("conv_size: how far can the window move, and how many steps is that?")


def output_padding(size: int, kernel: int, stride: int, padding: int) -> int:
    """How many rows the transposed convolution must add at the end, so that it leads from conv_size back to size.

    Without them it gives the smallest of all sizes that the convolution shrinks to the same number of rows; up to
    stride sizes end alike, and the result tells which of them it was.

    size, kernel, stride, padding  as conv_size was given them

    Returns a Python int, at least 0 and less than stride.
    """
    raise NotImplementedError("output_padding: what the division in conv_size leaves over")


def conv_transpose2d(
    x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, extra: tuple[int, int]
) -> Tensor:
    """A transposed convolution, without the library's: every pixel stamps the kernel, as strongly as the pixel is.

    x (N, C, H, W)       maps
    weight (C, F, R, S)  one stamp for each channel that is read and each that is written, as it is: not flipped
    bias (F,)            added once to every number of its map, stamped on or not
    stride               how far apart neighbouring pixels put their stamps, at least 1
    padding              rows and columns that are cut off in the end on each of the four sides, less than R and S
    extra                (rows, columns): so many fewer are cut off at the bottom and at the right; less than stride

    P = (H - 1) * stride + R - 2 * padding + extra[0], and Q likewise from W, S and extra[1]; both at least 1.
    Where extra is larger than padding, there was not so much to cut: no stamp reaches there, and only the bias stands.

    Returns the maps, through which gradients reach x, weight and bias.
    out (N, F, P, Q)     sums of all stamps that overlap there, plus the bias
    """
    raise NotImplementedError("conv_transpose2d: where does the stamp of pixel (i, j) begin before the cut?")


class ConvAutoencoder(nn.Module):
    """Strided convolutions lead from the image down to the code, transposed ones the same way back.

    With c = [C, *channels], layer i of the encoder reads c[i] channels and writes c[i + 1]; the decoder goes back along
    the same list. All kernels are square, K by K. An ELU (x where x > 0, else exp(x) - 1) follows every layer but two:
    nothing follows the code, and nothing the output. The judge sets and reads the parameters by name, and there are no
    others. With channels [A, Z] they are:

    encoder.0.weight (A, C, K, K)  the first convolution: channels written, channels read
    encoder.0.bias (A,)            its bias
    encoder.1.weight (Z, A, K, K)  the second one, to the code
    encoder.1.bias (Z,)            its bias
    decoder.0.weight (Z, A, K, K)  the first transposed convolution: channels read, channels written
    decoder.0.bias (A,)            its bias
    decoder.1.weight (A, C, K, K)  the second one, to the output
    decoder.1.bias (C,)            its bias

    Longer lists count on: encoder.2, decoder.2. First values are those of nn.Conv2d and nn.ConvTranspose2d: uniform
    within 1 / sqrt(second axis of the weight * K * K) of zero, weights and biases alike.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        channels: list[int],
        kernel: int = 3,
        stride: int = 2,
        padding: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the layers for images of shape (C, H, W); channels: what the encoder's layers write, Z last.

        Note `code_shape` too, the tuple (Z, P, Q) of Python ints. Raises ValueError unless a code has fewer numbers
        than an image: otherwise it has no reason to leave anything out.
        """
        super().__init__()
        raise NotImplementedError("ConvAutoencoder.__init__: follow H and W down; the decoder needs every size")

    def encode(self, x: Tensor) -> Tensor:
        """The code of each image.

        x (N, C, H, W)     images

        Returns the codes, any real numbers.
        code (N, Z, P, Q)  Z small maps for each image
        """
        raise NotImplementedError("ConvAutoencoder.encode: an ELU after every layer but the last")

    def decode(self, code: Tensor) -> Tensor:
        """The image of each code.

        code (N, Z, P, Q)      codes

        Returns the reconstructions, any real numbers, exactly as large as the images.
        output (N, C, H, W)    one image per code
        """
        raise NotImplementedError(
            "ConvAutoencoder.decode: conv_transpose2d with each layer's own extra; an ELU between"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Encode, then decode.

        x (N, C, H, W)       images

        Returns the reconstructions, through which gradients reach x and every parameter.
        output (N, C, H, W)  one image per image
        """
        raise NotImplementedError("ConvAutoencoder.forward: both halves are written already")


def denoising_loss(model: ConvAutoencoder, x: Tensor, noise: Tensor) -> Tensor:
    """How far the model's outputs for noisy images are from the clean ones: squares, summed per image, mean over N.

    x (N, C, H, W)      clean images
    noise (N, C, H, W)  what is added to them before the model sees them

    Returns a tensor with one number, through which gradients reach the model's parameters.
    loss ()             the mean over images of the squared distance
    """
    raise NotImplementedError("denoising_loss: which images go in, and with which ones is the output compared?")


def fit(
    model: ConvAutoencoder, images: Tensor, batches: Tensor, noise: Tensor, learning_rates: list[float]
) -> list[float]:
    """Train the model in place with one torch.optim.Adam, defaults but for the learning rate, one step per batch.

    images (M, C, H, W)      clean training images
    batches (T, N)           int64: step t trains on the rows batches[t] of images ...
    noise (T, N, C, H, W)    ... with noise[t] added to them ...
    learning_rates (T,)      ... and moves with learning_rates[t], a list of T Python floats

    Returns a list of T Python floats.
    losses (T,)              denoising_loss of each step's batch, before that step's update
    """
    raise NotImplementedError("fit: one optimiser; in each step its rate, loss, gradients, update")
