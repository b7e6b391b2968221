"""What pipelines of diffusers need to run with today's transformers, whose interface moved on beneath them.

Each repair looks for what it mends and leaves a pipeline alone that does not need it.
"""

from functools import partial, wraps
from typing import Any


def repair(pipeline: Any) -> None:
    """Makes a loaded pipeline callable again; weights and arithmetic stay what they are."""
    _plain_text_features(getattr(pipeline, "text_encoder", None))
    _growing_language_model(getattr(pipeline, "language_model", None))


def _plain_text_features(encoder: Any) -> None:
    """CLAP's text features come wrapped since transformers 5; MusicLDM takes them as they were before."""
    wrapped = getattr(encoder, "get_text_features", None)
    if wrapped is None:
        return

    @wraps(wrapped)
    def plain(*args: Any, **kwargs: Any) -> Any:
        features = wrapped(*args, **kwargs)
        return getattr(features, "pooler_output", features)

    encoder.get_text_features = plain


def _growing_language_model(model: Any) -> None:
    """AudioLDM2 grows a sequence with a method of generation that a bare GPT-2 has lost since."""
    name = "_update_model_kwargs_for_generation"
    if model is None or hasattr(model, name):
        return
    from transformers import GenerationMixin

    setattr(model, name, partial(getattr(GenerationMixin, name), model))
