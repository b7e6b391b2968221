"""Convolutions on CUDA keep float32, and whoever else computes in the process is left alone."""

import pytest
import torch

from arc_eval.models.precision import exact_convolutions


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
