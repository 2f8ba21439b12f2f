"""WaveNet from scratch: a network that writes sound, sample by sample, out of convolutions that never look ahead.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    mu_law_encode   a sample becomes one of a few codes, finer near silence: sound as a matter of classes
    mu_law_decode   and back
    causal_conv     a dilated convolution in which no output hears a later input
    GatedBlock      tanh times sigmoid, one branch added to the stream, one handed to the head
    WaveNet         blocks whose dilations grow; how far it hears; and a cache, so that no frame is worked out twice
    fit             clips in, and the loss of classes, not of numbers
    generate        a prompt goes on, one code at a time

Letters in shapes: N clips in a batch and M in all, T frames, Q levels of the code, C channels of the stream, O and S
channels elsewhere, K taps of a kernel, P = (K - 1) * dilation frames that it reaches back, L new codes. Results have
the dtype of the arguments or of the weights. Leave every argument as it was. The names of layers are part of the task:
the suite loads its own weights into them.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cache = Any  # what the model remembers of the frames before, in the form that suits you; None is the empty one


def mu_law_encode(wave: Tensor, levels: int) -> Tensor:
    """Write each sample as the nearest of Q = levels codes, on a scale that is fine near silence.

    With mu = Q - 1, f(x) = sign(x) log(1 + mu |x|) / log(1 + mu) goes from -1 to 1 as x does. The codes 0 to Q - 1
    divide the scale of f evenly: code 0 stands at f = -1, code Q - 1 at f = 1.

    wave (...)  samples from -1 to 1, of any shape
    levels      Q, at least 2

    Returns the code whose place is nearest to f(x), as int64, of the same shape. Ties are not tested.
    """
    # BEGIN SOLUTION: compress, stretch from [-1, 1] to [0, Q - 1], round
    mu = levels - 1
    compressed = wave.sign() * torch.log1p(mu * wave.abs()) / math.log1p(mu)
    return ((compressed + 1) / 2 * mu).round().long()
    # END SOLUTION


def mu_law_decode(codes: Tensor, levels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The sample that stands exactly at each code's place: the inverse of f in mu_law_encode.

    codes (...)  int64, from 0 to Q - 1, of any shape
    levels       Q, at least 2

    Returns samples from -1 to 1 of this dtype, of the same shape. To encode them gives the codes again.
    """
    # BEGIN SOLUTION: back to [-1, 1], then solve f(x) for x
    mu = levels - 1
    compressed = 2 * codes.to(dtype) / mu - 1
    return compressed.sign() * torch.expm1(compressed.abs() * math.log1p(mu)) / mu
    # END SOLUTION


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor, dilation: int, past: Tensor | None = None) -> Tensor:
    """A convolution whose taps lie `dilation` frames apart, and of which the last hears the present frame.

    At frame t, tap k hears frame t - (K - 1 - k) * dilation. Frames before the first are those of past.

    x (N, C, T)       the new frames; may be a view that is not contiguous
    weight (O, C, K)  K taps, the oldest first
    bias (O,)         added at every frame
    dilation          at least 1
    past (N, C, P)    the frames before x, the newest last; None means zeros

    Returns one output for each new frame, worked out for these alone.
    y (N, O, T)       hears nothing later than its own frame
    """
    # BEGIN SOLUTION: put the past in front; then torch's convolution needs no padding at all
    if past is None:
        past = x.new_zeros(x.shape[0], x.shape[1], (weight.shape[2] - 1) * dilation)
    return F.conv1d(torch.cat([past, x], dim=2), weight, bias, dilation=dilation)
    # END SOLUTION


class GatedBlock(nn.Module):
    """One layer: z = tanh(filter) * sigmoid(gate), then x + residual(z) for the next block and skip(z) for the head.

    The layers are three nn.Conv1d, or whatever holds parameters of these names and shapes, and no others:

    conv.weight (2C, C, K)     causal, dilated; the first C outputs are the filter, the last C the gate
    conv.bias (2C,)            in the same order
    residual.weight (C, C, 1)  frame by frame
    residual.bias (C,)         added with it
    skip.weight (S, C, 1)      frame by frame
    skip.bias (S,)             added with it
    """

    def __init__(
        self, channels: int, skip_channels: int, kernel_size: int, dilation: int, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make the layers for C = channels, S = skip_channels and K = kernel_size, all parameters of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: three nn.Conv1d, and keep the dilation
        self.dilation = dilation
        self.conv = nn.Conv1d(channels, 2 * channels, kernel_size, dilation=dilation, dtype=dtype)
        self.residual = nn.Conv1d(channels, channels, 1, dtype=dtype)
        self.skip = nn.Conv1d(channels, skip_channels, 1, dtype=dtype)
        # END SOLUTION

    def forward(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Let the new frames through the block.

        x (N, C, T)     the stream at the new frames
        past (N, C, P)  the stream at the frames before, the newest last; None means zeros

        Returns (y, s).
        y (N, C, T)     the stream for the next block: x and what this block adds to it
        s (N, S, T)     this block's part of what the head reads
        """
        # BEGIN SOLUTION: causal_conv, cut in two, gate, then the two branches
        heard, gate = causal_conv(x, self.conv.weight, self.conv.bias, self.dilation, past).chunk(2, dim=1)
        z = heard.tanh() * gate.sigmoid()
        return x + self.residual(z), self.skip(z)
        # END SOLUTION


class WaveNet(nn.Module):
    """codes -> embed -> blocks; their skips, added up -> relu -> hidden -> relu -> head.

    blocks is a ModuleList of GatedBlock, one for each dilation, in this order. Beside their parameters there are:

    embed.weight (Q, C)      one row for each code, as in nn.Embedding
    hidden.weight (S, S, 1)  frame by frame, as in nn.Conv1d
    hidden.bias (S,)         added with it
    head.weight (Q, S, 1)    frame by frame, as in nn.Conv1d
    head.bias (Q,)           added with it
    """

    def __init__(
        self,
        levels: int,
        channels: int,
        skip_channels: int,
        kernel_size: int,
        dilations: list[int],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the layers for Q = levels, C = channels, S = skip_channels, K = kernel_size, all of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: an embedding, a block for each dilation, two nn.Conv1d of one tap
        self.kernel_size, self.dilations = kernel_size, list(dilations)
        self.embed = nn.Embedding(levels, channels, dtype=dtype)
        blocks = (GatedBlock(channels, skip_channels, kernel_size, dilation, dtype) for dilation in dilations)
        self.blocks = nn.ModuleList(blocks)
        self.hidden = nn.Conv1d(skip_channels, skip_channels, 1, dtype=dtype)
        self.head = nn.Conv1d(skip_channels, levels, 1, dtype=dtype)
        # END SOLUTION

    def receptive_field(self) -> int:
        """How many frames the model hears, from the oldest that a logit depends on to its own, both counted."""
        # BEGIN SOLUTION: what does each block add to the present frame?
        return 1 + (self.kernel_size - 1) * sum(self.dilations)
        # END SOLUTION

    def forward(self, codes: Tensor, cache: Cache = None) -> tuple[Tensor, Cache]:
        """Score every code as the next one, after each of the new codes.

        codes (N, T)  int64, the codes that follow those in the cache; T is at least 1
        cache         what an earlier call returned, or None at the start; the call leaves it unchanged

        Before the first code there is silence: zeros in the stream of every block. With a cache, only the new frames
        are worked out, in pieces of any size, and the logits are those of the whole in one piece.

        Returns (logits, cache): the scores, and the cache to pass to the next call.
        logits (N, Q, T)  frame t scores the code that comes after codes[:, t]; no softmax
        """
        # BEGIN SOLUTION: remember each block's own stream; add up the skips
        x = self.embed(codes).transpose(1, 2)
        skips, caches = 0, []
        for index, block in enumerate(self.blocks):
            silence = x.new_zeros(*x.shape[:2], (self.kernel_size - 1) * self.dilations[index])
            past = silence if cache is None else cache[index]
            caches.append(torch.cat([past, x], dim=2)[:, :, x.shape[2] :])
            x, skip = block(x, past)
            skips = skips + skip
        return self.head(self.hidden(skips.relu()).relu()), caches
        # END SOLUTION


def fit(model: WaveNet, codes: Tensor, batches: Tensor, learning_rate: float) -> list[float]:
    """Train the model in place by Adam, torch's default settings but for the learning rate, one step for each batch.

    The model stays in the mode that it is in: training or evaluation.

    codes (M, T)    int64, all clips; T is at least 2
    batches (B, N)  int64, the rows of codes that step b trains on
    learning_rate   a positive number

    The loss of a batch is the mean, over its N * (T - 1) predictions, of minus the natural logarithm of the probability
    that the model gives to each code but the first, once it has heard those before it.

    Returns a list of numbers.
    losses (B,)     loss of each step's batch, before that step's update
    """
    # BEGIN SOLUTION: which logits speak about which code? then clear, backward, step
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows in batches:
        clips = codes[rows]
        logits, _ = model(clips[:, :-1])
        loss = F.cross_entropy(logits, clips[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
    # END SOLUTION


def generate(model: WaveNet, prompt: Tensor, uniforms: Tensor) -> Tensor:
    """Let every prompt go on by L codes, each drawn from what the model says once it has heard all before it.

    The code drawn is the smallest whose cumulative probability, its own included, exceeds the uniform; if rounding
    leaves the whole sum below a uniform next to 1, it is the last. No frame is worked out twice: the operations are counted.

    prompt (N, T)    int64; T is at least 1
    uniforms (N, L)  numbers in [0, 1), 0 included, of the dtype of the weights; column l decides the l-th new code

    Returns the prompts, each followed by what the model wrote.
    text (N, T + L)  int64
    """
    # BEGIN SOLUTION: hear the prompt once; then draw, keep, and hear the one code that is new
    text, new, cache = prompt, prompt, None
    with torch.no_grad():
        for column in uniforms.T:
            logits, cache = model(new, cache)
            cumulative = logits[:, :, -1].softmax(dim=1).cumsum(dim=1)
            cumulative = cumulative / cumulative[:, -1:]  # rounding may leave the last one a little below 1
            new = (cumulative <= column[:, None]).sum(dim=1, keepdim=True)
            text = torch.cat([text, new], dim=1)
    return text
    # END SOLUTION
