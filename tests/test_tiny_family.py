"""The shipped weights are what their manifests say, and good enough to be worth shipping."""

from collections.abc import Iterator
from functools import cache
from itertools import islice

import pytest
import torch
from torch import Tensor

from arc_eval.data.synthetic import Settings as Synthetic
from arc_eval.extractors.tiny import ClapExtractor, ClapSettings, TaggerExtractor, TaggerSettings
from arc_eval.generators.latent import Settings as Latent
from arc_eval.models.autoencoder_weights import load_autoencoder
from arc_eval.models.files import PACKAGED
from arc_eval.models.weights import read_manifest, weights_digest
from arc_eval.records.audio import AudioBatch
from arc_eval.records.prompt import Prompt
from arc_eval.training.recipe import load_recipe

FAMILY = ("autoencoder", "tagger", "clap", "reference", "arc", "distilled")
PARENTS = {
    "reference": ("autoencoder",),
    "arc": ("autoencoder", "teacher"),
    "distilled": ("autoencoder", "teacher"),
}
FOLDER = {"autoencoder": "tiny/autoencoder", "teacher": "tiny/reference"}
RATE = 44100


@cache
def tagger() -> TaggerExtractor:
    return TaggerSettings().build()


@cache
def clap() -> ClapExtractor:
    return ClapSettings().build()


def recordings(count: int) -> Iterator[tuple[Prompt, Tensor]]:
    """Test sounds: no training has seen their seeds."""
    source = Synthetic(split="test", count=count, takes=1).build()
    for prompt in source.prompts():
        yield prompt, source.audio(prompt.id)


def recognised(prompt: Prompt, clip: Tensor) -> bool:
    logits = tagger().embed(AudioBatch.of([clip], RATE))[0]
    return tagger().labels[int(logits.argmax())] in prompt.tags


@pytest.mark.parametrize("name", FAMILY)
def test_weights_were_made_by_the_recipe_that_is_shipped(name: str) -> None:
    manifest = read_manifest(f"tiny/{name}")
    assert manifest["recipe_digest"] == load_recipe(f"tiny_{name}").digest()
    assert manifest["digest"] == weights_digest(f"tiny/{name}")


@pytest.mark.parametrize("name", PARENTS)
def test_weights_descend_from_the_parents_that_are_shipped(name: str) -> None:
    parents = read_manifest(f"tiny/{name}")["parents"]
    assert parents == {parent: weights_digest(FOLDER[parent]) for parent in PARENTS[name]}


def test_the_family_fits_into_thirty_megabytes() -> None:
    assert sum(file.stat().st_size for file in PACKAGED.rglob("*.safetensors")) < 30e6


def test_the_tagger_recognises_sounds_and_still_does_after_the_autoencoder() -> None:
    autoencoder, config = load_autoencoder("tiny/autoencoder")
    direct = coded = 0
    for prompt, clip in recordings(60):
        padded = torch.nn.functional.pad(clip, (0, config.sample_size - clip.shape[-1]))
        with torch.inference_mode():
            again = autoencoder.decode(autoencoder.encode(padded[None]))[0, :, : clip.shape[-1]]
        direct += recognised(prompt, clip)
        coded += recognised(prompt, again)
    assert direct >= 54
    assert coded >= 54


def test_captions_are_nearer_to_their_own_recordings_than_to_others() -> None:
    pairs = list(recordings(40))
    clips = torch.cat([clap().embed(AudioBatch.of([clip], RATE))[0] for _, clip in pairs])
    cosine = clips @ clap().embed_text([prompt.text for prompt, _ in pairs]).T
    own = cosine.diagonal().mean()
    others = (cosine.sum() - cosine.trace()) / (cosine.numel() - len(cosine))
    assert own > others + 0.5


@pytest.mark.parametrize(
    ("weights", "sampler", "steps", "guidance"),
    [
        ("tiny/reference", "euler", 8, 3.0),
        ("tiny/distilled", "pingpong", 8, 1.0),
        ("tiny/arc", "pingpong", 4, 1.0),
    ],
)
def test_generated_clips_are_what_the_prompt_names(
    weights: str, sampler: str, steps: int, guidance: float
) -> None:
    settings = {"weights": weights, "sampler": sampler, "steps": steps, "guidance": guidance}
    generator = Latent.model_validate(settings).build()
    prompts = [prompt for prompt, _ in recordings(30)]
    clips = generator.generate(prompts, list(range(30)))
    hits = sum(recognised(prompt, clip) for prompt, clip in zip(prompts, clips, strict=True))
    assert hits >= 18


def test_an_extractor_hears_each_clip_by_itself_at_any_length() -> None:
    clips = [
        clip[:, :length]
        for (_, clip), length in zip(islice(recordings(4), 4), (900, 9000, 44100, 88200), strict=True)
    ]
    for extractor in (tagger(), clap()):
        together = extractor.embed(AudioBatch.of(clips, RATE))
        alone = [extractor.embed(AudioBatch.of([clip], RATE))[0] for clip in clips]
        assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


def test_mono_is_heard_as_the_same_sound_on_both_sides() -> None:
    _, clip = next(recordings(1))
    mono = clip[:1]
    for extractor in (tagger(), clap()):
        one = extractor.embed(AudioBatch.of([mono], RATE))[0]
        two = extractor.embed(AudioBatch.of([mono.expand(2, -1).contiguous()], RATE))[0]
        assert torch.equal(one, two)


def test_a_caption_is_placed_without_regard_to_the_others() -> None:
    texts = ["a loud bell on the left", "rain"]
    assert torch.equal(clap().embed_text(texts)[1:], clap().embed_text(texts[1:]))
