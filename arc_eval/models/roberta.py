"""RoBERTa, the text tower of LAION-CLAP; names as released (and as transformers has them)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORDS, PLACES, WIDTH, HEADS, DEPTH, PADDING = 50265, 514, 768, 12, 12, 1


class Embeddings(nn.Module):
    """A word, its place and its kind, added and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(WORDS, WIDTH, PADDING)
        self.position_embeddings = nn.Embedding(PLACES, WIDTH, PADDING)
        self.token_type_embeddings = nn.Embedding(1, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        real = ids != PADDING
        places = real.cumsum(1) * real + PADDING
        x = (
            self.word_embeddings(ids)
            + self.token_type_embeddings.weight[0]
            + self.position_embeddings(places)
        )
        out: Tensor = self.LayerNorm(x)
        return out


class Layer(nn.Module):
    """Attention and two layers, each normalised after it is added."""

    def __init__(self) -> None:
        super().__init__()
        looked = nn.ModuleDict({name: nn.Linear(WIDTH, WIDTH) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"self": looked, "output": _output(WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, 4 * WIDTH)})
        self.output = _output(4 * WIDTH)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        looked = self.attention["self"]
        assert isinstance(looked, nn.ModuleDict)
        q, k, v = (part(x).view(*x.shape[:2], HEADS, -1).transpose(1, 2) for part in looked.values())
        seen = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        x = _added(self.attention["output"], seen, x)
        return _added(self.output, F.gelu(self.intermediate["dense"](x)), x)


def _output(width: int) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(width, WIDTH), "LayerNorm": nn.LayerNorm(WIDTH)})


def _added(output: nn.Module, told: Tensor, x: Tensor) -> Tensor:
    assert isinstance(output, nn.ModuleDict)
    out: Tensor = output["LayerNorm"](output["dense"](told) + x)
    return out


class Roberta(nn.Module):
    """int64[text, token] to float32[text, 768], what the first token says of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(DEPTH))})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(WIDTH, WIDTH)})

    def forward(self, ids: Tensor, attention_mask: Tensor) -> Tensor:
        """attention_mask: 1 for tokens, 0 for padding."""
        x = self.embeddings(ids)
        mask = attention_mask.bool()[:, None, None, :]
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            x = layer(x, mask)
        return torch.tanh(self.pooler["dense"](x[:, 0]))
