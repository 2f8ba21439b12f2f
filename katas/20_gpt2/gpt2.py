"""GPT-2 from scratch: a model that predicts the next token, and a sampler that lets it write.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    causal_attention          softmax(q k / sqrt(D)) v, with the future hidden
    CausalSelfAttention       heads, projections, and a cache of what was seen before
    Block                     attention and feed-forward, each normalised first and added to the stream
    GPT                       embeddings, blocks, and a head that shares its weight with the token embedding
    next_token_loss           which logits speak about which token?
    train                     your own training loop
    next_token_probabilities  temperature, top-k, top-p
    sample                    a uniform number picks a token
    generate                  prompt in, text out, one token at a time

Letters in shapes: B sequences, T new tokens, S tokens so far (cached and new), H heads of D numbers, E = H * D the
width, V tokens in the vocabulary, N tokens or uniforms. There is no dropout, and nothing here draws random numbers
but the first weights. The names of modules are part of the task: the suite loads its own weights into them.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cache = Any  # what a module remembers of earlier tokens, in the form that suits you; None is the empty one


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention in which no position sees a later one.

    q (B, H, T, D)  queries of the last T of the S positions: query t stands at position S - T + t
    k (B, H, S, D)  keys of all S positions
    v (B, H, S, D)  values of all S positions

    Returns for each query the mean of the values that it may see, weighted by the softmax of q k / sqrt(D). Scores
    may be large.
    mixed (B, H, T, D)  what the queries found
    """
    raise NotImplementedError("causal_attention: scores first, then hide the later keys, then average the values")


class CausalSelfAttention(nn.Module):
    """Multi-head causal self-attention.

    qkv = nn.Linear(E, 3E)  its output holds q, then k, then v; in each of them head 0 comes first, then head 1, ...
    out = nn.Linear(E, E)   mixes the heads, laid side by side in the same order
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        raise NotImplementedError("CausalSelfAttention.__init__: keep the number of heads and make the two layers")

    def forward(self, x: Tensor, cache: Cache = None) -> tuple[Tensor, Cache]:
        """Let the new positions attend to themselves and to those in the cache.

        x (B, T, E)  the new positions
        cache        what an earlier call returned, or None at the start; the call leaves it unchanged

        Returns (y, cache): the result, and the cache to pass to the next call.
        y (B, T, E)  the new positions, each with what it found
        """
        raise NotImplementedError("CausalSelfAttention.forward: split the heads, put the cache in front, attend, merge")


class Block(nn.Module):
    """A pre-norm transformer block: x + attention(norm1(x)), and to that + down(gelu(up(norm2(.)))).

    norm1, norm2 = nn.LayerNorm(E)
    attention = CausalSelfAttention(E, H)
    up = nn.Linear(E, 4E), down = nn.Linear(4E, E)  with GPT-2's GELU between them, the tanh approximation
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        raise NotImplementedError("Block.__init__: make the five parts")

    def forward(self, x: Tensor, cache: Cache = None) -> tuple[Tensor, Cache]:
        """Add to the stream what attention and then the feed-forward layers make of its normalised copy.

        x (B, T, E)  the new positions
        cache        what an earlier call returned, or None at the start; the call leaves it unchanged

        Returns (y, cache): the result, and the cache to pass to the next call.
        y (B, T, E)  the new positions, each with what was added to it
        """
        raise NotImplementedError("Block.forward: normalise inside each branch, leave the stream alone")


class GPT(nn.Module):
    """The language model: head(norm(blocks(token embedding + position embedding))).

    token = nn.Embedding(V, E), position = nn.Embedding(context, E)  first weights normal with standard deviation 0.02
    blocks = nn.ModuleList of Block(E, H)
    norm = nn.LayerNorm(E)
    head = nn.Linear(E, V, bias=False)  head.weight and token.weight are one and the same parameter
    """

    def __init__(self, vocabulary: int, context: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        raise NotImplementedError("GPT.__init__: make the parts, draw both embeddings, tie the head")

    def forward(self, tokens: Tensor, cache: Cache = None) -> tuple[Tensor, Cache]:
        """Score every token of the vocabulary as the next one, after each of the new tokens.

        tokens (B, T)  ids that follow those in the cache, int64
        cache          what an earlier call returned, or None at the start; the call leaves it unchanged

        Returns (logits, cache): the scores, and the cache to pass to the next call.
        logits (B, T, V)  position t scores the token that comes after tokens[:, t]

        Raises ValueError when cached and new tokens together are more than the context.
        """
        raise NotImplementedError("GPT.forward: positions go on where the cache ends; each block has its own cache")


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """The mean cross-entropy, in nats, of every token given those before it; the first token is given.

    logits (B, T, V)  what the model said when it read the tokens; they may be large
    tokens (B, T)     the ids that it read, int64

    Returns a 0-d tensor: the mean over B * (T - 1) predictions.
    """
    raise NotImplementedError("next_token_loss: which logits speak about which token?")


def train(model: GPT, tokens: Tensor, starts: Tensor, learning_rate: float) -> Tensor:
    """Train the model in place: one step of Adam (torch's default betas and eps) per row of starts.

    tokens (N,)        the text, int64
    starts (steps, B)  where the windows of each step begin; a window is as long as the model's context
    learning_rate      the same in every step

    Returns the losses, detached.
    losses (steps,)  next_token_loss on the windows of each step, before its update
    """
    raise NotImplementedError("train: cut the windows, measure the loss, step downhill, repeat")


def next_token_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """The distribution to draw from: softmax of logits / temperature, then top-k, then top-p; None leaves a filter out.

    logits (B, V)  scores of the next token, of any size
    temperature    greater than 0
    top_k          keep the k most probable tokens, all of them when k > V, and make them sum to 1 again
    top_p          then keep the fewest most probable tokens that sum to at least p, and make them sum to 1 again

    Returns a tensor in which dropped tokens have exactly 0.
    probabilities (B, V)  every row sums to 1

    Raises ValueError unless temperature > 0.
    """
    raise NotImplementedError("next_token_probabilities: sort, drop the tail, renormalise, unsort")


def sample(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one token per row: the smallest id whose cumulative probability, its own included, exceeds the uniform.

    probabilities (B, V)  every row sums to 1 but for rounding; the cumulative sum runs over the ids 0, 1, ..., V - 1
    uniforms (B,)         numbers in [0, 1), drawn by the caller

    Returns ids, int64.
    ids (B,)  never V, and never one with probability 0, whatever was rounded
    """
    raise NotImplementedError("sample: add up the probabilities from id 0 until they exceed the uniform")


def generate(
    model: GPT,
    prompt: Tensor,
    uniforms: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Continue every prompt by N tokens; after the prompt, the model reads one token at a time and a cache.

    prompt (B, T)    ids, int64; T is at least 1, and T + N at most the context
    uniforms (B, N)  column n decides the n-th new token
    temperature, top_k, top_p  as in next_token_probabilities, the same for every token

    Returns the prompts, each followed by what the model wrote.
    text (B, T + N)  ids, int64
    """
    raise NotImplementedError("generate: read the prompt once; then draw, keep, and feed back the token drawn")
