"""A vision transformer: an image becomes a sentence of patches, and a class token reads it.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    patchify          cut the image into patches, which are its words
    Block             pre-norm: attention, then a small network, each added to what came in
    ViT               class token, positions, blocks, and an answer read from one token
    resize_positions  the same network on a finer grid
    fit               train it to read digits

Letters in shapes: N images of C channels, Y rows and X columns of pixels; patches of S by S pixels in a grid of G rows
and J columns, P = G * J in all; E numbers per token, H heads, K classes; M training images, B training steps. Results
have the dtype of their arguments or weights. Leave every argument as it was. There is no dropout. The names of layers and
parameters are part of the task: the suite loads its own weights into them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def patchify(images: Tensor, size: int) -> Tensor:
    """Cut every image into patches that touch and do not overlap: row by row from the top, each row from the left.

    images (N, C, Y, X)       any numbers; Y and X are multiples of size; may be a view that is not contiguous
    size                      S, rows and columns of a patch

    Returns the patches, each laid out channel by channel, in a channel row by row.
    patches (N, P, C * S * S)  P = (Y / S) * (X / S)
    """
    raise NotImplementedError(
        "patchify: split Y and X in two axes each, bring the two that count patches forward, flatten the others"
    )


class Block(nn.Module):
    """x + attention(norm1(x)), then x + network(norm2(x)): the norms stand before, nothing stands on the main road.

    norm1, norm2 = nn.LayerNorm(E)
    qkv = nn.Linear(E, 3E)   the first E outputs are queries, then keys, then values; head 0 takes the first E / H ...
    out = nn.Linear(E, E)    mixes the heads, laid side by side in the same order
    up = nn.Linear(E, 4E)    an exact GELU follows
    down = nn.Linear(4E, E)
    """

    def __init__(self, width: int, heads: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the six layers for E = width and H = heads, which divides E, all of this dtype."""
        super().__init__()
        raise NotImplementedError("Block.__init__: six layers, and remember the number of heads")

    def forward(self, x: Tensor) -> Tensor:
        """Let every token look at every token, then think about what it saw.

        x (N, T, E)  T tokens of each image

        Returns as many tokens.
        y (N, T, E)  x plus what attention found, plus what the network made of that
        """
        raise NotImplementedError(
            "Block.forward: two branches, each begins with its norm and ends in a sum; F.scaled_dot_product_attention"
        )


class ViT(nn.Module):
    """head(norm(the class token after all blocks)); the class token stands before the patches.

    embed = nn.Linear(C * S * S, E)           a patch becomes a token
    class_token = nn.Parameter (1, 1, E)      the token that asks what the image shows
    positions = nn.Parameter (1, P + 1, E)    added once, before the blocks, to the class token (row 0) and the patches
    blocks = nn.ModuleList of Block(E, H)
    norm = nn.LayerNorm(E)                    after the last block
    head = nn.Linear(E, K)
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        size: int,
        width: int,
        heads: int,
        depth: int,
        classes: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the parts for image = (C, Y, X), S = size, E = width, H = heads, `depth` blocks and K = classes.

        class_token and positions start as normal draws of standard deviation 0.02, the layers as torch draws them.
        """
        super().__init__()
        raise NotImplementedError("ViT.__init__: work out P first, then make the parts, all of this dtype")

    def tokens(self, images: Tensor) -> Tensor:
        """The sentence that the blocks read: the class token, then the patches, each with its position.

        images (N, C, Y, X)    images of the size that the network was made for

        Returns the tokens.
        tokens (N, P + 1, E)   the class token is the first
        """
        raise NotImplementedError(
            "ViT.tokens: embed the patches, put the class token in front of each image, add the positions"
        )

    def forward(self, images: Tensor) -> Tensor:
        """Answer once per image.

        images (N, C, Y, X)  images of the size that the network was made for

        Returns unnormalised scores, no softmax.
        logits (N, K)        one row per image
        """
        raise NotImplementedError("ViT.forward: tokens, every block in turn, the norm, and the head on one token")


def resize_positions(positions: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]) -> Tensor:
    """Stretch learnt positions over a grid of more or fewer patches, so that larger images can be read.

    positions (1, P + 1, E)   row 0 belongs to the class token, which has no place; then P = G * J patches, row by row
    grid                      (G, J), rows and columns of patches that positions were learnt for
    new_grid                  (G', J'), those of the new images

    Every number of the E is a picture of G by J pixels that is resized bilinearly, as F.interpolate does it with
    align_corners=False and no antialiasing.

    Returns positions for the new grid, through which gradients flow.
    resized (1, G' * J' + 1, E)  row 0 as it was
    """
    raise NotImplementedError(
        "resize_positions: set the class token aside, make the rest a picture with E channels, resize it, go back"
    )


def fit(model: ViT, images: Tensor, labels: Tensor, batches: Tensor, learning_rates: list[float]) -> list[float]:
    """Train the model in place with one torch.optim.Adam, defaults but for the learning rate, one step per batch.

    The model stays in the mode that it is in: training or evaluation.

    images (M, C, Y, X)  training images
    labels (M,)          int64, their classes
    batches (B, N)       int64: step b trains on the rows batches[b] ...
    learning_rates (B,)  ... and moves with learning_rates[b], a list of B Python floats

    Returns a list of B Python floats.
    losses (B,)          mean cross-entropy of each step's batch in nats, before that step's update
    """
    raise NotImplementedError("fit: one optimiser; in each step its rate, loss, gradients, update")
