"""The log-SNR schedule against its published values."""

import pytest
import torch

from arc_eval.samplers.schedule import log_snr_times

PUBLISHED = {
    (1, 1.0): [1, 0],
    (2, 1.0): [1, 0.880797, 0],
    (4, 1.0): [1, 0.982014, 0.880797, 0.5, 0],
    (8, 1.0): [1, 0.993307, 0.982014, 0.952574, 0.880797, 0.731059, 0.5, 0.268941, 0],
    (8, 0.8): [0.8, 0.723723, 0.631747, 0.529075, 0.423883, 0.325164, 0.239864, 0.171261, 0],
    (16, 1.0): [
        *(1, 0.995930, 0.993307, 0.989013, 0.982014, 0.970688, 0.952574, 0.924142, 0.880797),
        *(0.817574, 0.731059, 0.622459, 0.5, 0.377541, 0.268941, 0.182426, 0),
    ],
}


@pytest.mark.parametrize(("steps", "sigma_max"), PUBLISHED)
def test_times_are_the_published_ones(steps: int, sigma_max: float) -> None:
    expected = torch.tensor(PUBLISHED[steps, sigma_max], dtype=torch.float32)
    assert torch.allclose(log_snr_times(steps, sigma_max), expected, atol=1e-6)


def test_ends_are_exact() -> None:
    times = log_snr_times(7, 0.3)
    assert times[0] == torch.tensor(0.3)
    assert times[-1] == 0
    assert times.dtype == torch.float32


@pytest.mark.parametrize(("steps", "sigma_max"), [(0, 1.0), (4, 0.0), (4, 1.1)])
def test_impossible_schedules_are_refused(steps: int, sigma_max: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in|at least 1"):
        log_snr_times(steps, sigma_max)
