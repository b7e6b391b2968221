"""The published T5 encoders: which files of which repository, and how they are read.

The tokenizer is the repository's own `tokenizer.json`, as the official pipeline's fast tokenizer reads
it. Of the weights only the encoder's are read; every one of them must be there. `t5-base` is an old name
of `google-t5/t5-base`, and either may be the name under which a cache holds it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from arc_eval.errors import CheckpointError
from arc_eval.models.digest import cached_digest
from arc_eval.models.hub import cached_file, hub_file
from arc_eval.models.schema import read_json
from arc_eval.models.state import load_state
from arc_eval.models.t5_architectures import architecture
from arc_eval.models.t5_encoder import T5Encoder, build_network, require_transformers

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
SHARDS = "model.safetensors.index.json"
SHARDED = {"google/flan-t5-xl", "google/flan-t5-xxl"}
EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight")  # one tensor under two names
AGAIN = "delete it and fetch it again"
NOT_ENCODER = ("decoder.", "lm_head.")


@cache
def pretrained_t5(name: str) -> T5Encoder:
    """The published T5 of that name, from the Hugging Face cache or hub; read once in a process.

    Raises CheckpointError if the name is unknown, transformers is not installed, a file is neither
    cached nor can be fetched, or one is damaged or of another size than the name says.
    """
    channels = architecture(name).channels
    require_transformers()
    repository = repository_of(name)
    config = _file(name, repository, CONFIG)
    options = _json(config)
    if (options.get("model_type"), options.get("d_model")) != ("t5", channels):
        raise CheckpointError(
            f"{config}: not the configuration of {name!r}: model_type is {options.get('model_type')!r} and "
            f"d_model {options.get('d_model')!r}, must be 't5' and {channels}"
        )
    cut = _tokenizer(_file(name, repository, TOKENIZER))
    with torch.device("meta"):
        network = build_network(options)
    load_encoder(network, _weights(name, repository))
    return T5Encoder(network, cut, partial(pretrained_identity, name))


def pretrained_identity(name: str) -> Mapping[str, str]:
    """What decides the states of the published T5 of that name: its files' content and transformers' code.

    Reads the files without loading them. Raises CheckpointError if one is neither cached nor can be
    fetched, or transformers is not installed.
    """
    require_transformers()
    repository = repository_of(name)
    weights = [_file(name, repository, CONFIG), *_weights(name, repository)]
    return {
        "t5": name,
        "weights": hashlib.sha256(b"".join(map(cached_digest, weights))).hexdigest(),
        "tokenizer": cached_digest(_file(name, repository, TOKENIZER)).hex(),
        "transformers": version("transformers"),
    }


def repository_of(name: str) -> str:
    """Where the files of a T5 are: the first of its names under which a whole copy is cached."""
    names = [name] if "/" in name else [f"google-t5/{name}", name]
    return next((each for each in names if _cached(each, name)), names[0])


def _cached(repository: str, name: str) -> bool:
    needed = (CONFIG, TOKENIZER, SHARDS if name in SHARDED else WEIGHTS)
    return all(cached_file(repository, file) is not None for file in needed)


def _file(name: str, repository: str, file: str) -> Path:
    try:
        return hub_file(repository, file)
    except CheckpointError as error:
        raise CheckpointError(
            f"the text encoder {name!r} is not among a model's own files, and cannot be had: {error}"
        ) from error


def _weights(name: str, repository: str) -> list[Path]:
    if name not in SHARDED:
        return [_file(name, repository, WEIGHTS)]
    shards = sorted(set(_json(_file(name, repository, SHARDS))["weight_map"].values()))
    return [_file(name, repository, shard) for shard in shards]


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; {AGAIN}") from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path}: cannot be read: {error}; {AGAIN}")


def _tokenizer(path: Path) -> Callable[[str], Sequence[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(json.dumps(_json(path)))
    # A file may bring its own; cutting and padding are ours.
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def cut(text: str) -> Sequence[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    return cut


def load_encoder(network: nn.Module, paths: Sequence[Path]) -> None:
    """Gives a network on the meta device the encoder's tensors, as float32; what else a T5 has is left.

    Raises CheckpointError if a file cannot be read or a tensor is missing, unknown or misshapen.
    """
    tensors: dict[str, Tensor] = {}
    for path in paths:
        tensors |= _encoder_tensors(path)
    for name, other in (EMBEDDINGS, EMBEDDINGS[::-1]):
        if name in tensors:
            tensors.setdefault(other, tensors[name])
    load_state(network, tensors, str(paths[0]))
    network.tie_weights()  # type: ignore[operator]
    network.requires_grad_(False)


def _encoder_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {
                name: file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118
                if not name.startswith(NOT_ENCODER)
            }
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
