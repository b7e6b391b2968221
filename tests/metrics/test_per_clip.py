"""Metrics that are means over clips: label divergence, recognition, alignment, conditional diversity."""

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal

from arc_eval.contracts import PerClip
from arc_eval.errors import IncompleteError
from arc_eval.metrics import alignment, diversity, label_kl, recognition
from arc_eval.metrics.label_kl import label_divergence

ALL = (alignment, diversity, label_kl, recognition)


def built(module):
    return module.Settings(extractor=EAR).build()


@pytest.mark.parametrize("module", ALL)
def test_every_per_clip_metric_offers_its_scores(module):
    assert isinstance(built(module), PerClip)


@pytest.mark.parametrize("module", ALL)
def test_no_clips_are_refused_and_never_a_zero(module):
    nothing = evidence(
        normal(0, 4), text=normal(0, 4), paired=normal(3, 4), paired_owners=clip_ids(3), labels="abcd"
    )
    with pytest.raises(IncompleteError):
        built(module).measure(nothing)
    with pytest.raises(IncompleteError, match="no generated clips described by 'ear'"):
        built(module).measure(evidence())


@pytest.mark.parametrize("module", ALL)
def test_rows_that_are_not_finite_are_refused(module):
    broken = normal(6, 4)
    broken[2, 0] = torch.inf
    found = evidence(
        broken, owners=clip_ids(3, takes=2), text=normal(3, 4), paired=normal(6, 4), labels="abcd"
    )
    with pytest.raises(IncompleteError, match="not finite: p001#0"):
        built(module).measure(found)


def test_label_divergence_agrees_with_the_golden_vectors():
    random = np.random.RandomState(40)  # the golden vectors are of this generator
    a, b = 2 * random.randn(5, 527), 2 * random.randn(5, 527)
    expected = [4.07728968466, 3.400651284793, 3.653807116544, 4.147934836178, 3.934321795483]
    assert label_divergence(torch.from_numpy(a), torch.from_numpy(b)).tolist() == pytest.approx(
        expected, abs=1e-10
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (
            [0.05, 0.1, 0.2, 0.05, 0.15, 0.25, 0.08, 0.12],
            [0.3, 0.1, 0.2, 0.1, 0.1, 0.02, 0.08, 0.1],
            0.5898663401603699,
        ),
        ([0.1, 0.4, 0.5], [0.8, 0.15, 0.05], 1.335667371749878),
    ],
)
def test_label_divergence_points_from_generated_to_reference(ours, theirs, expected):
    ours, theirs = torch.tensor([ours]).double().log(), torch.tensor([theirs]).double().log()
    assert float(label_divergence(ours, theirs)) == pytest.approx(expected, abs=1e-6)


def test_label_divergence_of_identical_audio_is_slightly_below_zero():
    logits = 3 * normal(20, 527)
    result, _, _ = built(label_kl).measure(evidence(logits, paired=logits))
    assert -5.3e-4 < result.value < 0.0


def test_label_divergence_averages_windows_as_logits():
    clips, recorded = normal(6, 5), normal(6, 5, seed=1)
    windows = torch.stack([clips - 1, clips + 1], 1).reshape(12, 5) + normal(12, 1, seed=2)
    owners = clip_ids(6)
    plain = built(label_kl).scores(evidence(clips, paired=recorded))
    twice = evidence(
        windows, owners=[o for o in owners for _ in range(2)], paired=recorded, paired_owners=owners
    )
    assert list(built(label_kl).scores(twice).values()) == pytest.approx(list(plain.values()), abs=1e-6)


def test_recordings_of_several_takes_are_never_compared_with_themselves():
    owners, logits = clip_ids(4, takes=3), 3 * normal(12, 6)
    scores = built(label_kl).scores(evidence(logits, owners=owners, paired=logits))
    assert min(scores.values()) > 0.01
    expected = label_divergence(logits.float()[2:3], logits.float()[0:1])
    assert scores["p000#2"] == pytest.approx(float(expected), abs=1e-12)


def test_clips_without_a_recording_of_their_prompt_are_left_out_and_counted():
    found = evidence(normal(8, 5), paired=normal(6, 5, seed=1), paired_owners=clip_ids(6))
    result, _, _ = built(label_kl).measure(found)
    assert (result.counts.scored, result.counts.generated) == (6, 9)
    with pytest.raises(IncompleteError, match="no generated clip's prompt has a recording"):
        built(label_kl).measure(evidence(normal(3, 5), paired=normal(2, 5), paired_owners=["x#0", "y#0"]))


def test_a_clip_is_recognised_by_its_top_class():
    logits = [[3.0, 1.0, 0.0], [0.0, 5.0, 1.0], [1.0, 0.0, 2.0], [9.0, 0.0, 0.0]]
    tags = [("bell",), ("bell", "rain"), ("bell",), ()]
    found = evidence(logits, labels=("bell", "rain", "wind"), tags=lambda index: tags[index])
    assert built(recognition).scores(found) == {"p000#0": 1.0, "p001#0": 1.0, "p002#0": 0.0}


def test_recognition_of_noise_is_at_chance():
    labels = [f"sound {index}" for index in range(8)]
    found = evidence(normal(2000, 8), labels=labels, tags=lambda index: (labels[index % 8],))
    (result,) = built(recognition).measure(found)
    assert result.value == pytest.approx(1 / 8, abs=0.025)
    assert result.interval.low < 1 / 8 < result.interval.high


def test_perfect_recognition_of_few_clips_is_not_certain():
    found = evidence([[1.0, 0.0]] * 10, labels=("bell", "rain"), tags=lambda index: ("bell",))
    (result,) = built(recognition).measure(found)
    assert (result.value, result.unit, result.interval.high) == (1.0, "share", pytest.approx(1.0))
    assert 0.5 < result.interval.low < 0.8


def test_recognition_needs_names_and_known_tags():
    with pytest.raises(IncompleteError, match="names 0 classes for 2 columns"):
        built(recognition).measure(evidence([[1.0, 0.0]]))
    found = evidence([[1.0, 0.0]], labels=("bell", "rain"), tags=lambda index: ("bel",))
    with pytest.raises(IncompleteError, match="did you mean 'bell'"):
        built(recognition).measure(found)


def test_alignment_is_the_cosine_to_the_own_caption():
    text = normal(6, 8)
    assert list(built(alignment).scores(evidence(3 * text, text=text)).values()) == pytest.approx([1.0] * 6)
    assert list(built(alignment).scores(evidence(-text, text=text)).values()) == pytest.approx([-1.0] * 6)
    takes = evidence(text.repeat_interleave(2, 0), owners=clip_ids(6, takes=2), text=text)
    (result,) = built(alignment).measure(takes)
    assert (result.metric, result.counts.scored) == ("clap[ear]", 12)
    assert result.value == pytest.approx(1.0)


def test_alignment_under_wrong_captions_is_at_chance():
    (result,) = built(alignment).measure(evidence(normal(300, 16), text=normal(300, 16, seed=1)))
    assert result.interval.low < 0.0 < result.interval.high
    assert result.value == pytest.approx(0.0, abs=0.05)


def test_a_caption_that_was_not_embedded_is_named():
    found = evidence(normal(3, 4), text=normal(3, 4))
    found.text[EAR] = evidence(normal(2, 4), text=normal(2, 4)).text[EAR]
    with pytest.raises(IncompleteError, match="1 captions are not embedded: p002"):
        built(alignment).measure(found)


def test_conditional_diversity_agrees_with_the_golden_vectors():
    random = np.random.RandomState(30)  # the golden vectors are of this generator
    clips = random.randn(12, 4, 16) + 2 * random.randn(12, 1, 16)
    found = evidence(clips.reshape(48, 16), owners=clip_ids(12, takes=4))
    result, between = built(diversity).measure(found)
    assert result.value == pytest.approx(0.247345025047, abs=1e-7)
    assert (between.metric, between.direction) == ("ccds_between[ear]", "none")
    assert between.value == pytest.approx(1.007055040951, abs=1e-7)
    scores = built(diversity).scores(found)
    prompts = [np.mean([scores[f"p{p:03d}#{take}"] for take in range(4)]) for p in range(3)]
    assert prompts == pytest.approx([0.412009012425, 0.380710583628, 0.193373150287], abs=1e-7)


def test_copies_have_no_diversity_and_loudness_of_the_embedding_does_not_matter():
    clips = normal(6, 8)
    copies = evidence(clips.repeat_interleave(5, 0), owners=clip_ids(6, takes=5))
    assert built(diversity).measure(copies)[0].value == 0.0
    takes, scale = normal(30, 8), torch.rand(30, 1) + 0.5
    plain = built(diversity).measure(evidence(takes, owners=clip_ids(6, takes=5)))[0]
    louder = built(diversity).measure(evidence(takes * scale, owners=clip_ids(6, takes=5)))[0]
    assert louder.value == pytest.approx(plain.value, abs=1e-6)


def test_diversity_does_not_depend_on_the_number_of_takes():
    means = [
        built(diversity)
        .measure(evidence(normal(400 * takes, 4, seed=takes) + 1, owners=clip_ids(400, takes)))[0]
        .value
        for takes in (2, 8)
    ]
    assert means[0] == pytest.approx(means[1], abs=0.05)


def test_prompts_weigh_the_same_whatever_their_takes():
    owners = ["a#0", "a#1", "b#0", "b#1", "b#2"]
    rows = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    assert built(diversity).measure(evidence(rows, owners=owners))[0].value == pytest.approx(0.5)


def test_diversity_of_single_takes_is_refused_with_the_remedy():
    with pytest.raises(IncompleteError, match="set `takes` to 2 or more"):
        built(diversity).measure(evidence(normal(6, 4)))


def test_a_recording_lost_among_the_takes_brings_no_clip_to_itself():
    logits = 3 * normal(3, 6)
    owners = ["p000#0", "p000#2", "p000#3"]  # take 1 could not be described
    scores = built(label_kl).scores(evidence(logits, owners=owners, paired=logits))
    rows = logits.float()
    partners = {"p000#0": 1, "p000#2": 2, "p000#3": 0}
    for index, owner in enumerate(owners):
        expected = label_divergence(rows[[index]], rows[[partners[owner]]])
        assert scores[owner] == pytest.approx(float(expected), abs=1e-12)


def test_a_clip_meets_a_recording_of_another_take_however_few_are_left():
    logits = 3 * normal(2, 6)
    found = evidence(logits, owners=["p000#1", "p000#2"], paired=logits)
    assert min(built(label_kl).scores(found).values()) > 0.01


def test_diversity_of_recordings_with_one_take_names_the_source():
    with pytest.raises(IncompleteError, match=r"one clip for each prompt.*a source with several of each"):
        built(diversity).measure(evidence(normal(6, 4)))


def test_levels_of_label_divergence_are_those_of_systems_that_do_not_listen():
    recordings = normal(9, 6)
    owners = clip_ids(3, 3)
    _, chance, constant = built(label_kl).measure(
        evidence(normal(9, 6, seed=1), owners=owners, paired=recordings, paired_owners=owners)
    )
    p = torch.softmax(recordings, 1)

    def divergence(a, b):
        return float((a * (a.log() - (b + 1e-6).log())).sum())

    others = [np.mean([divergence(p[i], p[j]) for i in range(9) if i // 3 != j // 3]) for j in range(9)]
    assert (chance.metric, constant.metric) == (f"kl_chance[{EAR}]", f"kl_constant[{EAR}]")
    assert chance.value == pytest.approx(np.mean(others), rel=1e-6)
    assert constant.value == pytest.approx(np.mean([divergence(p.mean(0), q) for q in p]), rel=1e-6)
    assert chance.direction == constant.direction == "none"
