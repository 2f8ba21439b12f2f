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
    # BEGIN SOLUTION: split Y and X in two axes each, bring the two that count patches forward, flatten the others
    count, channels, height, width = images.shape
    rows, columns = height // size, width // size
    cut = images.reshape(count, channels, rows, size, columns, size)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(count, rows * columns, channels * size * size)
    # END SOLUTION


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
        # BEGIN SOLUTION: six layers, and remember the number of heads
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, dtype=dtype)
        self.qkv = nn.Linear(width, 3 * width, dtype=dtype)
        self.out = nn.Linear(width, width, dtype=dtype)
        self.norm2 = nn.LayerNorm(width, dtype=dtype)
        self.up = nn.Linear(width, 4 * width, dtype=dtype)
        self.down = nn.Linear(4 * width, width, dtype=dtype)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Let every token look at every token, then think about what it saw.

        x (N, T, E)  T tokens of each image

        Returns as many tokens.
        y (N, T, E)  x plus what attention found, plus what the network made of that
        """
        # BEGIN SOLUTION: two branches, each begins with its norm and ends in a sum; F.scaled_dot_product_attention
        count, tokens, width = x.shape
        heads = self.qkv(self.norm1(x)).reshape(count, tokens, 3, self.heads, width // self.heads)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(queries, keys, values)
        x = x + self.out(seen.transpose(1, 2).reshape(count, tokens, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))
        # END SOLUTION


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
        # BEGIN SOLUTION: work out P first, then make the parts, all of this dtype
        channels, height, columns = image
        patches = (height // size) * (columns // size)
        self.size = size
        self.embed = nn.Linear(channels * size * size, width, dtype=dtype)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width, dtype=dtype))
        self.positions = nn.Parameter(0.02 * torch.randn(1, patches + 1, width, dtype=dtype))
        self.blocks = nn.ModuleList(Block(width, heads, dtype) for _ in range(depth))
        self.norm = nn.LayerNorm(width, dtype=dtype)
        self.head = nn.Linear(width, classes, dtype=dtype)
        # END SOLUTION

    def tokens(self, images: Tensor) -> Tensor:
        """The sentence that the blocks read: the class token, then the patches, each with its position.

        images (N, C, Y, X)    images of the size that the network was made for

        Returns the tokens.
        tokens (N, P + 1, E)   the class token is the first
        """
        # BEGIN SOLUTION: embed the patches, put the class token in front of each image, add the positions
        patches = self.embed(patchify(images, self.size))
        first = self.class_token.expand(len(images), -1, -1)
        return torch.cat([first, patches], dim=1) + self.positions
        # END SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        """Answer once per image.

        images (N, C, Y, X)  images of the size that the network was made for

        Returns unnormalised scores, no softmax.
        logits (N, K)        one row per image
        """
        # BEGIN SOLUTION: tokens, every block in turn, the norm, and the head on one token
        x = self.tokens(images)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])
        # END SOLUTION


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
    # BEGIN SOLUTION: set the class token aside, make the rest a picture with E channels, resize it, go back
    pictures = positions[:, 1:].reshape(1, *grid, -1).permute(0, 3, 1, 2)
    pictures = F.interpolate(pictures, new_grid, mode="bilinear", align_corners=False)
    return torch.cat([positions[:, :1], pictures.flatten(2).transpose(1, 2)], dim=1)
    # END SOLUTION


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
    # BEGIN SOLUTION: one optimiser; in each step its rate, loss, gradients, update
    optimiser = torch.optim.Adam(model.parameters())
    losses = []
    for rows, rate in zip(batches, learning_rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
    # END SOLUTION
