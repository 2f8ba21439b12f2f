"""GPT-2 from scratch: predict the next token, then let the predictions speak.

Build it from the inside out: attention that cannot see the future, the block around it, the model, its loss and training
loop, and last the sampler. One call serves training (no cache) and generation (with a cache); there is no dropout.
Sizes: B sequences, T new tokens, S tokens seen so far (S >= T), H heads of D numbers, E = H * D width, V tokens.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cache = Any  # what your layers remember of earlier tokens, in the form that suits you; None is an empty one


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention in which no position sees a later one.

    q (B, H, T, D)  queries of the last T of the S positions: query t stands at position S - T + t
    k (B, H, S, D)  keys of all positions, the cached ones first
    v (B, H, S, D)  values of all positions
    returns (B, H, T, D)  for each query, the mean of the visible values, weighted by softmax(q k / sqrt(D))
    """
    # BEGIN SOLUTION: score every query against every key, hide the later keys, then average the values
    T, S, D = q.shape[-2], k.shape[-2], q.shape[-1]
    scores = q @ k.transpose(-2, -1) / math.sqrt(D)
    visible = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    weights = scores.masked_fill(~visible, -math.inf).softmax(dim=-1)
    return weights @ v
    # END SOLUTION


class CausalSelfAttention(nn.Module):
    """Multi-head causal self-attention: qkv = Linear(E, 3E) (rows: q, then k, then v; head by head), out = Linear(E, E)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        # BEGIN SOLUTION: keep the number of heads and make the two layers
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        # END SOLUTION

    def forward(self, x: Tensor, cache: Cache = None) -> tuple[Tensor, Cache]:
        """Attend from the T new positions to all S positions.

        x (B, T, E)  the new positions
        cache  what an earlier call returned, or None at the start; its form is yours, the call leaves it unchanged
        returns (B, T, E)  mixed values, and the cache to pass to the next call
        """
        # BEGIN SOLUTION: project, split into heads, put the cached keys and values in front, attend, merge the heads
        B, T, E = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, E // self.heads).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        mixed = causal_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(B, T, E)), (k, v)
        # END SOLUTION


class Block(nn.Module):
    """Pre-norm transformer block: attention, norm1, norm2, up = Linear(E, 4E), down = Linear(4E, E), GELU between."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        # BEGIN SOLUTION: make the five parts
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        # END SOLUTION

    def forward(self, x: Tensor, cache: Cache = None) -> tuple[Tensor, Cache]:
        """Add to x what attention and then the feed-forward layers make of its normalised copy.

        x (B, T, E)  the new positions
        cache  of this block's attention, or None
        returns (B, T, E)  the sum, and the new cache
        """
        # BEGIN SOLUTION: normalise inside each branch, so that x itself flows through untouched
        mixed, cache = self.attention(self.norm1(x), cache)
        x = x + mixed
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh")), cache
        # END SOLUTION


class GPT(nn.Module):
    """The language model: token and position embeddings, blocks, norm, and head = Linear(E, V, no bias) tied to token."""

    def __init__(self, vocabulary: int, context: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        # BEGIN SOLUTION: make the parts, let head and token share one weight, draw both embeddings with std 0.02
        self.context = context
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        nn.init.normal_(self.token.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)
        self.head.weight = self.token.weight
        # END SOLUTION

    def forward(self, tokens: Tensor, cache: Cache = None) -> tuple[Tensor, Cache]:
        """Score every possible next token after each of the new ones.

        tokens (B, T)  new token ids, int64, which follow those in the cache
        cache  what an earlier call returned, or None at the start of the text; the call leaves it unchanged
        returns (B, T, V)  logits, and the cache to pass to the next call
        raises ValueError when cached and new tokens together exceed the context
        """
        # BEGIN SOLUTION: count positions from the end of the cache; each block has its own cache
        past = 0 if cache is None else cache[0][0].shape[2]
        end = past + tokens.shape[1]
        if end > self.context:
            raise ValueError(f"{end} tokens do not fit a context of {self.context}")
        x = self.token(tokens) + self.position(torch.arange(past, end))
        caches = []
        for block, block_cache in zip(self.blocks, cache or [None] * len(self.blocks), strict=True):
            x, block_cache = block(x, block_cache)
            caches.append(block_cache)
        return self.head(self.norm(x)), caches
        # END SOLUTION


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of each token given those before it.

    logits (B, T, V)  the model's scores after each token
    tokens (B, T)  the same tokens that the model read, int64
    returns ()  mean over the B * (T - 1) tokens that have a predecessor
    """
    # BEGIN SOLUTION: which logits speak about which token?
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    # END SOLUTION


def train(model: GPT, tokens: Tensor, starts: Tensor, learning_rate: float) -> Tensor:
    """Train the model in place with Adam (torch's default betas and eps), one update per row of starts.

    tokens (N,)  the text, int64
    starts (steps, B)  where the windows of each step begin; a window is `context` tokens long
    returns (steps,)  the loss of each step's batch before its update, detached
    """
    # BEGIN SOLUTION: cut the windows, measure the loss, step downhill, repeat
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for row in starts:
        windows = tokens[row[:, None] + torch.arange(model.context)]
        logits, _ = model(windows)
        loss = next_token_loss(logits, windows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return torch.stack(losses)
    # END SOLUTION


def next_token_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Turn logits into the distribution to draw from: temperature first, then top-k, then top-p of what is left.

    logits (B, V)  scores of the next token
    top_k  keep the k most probable tokens (all of them when k > V)
    top_p  keep the fewest most probable tokens whose probabilities, renormalised after top-k, sum to at least top_p
    returns (B, V)  probabilities that sum to 1; dropped tokens have exactly 0
    raises ValueError unless temperature > 0
    """
    # BEGIN SOLUTION: work on sorted probabilities, drop the tail, renormalise, put them back in place
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    probabilities, order = (logits / temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    if top_k is not None:
        probabilities[:, top_k:] = 0
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    if top_p is not None:
        mass_before = probabilities.cumsum(dim=-1) - probabilities
        probabilities = probabilities.masked_fill(mass_before >= top_p, 0)
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, order, probabilities)
    # END SOLUTION


def sample(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one token per row by inverting the cumulative distribution over the ids 0, 1, ..., V - 1.

    probabilities (B, V)  each row sums to 1
    uniforms (B,)  numbers in [0, 1), drawn by the caller
    returns (B,)  int64, the smallest id whose cumulative probability (its own included) exceeds the uniform
    """
    # BEGIN SOLUTION: add up the probabilities from id 0 until they pass the uniform
    cumulative = probabilities.cumsum(dim=-1)
    cumulative = cumulative / cumulative[:, -1:]  # rounding may leave the last one a little below 1
    return (cumulative <= uniforms[:, None]).sum(dim=-1)
    # END SOLUTION


def generate(
    model: GPT,
    prompt: Tensor,
    uniforms: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Continue each prompt by N sampled tokens, feeding only the newest token to the model at each step.

    prompt (B, T)  token ids, int64, T >= 1 and T + N <= context
    uniforms (B, N)  column n decides the n-th new token
    returns (B, T + N)  the prompt and what follows it, int64
    """
    # BEGIN SOLUTION: read the prompt once, then one token at a time with the cache
    text, new, cache = prompt, prompt, None
    with torch.no_grad():
        for uniform in uniforms.T:
            logits, cache = model(new, cache)
            probabilities = next_token_probabilities(logits[:, -1], temperature, top_k, top_p)
            new = sample(probabilities, uniform)[:, None]
            text = torch.cat([text, new], dim=1)
    return text
    # END SOLUTION
