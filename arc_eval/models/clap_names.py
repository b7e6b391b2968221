"""CLAP checkpoints of transformers (`ClapModel`) under the names of the released files, and where they lie.

The networks are the same; transformers renames the parts and splits what is one matrix in the original.
What stands before them is arc_eval's in both cases: transformers' own front end takes a random clip of a
batch for a long one, and does not cut to 16 bits. The text tower is normalised with the 1e-5 that it was
trained with; transformers' default of 1e-12 moves a caption's unit vector by 4e-4.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.hub import hub_file

HUB = "hf://"
FILES = ("model.safetensors", "pytorch_model.bin")
BROKEN = {
    "laion/larger_clap_music": "its text tower gives nearly the same vector for every caption (cosine 0.999)"
}
"""Repositories whose scores mean nothing, and why."""

MARK = "audio_model.audio_encoder."
RENAMED = (
    (r"^text_model\.", "text_branch."),
    (r"^audio_model\.audio_encoder\.", "audio_branch."),
    (r"^(audio|text)_projection\.linear1\.", r"\1_projection.0."),
    (r"^(audio|text)_projection\.linear2\.", r"\1_projection.2."),
)
IN_AUDIO = (
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.self\.", ".attn."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.batch_norm\.", ".bn0."),
)
PARTS = ("query", "key", "value")


def clap_file(weights: str) -> Path:
    """The file of a checkpoint: itself, that of a folder, or of `hf://OWNER/NAME[@REVISION]`.

    Raises CheckpointError if there is none, or if its scores are known to mean nothing.
    """
    if weights.startswith(HUB):
        repo, _, revision = weights.removeprefix(HUB).partition("@")
        if repo in BROKEN:
            raise CheckpointError(f"{weights}: no CLAP score can be taken with it: {BROKEN[repo]}")
        return _of_the_hub(repo, revision or None)
    path = Path(weights)
    if path.is_dir():
        found = [path / name for name in FILES if (path / name).is_file()]
        if not found:
            raise CheckpointError(f"{path}: holds no {' or '.join(FILES)}; is it a CLAP checkpoint?")
        return found[0]
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; give a released LAION-CLAP .pt, a ClapModel (a folder or "
            "hf://OWNER/NAME), or `random`"
        )
    return path


def _of_the_hub(repo: str, revision: str | None) -> Path:
    try:
        return hub_file(repo, FILES[0], revision)
    except CheckpointError:
        # Older repositories have the other form alone; if there is neither, the first reason counts.
        try:
            return hub_file(repo, FILES[1], revision)
        except CheckpointError:
            pass
        raise


def released_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as the released files name them; those that bear these names already stay as they are."""
    if not any(name.startswith(MARK) for name in tensors):
        return dict(tensors)
    found: dict[str, Tensor] = {}
    split: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        said = _released(name)
        match = re.fullmatch(r"(audio_branch\..*\.attn)\.(query|key|value)\.(weight|bias)", said)
        if match:
            split.setdefault(f"{match[1]}.qkv.{match[3]}", {})[match[2]] = tensor
        else:
            found[said] = tensor
    for name, parts in split.items():
        if parts.keys() == set(PARTS):
            found[name] = torch.cat([parts[part] for part in PARTS])
    return found


def _released(name: str) -> str:
    for pattern, other in RENAMED:
        name = re.sub(pattern, other, name)
    if name.startswith("audio_branch."):
        for pattern, other in IN_AUDIO:
            name = re.sub(pattern, other, name)
    return name
