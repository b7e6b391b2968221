"""Whether the network is left alone: a switch in the environment, so that worker processes inherit it."""

import os
import sys

SWITCHES = ("ARC_EVAL_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables that each keep this package offline."""


def offline() -> bool:
    """Whether the network is left alone."""
    return any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in SWITCHES)


def go_offline() -> None:
    """Keeps this process and those it starts offline, transformers and diffusers included."""
    os.environ.update(ARC_EVAL_OFFLINE="1", HF_HUB_OFFLINE="1")
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:  # imported before: it has read the environment already
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
