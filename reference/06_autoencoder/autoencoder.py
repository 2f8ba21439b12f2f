"""An autoencoder: an image becomes a short code, and the code an image again; what the code leaves out is lost.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    reconstruction_loss  how far the reconstructions are from the images
    explained_variance   the same as a score: 0 is the mean image, 1 is perfect
    Autoencoder          encoder and decoder, of any depth
    pca_autoencoder      the best autoencoder without a tanh: written down, not trained
    fit                  train any of them, with a learning rate for every step

Letters in shapes: N images, D pixels, H hidden units, Z numbers in a code; M training images, S training steps.
Pixels are real numbers of either sign. Leave every argument as it was, the model of fit aside.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


def reconstruction_loss(output: Tensor, x: Tensor) -> Tensor:
    """The squared distance between an image and its reconstruction: a sum over pixels, then a mean over images.

    output (N, D)  reconstructions
    x (N, D)       the images that they should be

    Returns a tensor with one number, through which gradients reach both arguments.
    loss ()        zero only if output equals x
    """
    # BEGIN SOLUTION: square the differences, then one sum and one mean
    return ((output - x) ** 2).sum(dim=1).mean()
    # END SOLUTION


def explained_variance(output: Tensor, x: Tensor, mean: Tensor) -> Tensor:
    """One minus the loss of the reconstructions over the loss of answering every image with the mean image.

    output (N, D)  reconstructions
    x (N, D)       the images that they should be, not all of them equal to mean
    mean (D,)      the mean image of the training images, which x need not belong to

    Returns a tensor with one number: one ratio for all images together, not one for each.
    explained ()   1 if output equals x, 0 if it is no better than the mean image, negative if it is worse
    """
    # BEGIN SOLUTION: two losses, one ratio
    return 1 - reconstruction_loss(output, x) / reconstruction_loss(mean, x)
    # END SOLUTION


class Autoencoder(nn.Module):
    """Linear layers, y = weight @ x + bias, which lead from the image down to the code and back up again.

    A tanh follows every layer but two: nothing follows the code, and nothing the output. The parameters have the names,
    shapes and default first values of nn.Linear; the judge sets and reads them by name, and there are no others.
    For sizes [D, H, Z] they are:

    encoder.0.weight (H, D)  from the image to the hidden layer of the encoder
    encoder.0.bias (H,)      its bias
    encoder.1.weight (Z, H)  from that hidden layer to the code
    encoder.1.bias (Z,)      its bias
    decoder.0.weight (H, Z)  from the code to the hidden layer of the decoder
    decoder.0.bias (H,)      its bias
    decoder.1.weight (D, H)  from that hidden layer to the output
    decoder.1.bias (D,)      its bias

    Longer sizes count on: encoder.2, decoder.2. Sizes [D, Z] leave encoder.0 and decoder.0, and no tanh at all.
    """

    def __init__(self, sizes: list[int], dtype: torch.dtype = torch.float32) -> None:
        """Make the layers; sizes are the widths from image to code, at least two; the decoder has them in reverse."""
        super().__init__()
        # BEGIN SOLUTION: two nn.ModuleList, one nn.Linear for each pair of neighbours
        pairs = list(pairwise(sizes))
        self.encoder = nn.ModuleList(nn.Linear(wide, narrow, dtype=dtype) for wide, narrow in pairs)
        self.decoder = nn.ModuleList(nn.Linear(narrow, wide, dtype=dtype) for wide, narrow in reversed(pairs))
        # END SOLUTION

    def encode(self, x: Tensor) -> Tensor:
        """The code of each image.

        x (N, D)     images

        Returns the codes, any real numbers.
        code (N, Z)  one row per image
        """
        # BEGIN SOLUTION: a tanh after every layer but the last
        for layer in self.encoder[:-1]:
            x = torch.tanh(layer(x))
        return self.encoder[-1](x)
        # END SOLUTION

    def decode(self, code: Tensor) -> Tensor:
        """The image of each code.

        code (N, Z)    codes

        Returns the reconstructions, any real numbers.
        output (N, D)  one row per code
        """
        # BEGIN SOLUTION: a tanh after every layer but the last
        for layer in self.decoder[:-1]:
            code = torch.tanh(layer(code))
        return self.decoder[-1](code)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Encode, then decode.

        x (N, D)       images

        Returns the reconstructions, through which gradients reach x and every parameter.
        output (N, D)  one row per image
        """
        # BEGIN SOLUTION: both halves are written already
        return self.decode(self.encode(x))
        # END SOLUTION


def pca_autoencoder(images: Tensor, code_size: int) -> Autoencoder:
    """The linear autoencoder whose loss on these images is the lowest that there is: principal component analysis.

    images (M, D)            training images, M > Z
    code_size                Z, at most D

    Returns an Autoencoder with sizes [D, Z] and the dtype of images, whose parameters can be trained further. The code
    of the mean image is 0, and 0 is decoded to the mean image. Exact: no randomised decomposition.
    encoder.0.weight (Z, D)  rows are the principal directions: length 1, largest variance first, either sign
    decoder.0.weight (D, Z)  its transpose
    """
    # BEGIN SOLUTION: centre, decompose, and write four tensors into a new model
    mean = images.mean(dim=0)
    _, _, directions = torch.linalg.svd(images - mean, full_matrices=False)
    directions = directions[:code_size]
    model = Autoencoder([images.shape[1], code_size], dtype=images.dtype)
    weights = {"encoder.0.weight": directions, "decoder.0.weight": directions.T}
    biases = {"encoder.0.bias": -directions @ mean, "decoder.0.bias": mean}
    model.load_state_dict(weights | biases)
    return model
    # END SOLUTION


def fit(model: Autoencoder, images: Tensor, batches: Tensor, learning_rates: list[float]) -> list[float]:
    """Train the model in place with one torch.optim.Adam, defaults but for the learning rate, one step per batch.

    images (M, D)        training images
    batches (S, N)       int64: step s reconstructs the rows batches[s] of images ...
    learning_rates (S,)  ... and moves with learning_rates[s], a list of S Python floats

    Returns a list of S Python floats.
    losses (S,)          reconstruction_loss of each step's batch, before that step's update
    """
    # BEGIN SOLUTION: one optimiser; in each step its rate, loss, gradients, update
    optimiser = torch.optim.Adam(model.parameters())
    losses = []
    for rows, rate in zip(batches, learning_rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        x = images[rows]
        loss = reconstruction_loss(model(x), x)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
    # END SOLUTION
