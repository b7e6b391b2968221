"""transformers' ClapModel and the released CLAP are one network under two sets of names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from arc_eval.errors import CheckpointError
from arc_eval.extractors.clap import Settings
from arc_eval.models import roberta
from arc_eval.models.clap_names import clap_file, released_names
from arc_eval.models.laion_clap import load_laion_clap

WORDS = 60


@pytest.fixture(scope="module", params=[True, False], ids=["fusion", "no fusion"])
def theirs(request: pytest.FixtureRequest) -> Iterator[torch.nn.Module]:
    """A ClapModel of the official audio tower with a short text tower."""
    transformers = pytest.importorskip("transformers")
    text = {"num_hidden_layers": 1, "vocab_size": WORDS, "layer_norm_eps": 1e-5}
    audio = {"enable_fusion": request.param, "fusion_type": "aff_2d" if request.param else None}
    config = transformers.ClapConfig(text_config=text, audio_config=audio)
    torch.manual_seed(0)
    model = transformers.ClapModel(config).eval()
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.dtype == torch.float32 and tensor.ndim == 1:
                tensor.add_(0.1 * torch.rand_like(tensor))  # officially many are zeros and ones
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roberta, "DEPTH", 1)
        patch.setattr(roberta, "WORDS", WORDS)
        yield model


def test_a_checkpoint_of_transformers_gives_its_own_embeddings(
    theirs: torch.nn.Module, tmp_path: Path
) -> None:
    save_file(
        {name: t.contiguous() for name, t in theirs.state_dict().items()}, tmp_path / "model.safetensors"
    )
    ours = load_laion_clap(clap_file(str(tmp_path)))
    fusion = ours.config.fusion
    stream = torch.Generator().manual_seed(1)
    mels = torch.randn(2, 4 if fusion else 1, 1001, 64, generator=stream) * 10 - 30
    longer = torch.tensor([False, fusion])
    ids, mask = torch.randint(2, WORDS, (2, 9), generator=stream), torch.ones(2, 9, dtype=torch.long)
    with torch.inference_mode():
        audio = theirs.get_audio_features(input_features=mels, is_longer=longer[:, None])
        text = theirs.get_text_features(input_ids=ids, attention_mask=mask)
        found = ours.embed_audio(mels, longer), ours.embed_text(ids, mask)
    for one, other in zip(found, (audio, text), strict=True):
        other = getattr(other, "pooler_output", other)
        wanted = torch.nn.functional.normalize(other, dim=-1)
        assert float((one - wanted).norm() / wanted.norm()) < 1e-5


def test_released_names_stay_what_they_are() -> None:
    tensors = {"audio_branch.bn0.weight": torch.ones(1), "logit_scale_a": torch.ones(())}
    assert released_names(tensors).keys() == tensors.keys()


def test_a_checkpoint_whose_scores_mean_nothing_is_refused() -> None:
    with pytest.raises(CheckpointError, match="every caption"):
        Settings(weights="hf://laion/larger_clap_music").build()


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        clap_file(str(tmp_path / "absent.pt"))
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        clap_file(str(tmp_path))
    monkeypatch.setitem(os.environ, "ARC_EVAL_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=r"laion/clap-htsat-fused.*model\.safetensors"):
        clap_file("hf://laion/clap-htsat-fused")
