"""GPT-2 with einsum, an additive mask and an optimiser written out; the cache is an object that counts its tokens."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Memory:
    layers: tuple
    count: int


def causal_attention(q, k, v):
    T, S = q.size(2), k.size(2)
    future = torch.arange(S) > torch.arange(S - T, S)[:, None]
    mask = torch.zeros(T, S, dtype=q.dtype).masked_fill_(future, float("-inf"))
    scores = torch.einsum("bhtd,bhsd->bhts", q / q.size(-1) ** 0.5, k) + mask
    weights = (scores - scores.logsumexp(-1, keepdim=True)).exp()
    return torch.einsum("bhts,bhsd->bhtd", weights, v)


class CausalSelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, cache=None):
        q, k, v = (p.unflatten(-1, (self.heads, -1)).movedim(1, 2) for p in self.qkv(x).tensor_split(3, dim=-1))
        kv = torch.stack([k, v])
        if cache is not None:
            kv = torch.cat([cache, kv], dim=3)
        return self.out(causal_attention(q, *kv).movedim(2, 1).flatten(2)), kv


def layer_norm(norm, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


def gelu(x):
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x, cache=None):
        mixed, cache = self.attention(layer_norm(self.norm1, x), cache)
        x = x + mixed
        return x + self.down(gelu(self.up(layer_norm(self.norm2, x)))), cache


class GPT(nn.Module):
    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.token = nn.Embedding(vocabulary, width, _weight=0.02 * torch.randn(vocabulary, width))
        self.position = nn.Embedding(context, width, _weight=0.02 * torch.randn(context, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight
        self.register_buffer("places", torch.arange(context))

    def forward(self, tokens, cache=None):
        layers, count = (cache.layers, cache.count) if cache else ([None] * len(self.blocks), 0)
        places = self.places[count : count + tokens.size(1)]
        if len(places) < tokens.size(1):
            raise ValueError(f"only {len(self.places)} tokens fit into the context")
        x = F.embedding(tokens, self.token.weight) + self.position(places)
        kept = []
        for block, layer in zip(self.blocks, layers, strict=True):
            x, new = block(x, layer)
            kept.append(new)
        logits = layer_norm(self.norm, x) @ self.head.weight.T
        return logits, Memory(tuple(kept), count + tokens.size(1))


def next_token_loss(logits, tokens):
    logs = logits[:, :-1].log_softmax(-1)
    return -logs.gather(-1, tokens[:, 1:, None]).mean()


def train(model, tokens, starts, learning_rate):
    windows = tokens.unfold(0, len(model.places), 1)
    parameters = list(model.parameters())
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    losses = []
    for step, rows in enumerate(starts, start=1):
        batch = windows[rows]
        loss = next_token_loss(model(batch)[0], batch)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g, m, s in zip(parameters, gradients, first, second, strict=True):
                m.mul_(0.9).add_(g, alpha=0.1)
                s.mul_(0.999).addcmul_(g, g, value=0.001)
                p -= learning_rate * (m / (1 - 0.9**step)) / ((s / (1 - 0.999**step)).sqrt() + 1e-8)
        losses.append(loss.detach())
    return torch.stack(losses)


def next_token_probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature <= 0:
        raise ValueError("temperature must be positive")
    scaled = logits / temperature
    if top_k is not None and top_k < scaled.size(-1):
        least = scaled.topk(top_k).values[:, -1:]
        scaled = scaled.where(scaled >= least, -torch.inf)
    if top_p is not None:
        p = scaled.softmax(-1)
        before = torch.where(p[:, None, :] > p[:, :, None], p[:, None, :], 0).sum(-1)
        scaled = scaled.where(before < top_p, -torch.inf)
    return scaled.softmax(-1)


def sample(probabilities, uniforms):
    total = probabilities.cumsum(-1)
    return torch.searchsorted(total / total[:, -1:], uniforms[:, None].contiguous(), right=True)[:, 0]


def generate(model, prompt, uniforms, temperature=1.0, top_k=None, top_p=None):
    model.eval()
    text = torch.cat([prompt, prompt.new_zeros(uniforms.shape)], dim=1)
    cache, read = None, 0
    with torch.inference_mode():
        for place in range(prompt.size(1), text.size(1)):
            logits, cache = model(text[:, read:place], cache)
            chances = next_token_probabilities(logits[:, -1], temperature, top_k, top_p)
            text[:, place] = sample(chances, uniforms[:, place - prompt.size(1)])
            read = place
    return text
