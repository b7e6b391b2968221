"""Mean and covariance as stable-audio-metrics publishes them: an `.npz` with `mu_ref` and `sigma_ref`."""

import zipfile
from pathlib import Path

import numpy as np
import torch

from arc_eval.errors import DataError
from arc_eval.records.summary import Moments
from arc_eval.summaries import require_moments


def read_moments(path: Path) -> Moments:
    """float64[feature] and float64[feature, feature]; of how many rows, the file does not say.

    Nothing that is pickled in the file is read. Raises DataError.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            mean, covariance = (
                torch.from_numpy(np.asarray(file[name], dtype=np.float64)) for name in ("mu_ref", "sigma_ref")
            )
        require_moments(path.name, mean, covariance)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an .npz with mu_ref and sigma_ref: {error}") from error
    return Moments(mean, (covariance + covariance.T) / 2, rows=0, clips=0)
