"""The synthetic sounds: the same from the same seed, different otherwise, and as their captions say."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
from pydantic import ValidationError

from arc_eval import registry
from arc_eval.contracts import DataSource
from arc_eval.data.synthetic import CLASSES, Event, Scene, Settings
from arc_eval.data.synthetic.render import VOICES, attributes_of, render
from arc_eval.data.synthetic.signals import RATE, Samples
from arc_eval.data.synthetic.vocabulary import SOUNDS
from arc_eval.errors import AudioError, DataError

SPLITS = ("train", "validation", "test", "reference")
TAKES = 6


def takes_of(sound: str, seconds: float = 2.0, space: str = "dry", **stated: str) -> list[Samples]:
    """Takes of one sound with these attributes."""
    scene = Scene((Event(sound, stated),), space, "")
    return [render(np.random.default_rng(seed), scene, seconds) for seed in range(TAKES)]


def centroid(take: Samples) -> float:
    """Mean frequency in hertz, weighted by power."""
    power = np.square(np.abs(np.fft.rfft(take))).sum(0)
    return float(np.fft.rfftfreq(take.shape[-1], 1 / RATE) @ power / power.sum())


def onsets(take: Samples) -> int:
    """How often the level rises by a quarter within a hundredth of a second."""
    frames = take.sum(0)[: take.shape[-1] // 441 * 441].reshape(-1, 441)
    level = np.log(np.sqrt(np.square(frames).mean(1)) / np.sqrt(np.square(frames).mean(1)).max() + 1e-3)
    return len(scipy.signal.find_peaks(np.diff(level), 0.25, distance=4)[0])


def with_attribute(name: str) -> list[str]:
    return [sound for sound in CLASSES if name in SOUNDS[sound].attributes]


def one_if_countable(sound: str) -> dict[str, str]:
    return {"count": "one"} if SOUNDS[sound].countable else {}


def test_it_is_found_by_name_and_keeps_the_contract_of_a_data_source():
    found = registry.settings(
        "data", {"kind": "synthetic", "split": "test", "count": 3}, "suite.yaml: prompts"
    )
    source: DataSource = found.build()
    prompts = source.prompts()
    assert [prompt.id for prompt in prompts] == ["test-000000", "test-000001", "test-000002"]
    assert (source.sample_rate, source.takes()) == (44100, 5)
    assert all(isinstance(value, str) for value in source.identity().values())


def test_there_are_at_least_24_classes_each_with_a_voice():
    assert len(CLASSES) == len(set(CLASSES)) >= 24
    assert set(VOICES) == set(CLASSES)


def test_a_take_depends_on_its_name_alone():
    few, many = (Settings(split="test", count=count).build() for count in (8, 100))
    first = {prompt.id: few.audio(prompt.id, 1) for prompt in few.prompts()}
    for prompt_id in reversed(first):
        assert many.audio(prompt_id, 1).equal(first[prompt_id])
    assert many.prompts()[:8] == few.prompts()
    assert many.prompt(7) == few.prompts()[7]


def test_takes_of_a_caption_differ():
    source = Settings(split="test", count=len(CLASSES), takes=2).build()
    for prompt in source.prompts():
        assert not source.audio(prompt.id, 0).equal(source.audio(prompt.id, 1))


def test_splits_and_seeds_share_no_scene_and_no_sound():
    sources = [Settings(split=split, count=60, seed=seed).build() for split in SPLITS for seed in (0, 1)]
    captions = [tuple(prompt.text for prompt in source.prompts()) for source in sources]
    assert len(set(captions)) == len(captions)
    sounds = {source.audio(source.prompt(5).id).numpy().tobytes() for source in sources}
    assert len(sounds) == len(sources)
    assert len({tuple(sorted(source.identity().items())) for source in sources}) == len(sources)


def test_each_block_of_scenes_leads_with_every_class_once():
    source = Settings(split="validation", count=4 * len(CLASSES)).build()
    for start in range(0, 4 * len(CLASSES), len(CLASSES)):
        tags = [set(source.prompt(index).tags) for index in range(start, start + len(CLASSES))]
        assert set.union(*tags) == set(CLASSES)


def test_samples_are_finite_stereo_and_never_clip():
    source = Settings(split="reference", count=300, takes=1).build()
    for prompt in source.prompts():
        samples = source.audio(prompt.id)
        assert tuple(samples.shape) == (2, 88200)
        assert samples.isfinite().all()
        assert 0.01 < float(samples.abs().max()) <= 0.98, prompt


@pytest.mark.parametrize("seconds", [0.25, 0.7, 6.0])
def test_clips_of_any_length_hold_every_sound(seconds: float):
    source = Settings(split="test", count=len(CLASSES), seconds=seconds).build()
    for prompt in source.prompts():
        samples = source.audio(prompt.id)
        assert tuple(samples.shape) == (2, round(seconds * 44100))
        assert samples.isfinite().all()
        assert samples.abs().max() > 0.01


def test_a_sound_sets_in_within_three_tenths_of_a_second():
    for sound in CLASSES:
        for take in takes_of(sound):
            loud = np.flatnonzero(np.abs(take).max(0) > 0.05 * np.abs(take).max())
            assert loud[0] < 0.4 * RATE, sound


def test_bright_is_brighter_than_dull():
    for sound in with_attribute("brightness"):
        bright, dull = (
            np.mean([centroid(take) for take in takes_of(sound, brightness=value, **one_if_countable(sound))])
            for value in ("bright", "dull")
        )
        assert bright > 1.1 * dull, sound


def test_high_is_higher_than_low():
    for sound in with_attribute("pitch"):
        high, low = (
            np.mean([centroid(take) for take in takes_of(sound, pitch=value, **one_if_countable(sound))])
            for value in ("high", "low")
        )
        assert high > 1.1 * low, sound


def test_fast_has_more_onsets_than_slow():
    for sound in sorted({*with_attribute("speed")} - {"siren", "waves", "piano", "bell"}):
        many = {"count": "many"} if SOUNDS[sound].countable else {}
        fast, slow = (
            np.mean([onsets(take) for take in takes_of(sound, speed=value, **many)])
            for value in ("fast", "slow")
        )
        assert fast > 1.4 * slow, sound


@pytest.mark.parametrize("sound", ["piano", "bell"])
def test_fast_notes_that_ring_on_are_struck_more_often(sound: str):
    # The tails hide onsets in the level; the bursts of the hammer above the notes do not ring.
    def strokes(take: Samples) -> int:
        sos = scipy.signal.butter(4, 12000, "highpass", fs=RATE, output="sos")
        return onsets(scipy.signal.sosfilt(sos, take))

    fast, slow = (
        np.mean([strokes(take) for take in takes_of(sound, speed=value, count="many", brightness="dull")])
        for value in ("fast", "slow")
    )
    assert fast > 1.3 * slow


def test_many_is_more_than_one():
    for sound in (sound for sound in CLASSES if SOUNDS[sound].countable):
        many, one = (
            np.mean(
                [
                    np.square(take[:, RATE:]).sum() / np.square(take).sum()
                    for take in takes_of(sound, count=count)
                ]
            )
            for count in ("many", "one")
        )
        assert many > 2 * one, sound


def lean(takes: list[Samples]) -> float:
    """How many dB more the left channel holds than the right, over all takes."""
    left, right = sum(np.square(take).sum(1) for take in takes)
    return float(10 * np.log10(left / right))


def test_left_is_left_right_is_right_and_the_centre_is_between():
    for sound in CLASSES:
        assert lean(takes_of(sound, position="left")) > 9, sound
        assert lean(takes_of(sound, position="right")) < -9, sound
        assert abs(lean(takes_of(sound, position="centre"))) < 2, sound


def test_in_a_hall_the_first_sound_comes_from_its_side_and_the_tail_from_all_around():
    def first(take: Samples) -> Samples:
        start = int(np.flatnonzero(np.abs(take).max(0) > 0.05 * np.abs(take).max())[0])
        return take[:, start : start + RATE // 60]  # the tail sets in after 20 ms

    for sound in ("kick", "tom", "snare", "clap", "guitar", "bell", "laser", "water drops"):
        for position, sign in (("left", 1), ("right", -1)):
            takes = takes_of(sound, space="hall", position=position, count="one")
            assert sign * lean([first(take) for take in takes]) > 9, sound
            assert abs(lean([take[:, RATE:] for take in takes])) < 6, sound
            assert sign * lean(takes) > 0.5, sound


def test_levels_are_as_stated():
    for sound in CLASSES:
        for value, low, high in (("loud", -5, -1.9), ("quiet", -21, -15.9)):
            for take in takes_of(sound, loudness=value):
                assert low < 20 * np.log10(np.abs(take).max()) < high, sound
        plain = [20 * np.log10(np.abs(take).max()) for take in takes_of(sound)]
        assert min(plain) > -13, sound
        assert max(plain) < -5.5, sound


def test_a_hall_rings_on_where_a_dry_room_does_not():
    def late(space: str) -> float:
        takes = takes_of("clap", space=space, count="one")
        return float(np.mean([np.square(t[:, RATE // 2 :]).sum() / np.square(t).sum() for t in takes]))

    assert late("dry") < 1e-4 < late("room") * 10 < late("hall")


@pytest.mark.parametrize("tempo", [80, 120, 160])
def test_a_drum_loop_keeps_its_tempo(tempo: int):
    for take in takes_of("drum loop", seconds=6.0, tempo=str(tempo)):
        level = np.square(take.sum(0)[: take.shape[-1] // 441 * 441].reshape(-1, 441)).mean(1)
        rises = np.maximum(np.diff(np.log(level + 1e-6)), 0)
        rises -= rises.mean()
        likeness = np.correlate(rises, rises, "full")[len(rises) - 1 :]
        bar = 100 * 4 * 60 / tempo / 2  # kick and snare come back after two beats
        found = np.arange(round(bar * 0.75), round(bar * 1.25))
        assert found[likeness[found].argmax()] == pytest.approx(bar, rel=0.02)


def test_what_is_stated_bounds_what_is_drawn():
    stated = {"pitch": "high", "brightness": "dull", "speed": "fast", "count": "many"}
    for seed in range(50):
        drawn = attributes_of(np.random.default_rng(seed), stated)
        assert drawn.pitch > 0.4 > -0.4 > drawn.brightness
        assert drawn.speed > 0.4
        assert drawn.many
    free = [attributes_of(np.random.default_rng(seed), {}) for seed in range(200)]
    assert np.std([a.pitch for a in free]) > 0.4
    assert 0.15 < np.mean([a.many for a in free]) < 0.45


def test_both_sounds_of_a_pair_are_in_the_mix():
    pair = Scene((Event("rain", {"position": "left"}), Event("bell", {"position": "right"})), "dry", "")
    both = render(np.random.default_rng(1), pair, 2.0)
    alone = render(np.random.default_rng(1), replace(pair, events=pair.events[:1]), 2.0)
    assert centroid(both[:1]) > 2000 > centroid(both[1:])
    assert np.square(both[1]).sum() > 4 * np.square(alone[1]).sum()


def test_what_is_not_there_is_refused_by_name():
    source = Settings(split="test", count=3).build()
    with pytest.raises(AudioError, match="test-000000: no take 5; `takes` is 5"):
        source.audio("test-000000", 5)
    with pytest.raises(DataError, match="no prompt 3; there are 3"):
        source.audio("test-000003")
    for wrong in ("train-000000", "test-x", "bell"):
        with pytest.raises(DataError, match="ids look like test-000042"):
            source.audio(wrong)


@pytest.mark.parametrize(
    "wrong", [{"split": "tset"}, {"count": 0}, {"seconds": 0.0}, {"takes": 0}, {"colour": "red"}]
)
def test_settings_refuse_what_they_cannot_mean(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        Settings.model_validate({"split": "test", "count": 3} | wrong)
