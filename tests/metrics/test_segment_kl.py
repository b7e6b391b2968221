"""Label divergence by segments: both directions against the definition, pairs of segments, known answers."""

import math
from statistics import fmean

import pytest
import torch

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import segment_kl
from arc_eval.metrics.segment_kl import Direction, SegmentKl, divergence
from arc_eval.pipeline.canaries import wrong_answer
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts
from arc_eval.records.prompt import Prompt

P = torch.tensor([0.05, 0.1, 0.2, 0.05, 0.15, 0.25, 0.08, 0.12], dtype=torch.float64)
Q = torch.tensor([0.3, 0.1, 0.2, 0.1, 0.1, 0.02, 0.08, 0.1], dtype=torch.float64)
DIRECTIONS: tuple[Direction, ...] = ("reference_generated", "generated_reference", "both")


def kl(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first * (first / (second + 1e-6)).log()).sum())


def test_the_direction_is_the_definitions() -> None:
    generated, reference = Q.log()[None], P.log()[None]
    found = {each: float(divergence(generated, reference, each)) for each in DIRECTIONS}
    assert found["reference_generated"] == pytest.approx(0.5898663, abs=5e-8)  # in float32
    assert found["generated_reference"] == pytest.approx(kl(Q, P), abs=1e-9)
    assert found["both"] == pytest.approx(found["reference_generated"] + found["generated_reference"])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_known_answer_is_met_and_catches_the_other_direction(direction: Direction) -> None:
    assert not wrong_answer(SegmentKl("ear", direction))

    class Swapped(SegmentKl):
        def known_answers(self):  # type: ignore[no-untyped-def]
            other = (
                "reference_generated" if self.direction != "reference_generated" else "generated_reference"
            )
            return SegmentKl("ear", other).known_answers()

    assert "blocked" in wrong_answer(Swapped("ear", direction))


def test_a_known_answer_catches_segments_that_are_averaged_as_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    def averaged(generated: torch.Tensor, reference: torch.Tensor, direction: Direction) -> torch.Tensor:
        return divergence(generated.mean(0, keepdim=True), reference.mean(0, keepdim=True), direction)

    monkeypatch.setattr(segment_kl, "divergence", averaged)
    assert "then against 1 to 9" in wrong_answer(SegmentKl("ear", "reference_generated"))


def evidence(generated: list[tuple[str, torch.Tensor]], recorded: list[tuple[str, torch.Tensor]]) -> Evidence:
    def rows(table: list[tuple[str, torch.Tensor]]) -> dict[str, Embedding]:
        values = torch.stack([row for _, row in table]).float() if table else torch.zeros(0, 0)
        return {"ear": Embedding(values, tuple(owner for owner, _ in table), {})} if table else {}

    names = {owner.split("#")[0] for owner, _ in generated}
    return Evidence(
        {name: Prompt(name, "", 20.0) for name in names},
        rows(generated),
        {},
        paired=rows(recorded),
        counts=Counts(len(names), len(names), len(names)),
    )


def test_segment_i_meets_segment_i_as_far_as_both_reach() -> None:
    heard = evidence(
        [("a#0", P.log()), ("a#0", Q.log()), ("a#0", P.log()), ("b#0", Q.log())],
        [("a#0", Q.log()), ("a#0", Q.log()), ("b#0", Q.log()), ("b#0", P.log())],
    )
    scores = SegmentKl("ear", "reference_generated").scores(heard)
    assert scores["a#0"] == pytest.approx((kl(Q, P) + kl(Q, Q)) / 2, abs=1e-6)
    assert scores["b#0"] == pytest.approx(kl(Q, Q), abs=1e-6)
    found, *_ = SegmentKl("ear", "reference_generated").measure(heard)
    assert found.value == pytest.approx(sum(scores.values()) / 2) and math.isfinite(found.value)


def test_clips_without_a_recording_are_left_out_and_none_at_all_is_no_number() -> None:
    heard = evidence([("a#0", P.log()), ("b#0", Q.log())], [("a#0", P.log())])
    assert SegmentKl("ear", "both").scores(heard).keys() == {"a#0"}
    with pytest.raises(IncompleteError, match="recording"):
        SegmentKl("ear", "both").scores(evidence([("b#0", Q.log())], [("a#0", P.log())]))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_levels_are_those_of_systems_that_do_not_listen(direction: Direction) -> None:
    noise = torch.Generator().manual_seed(0)
    owners = ["a#0", "a#0", "b#0", "b#1", "c#0", "c#0", "c#0"]
    recorded = torch.randn(len(owners), 6, generator=noise).double()
    clips = [(owner, torch.zeros(6)) for owner in ("a#0", "b#0", "c#0")]
    _, chance, constant = SegmentKl("ear", direction).measure(
        evidence(clips, list(zip(owners, recorded, strict=True)))
    )
    p = torch.softmax(recorded.float().double(), 1)

    def worth(said: torch.Tensor, heard: torch.Tensor) -> float:
        ways = {"generated_reference": kl(said, heard), "reference_generated": kl(heard, said)}
        return ways.get(direction, sum(ways.values()))

    def level(of: int, said: list[torch.Tensor]) -> float:
        return fmean(worth(each, p[of]) for each in said)

    other = [[p[i] for i, owner in enumerate(owners) if owner[0] != own[0]] for own in owners]
    by_recording = {name: [i for i, owner in enumerate(owners) if owner == name] for name in owners}
    assert (chance.metric, constant.metric) == ("kl_chance[ear]", "kl_constant[ear]")
    assert chance.value == pytest.approx(
        fmean(fmean(level(i, other[i]) for i in own) for own in by_recording.values()), rel=1e-9
    )
    assert constant.value == pytest.approx(
        fmean(fmean(level(i, [p.mean(0)]) for i in own) for own in by_recording.values()), rel=1e-9
    )


def test_one_recording_alone_has_no_level() -> None:
    assert len(SegmentKl("ear", "both").measure(evidence([("a#0", P.log())], [("a#0", Q.log())]))) == 1
