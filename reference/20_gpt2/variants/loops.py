"""GPT-2 with plain loops: one query, one row, one token at a time; the cache is a list of tensors (B, S, E)."""

import torch
from torch import nn


def causal_attention(q, k, v):
    new, width = q.shape[2:]
    past = k.shape[2] - new
    rows = []
    for t in range(new):
        keys, values = k[:, :, : past + t + 1], v[:, :, : past + t + 1]
        scores = (q[:, :, t : t + 1] * keys).sum(-1) * width**-0.5
        scores = torch.exp(scores - scores.max(-1, keepdim=True).values)
        rows.append((scores[..., None] * values).sum(2) / scores.sum(-1)[..., None])
    return torch.stack(rows, dim=2)


class CausalSelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.size = width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, cache=None):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if cache:
            k, v = torch.cat([cache[0], k], 1), torch.cat([cache[1], v], 1)
        firsts = range(0, x.shape[-1], self.size)
        stacked = [torch.stack([part[..., i : i + self.size] for i in firsts], dim=1) for part in (q, k, v)]
        heads = causal_attention(*stacked).unbind(1)
        return self.out(torch.cat(heads, dim=-1)), [k, v]


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gelu = nn.GELU(approximate="tanh")

    def forward(self, x, cache=None):
        mixed, cache = self.attention(self.norm1(x), cache)
        x = x + mixed
        return x + self.down(self.gelu(self.up(self.norm2(x)))), cache


class GPT(nn.Module):
    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, 0.0, 0.02)
        self.token.weight = self.head.weight

    def forward(self, tokens, cache=None):
        seen = cache[0][0].shape[1] if cache else 0
        if seen + tokens.shape[1] > self.position.num_embeddings:
            raise ValueError("the text is longer than the context")
        x = self.token(tokens) + self.position.weight[seen : seen + tokens.shape[1]]
        new_cache = []
        for layer, block in enumerate(self.blocks):
            x, kept = block(x, cache[layer] if cache else None)
            new_cache.append(kept)
        return self.head(self.norm(x)), new_cache


def next_token_loss(logits, tokens):
    total = torch.zeros((), dtype=logits.dtype)
    batch, length = tokens.shape
    for t in range(1, length):
        logs = logits[:, t - 1] - logits[:, t - 1].logsumexp(-1, keepdim=True)
        total = total - logs[torch.arange(batch), tokens[:, t]].sum()
    return total / (batch * (length - 1))


def train(model, tokens, starts, learning_rate):
    adam = torch.optim.Adam(model.parameters(), learning_rate)
    length = model.position.num_embeddings
    losses = torch.zeros(len(starts), dtype=model.token.weight.dtype)
    model.train()
    for step, row in enumerate(starts.tolist()):
        windows = torch.stack([tokens[start : start + length] for start in row])
        loss = next_token_loss(model(windows)[0], windows)
        model.zero_grad()
        loss.backward()
        adam.step()
        losses[step] = loss.item()
    return losses


def next_token_probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if not temperature > 0:
        raise ValueError("the temperature must be positive")
    rows = []
    for row in torch.softmax(logits / temperature, -1):
        order = sorted(range(len(row)), key=lambda i, row=row: -float(row[i]))
        kept = order[:top_k]
        if top_p is not None:
            whole = sum(float(row[i]) for i in kept)
            some, mass = [], 0.0
            while mass < top_p * whole and len(some) < len(kept):
                some.append(kept[len(some)])
                mass += float(row[some[-1]])
            kept = some
        only = torch.zeros_like(row)
        only[kept] = row[kept]
        rows.append(only / only.sum())
    return torch.stack(rows)


def sample(probabilities, uniforms):
    drawn = []
    for row, uniform in zip(probabilities.tolist(), uniforms.tolist(), strict=True):
        total, pick = 0.0, 0
        for token, chance in enumerate(row):
            if chance > 0:
                total, pick = total + chance, token
                if total > uniform:
                    break
        drawn.append(pick)
    return torch.tensor(drawn)


@torch.no_grad()
def generate(model, prompt, uniforms, temperature=1.0, top_k=None, top_p=None):
    logits, cache = model(prompt)
    text = [prompt]
    for n in range(uniforms.shape[1]):
        chances = next_token_probabilities(logits[:, -1], temperature, top_k, top_p)
        text.append(sample(chances, uniforms[:, n]).unsqueeze(1))
        if n + 1 < uniforms.shape[1]:
            logits, cache = model(text[-1], cache)
    return torch.cat(text, 1)
