"""GPT-2 that computes attention and probabilities in float64; its cache is a dict of named tensors."""

import torch
import torch.nn.functional as F
from torch import nn


def causal_attention(q, k, v):
    length = k.shape[-2]
    hidden = torch.ones(length, length).triu(1).bool()[length - q.shape[-2] :]
    scores = torch.matmul(q.double(), k.double().mT).div(q.shape[-1] ** 0.5)
    return scores.masked_fill(hidden, torch.finfo(torch.float64).min).softmax(-1).matmul(v.double()).to(q.dtype)


class CausalSelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def split(self, x):
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x, cache=None):
        width = x.shape[-1]
        q = F.linear(x, self.qkv.weight[:width], self.qkv.bias[:width])
        k = F.linear(x, self.qkv.weight[width : 2 * width], self.qkv.bias[width : 2 * width])
        v = F.linear(x, self.qkv.weight[2 * width :], self.qkv.bias[2 * width :])
        q, k, v = self.split(q), self.split(k), self.split(v)
        cache = {"keys": k[:, :, :0], "values": v[:, :, :0]} if cache is None else cache
        cache = {"keys": torch.cat((cache["keys"], k), 2), "values": torch.cat((cache["values"], v), 2)}
        mixed = causal_attention(q, cache["keys"], cache["values"])
        return self.out(torch.cat(mixed.unbind(1), dim=-1)), cache


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def feed_forward(self, x):
        return self.down(F.gelu(self.up(x), approximate="tanh"))

    def forward(self, x, cache=None):
        mixed, cache = self.attention(self.norm1(x), cache)
        middle = x + mixed
        return middle + self.feed_forward(self.norm2(middle)), cache


class GPT(nn.Module):
    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight
        self.apply(self.initialise)
        for block in self.blocks:
            for layer in (block.attention.out, block.down):
                nn.init.normal_(layer.weight, std=0.02 / (2 * layers) ** 0.5)

    @staticmethod
    def initialise(module):
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, tokens, cache=None):
        cache = cache or {}
        past = cache["keys 0"].shape[2] if cache else 0
        positions = past + torch.arange(tokens.shape[1]).expand_as(tokens)
        if past + tokens.shape[1] > self.position.weight.shape[0]:
            raise ValueError("too long")
        x, after = self.token(tokens) + self.position(positions), {}
        for n, block in enumerate(self.blocks):
            before = {kind: cache[f"{kind} {n}"] for kind in ("keys", "values")} if cache else None
            x, new = block(x, before)
            after |= {f"{kind} {n}": tensor for kind, tensor in new.items()}
        return self.head(self.norm(x)), after


def next_token_loss(logits, tokens):
    targets = F.pad(tokens[:, 1:], (0, 1), value=-100)
    return F.cross_entropy(logits.transpose(1, 2), targets)


def train(model, tokens, starts, learning_rate):
    optimiser = torch.optim.Adam([{"params": model.parameters(), "lr": learning_rate}], foreach=False)
    context = model.position.weight.shape[0]
    losses = []
    for step in range(starts.shape[0]):
        optimiser.zero_grad(set_to_none=False)
        batch = torch.cat([tokens.narrow(0, int(start), context)[None] for start in starts[step]])
        logits, _ = model(batch)
        losses.append(next_token_loss(logits, batch))
        losses[-1].backward()
        optimiser.step()
    return torch.stack(losses).detach()


def next_token_probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature <= 0:
        raise ValueError("temperature")
    p = F.softmax(logits.double() / temperature, dim=-1)
    rank = p.argsort(dim=-1, descending=True).argsort(dim=-1)
    if top_k is not None:
        p = torch.where(rank < top_k, p, 0.0)
        p = F.normalize(p, p=1, dim=-1)
    if top_p is not None:
        ranked = p.sort(dim=-1, descending=True).values
        count = 1 + (ranked.cumsum(-1) < top_p).sum(-1, keepdim=True)
        p = F.normalize(torch.where(rank < count, p, 0.0), p=1, dim=-1)
    return p.to(logits.dtype)


def sample(probabilities, uniforms):
    cumulative = probabilities.double().cumsum(-1)
    reached = cumulative > uniforms.double()[:, None] * cumulative[:, -1:]
    return reached.int().argmax(-1)


def generate(model, prompt, uniforms, temperature=1.0, top_k=None, top_p=None):
    text, cache = prompt.clone(), None
    for n in range(uniforms.shape[1]):
        new = text if cache is None else text[:, -1:]
        with torch.no_grad():
            logits, cache = model(new, cache)
        picked = sample(next_token_probabilities(logits[:, -1, :], temperature, top_k, top_p), uniforms[:, n])
        text = torch.cat((text, picked.unsqueeze(-1)), dim=-1)
    return text
