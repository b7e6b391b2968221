"""Convolutions on CUDA keep float32, and whoever else computes in the process is left alone."""

from pathlib import Path

import pytest
import torch
from tiny_suites import SECONDS, save_random_model

from arc_eval.generators.latent import Settings
from arc_eval.models.precision import exact_convolutions
from arc_eval.records.prompt import Prompt


@pytest.fixture(params=[True, False])
def allowed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """What the process has chosen for its own convolutions; the switch is there without CUDA, too."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", request.param)
    return bool(request.param)


def test_convolutions_are_exact_inside_and_as_before_after(allowed: bool) -> None:
    others = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    with exact_convolutions():
        assert not torch.backends.cudnn.allow_tf32
        assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == others
    assert torch.backends.cudnn.allow_tf32 == allowed
    with pytest.raises(KeyError), exact_convolutions():
        raise KeyError
    assert torch.backends.cudnn.allow_tf32 == allowed


def test_matrix_products_are_exact_by_themselves() -> None:
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_clips_made_on_cuda_are_those_made_on_the_cpu(tmp_path: Path) -> None:
    model = save_random_model(tmp_path)
    write = {"weights": str(model), "sampler": "euler", "steps": 4, "guidance": 2.0}
    prompt = Prompt("a", "a bell", SECONDS)
    ours, theirs = (
        Settings.model_validate({**write, "device": device}).build().generate([prompt], [1]).samples
        for device in ("cpu", "cuda")
    )
    assert float((theirs - ours).norm() / ours.norm()) < 1e-4
