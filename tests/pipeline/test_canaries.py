"""A metric that does not know good from bad is blocked, and says why."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tiny_suites import write_suite
from torch import Tensor

from arc_eval.canaries import SelfChecking
from arc_eval.contracts import Evidence, silent
from arc_eval.errors import NotComparableError
from arc_eval.metrics import evidence, label_kl
from arc_eval.models.extractor_weights import load_clap, load_tagger
from arc_eval.models.safetensors_file import write_safetensors
from arc_eval.pipeline import alter, hearing
from arc_eval.pipeline.canaries import Canaries, judged, listen, wrong_answer
from arc_eval.pipeline.pool import Pool
from arc_eval.pipeline.run import run
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts, Failure, Measurement
from arc_eval.records.prompt import Prompt
from arc_eval.registry import plugins, settings
from arc_eval.store import Store
from arc_eval.suite import Suite, load_suite

SOURCE = {"kind": "synthetic", "split": "reference", "count": 16, "takes": 1, "seconds": 1.0}
METRICS: list[dict[str, object]] = [
    {"kind": "frechet", "extractor": "tiny-clap"},
    {"kind": "kernel", "extractor": "tiny-clap"},
    {"kind": "alignment", "extractor": "tiny-clap"},
    {"kind": "manifold", "extractor": "tiny-clap", "k": 3},
    {"kind": "label_kl", "extractor": "tiny-tagger"},
    {"kind": "recognition", "extractor": "tiny-tagger"},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def suite(folder: Path, **changes: object) -> Suite:
    data = {
        "name": "canaries",
        "canaries": 16,
        "prompts": {**SOURCE, "split": "test", "count": 8},
        "reference": SOURCE,
        "takes": 1,
        "controls": {"recordings": "ceiling"},
        "extractors": {"tiny-clap": {"kind": "tiny-clap"}, "tiny-tagger": {"kind": "tiny-tagger"}},
        "metrics": METRICS,
        **changes,
    }
    return load_suite(write_suite(folder / "suite.yaml", data))


def heard(asked: Suite, store: Store) -> Canaries:
    with Pool(1) as pool:
        return listen(asked, asked.extractors, store, pool, silent)


def test_the_tiny_metrics_rank_every_canary_below_recordings(tmp_path: Path, store: Store) -> None:
    found = heard(suite(tmp_path), store)
    assert not found.blocked
    lower = ("fd[tiny-clap]", "kd[tiny-clap]", "kl[tiny-tagger]")
    higher = ("clap[tiny-clap]", "recognition[tiny-tagger]", "coverage[tiny-clap]")
    for metric in (*lower, *higher):
        sign = -1 if metric in lower else 1
        values = found.values[metric]
        assert all(sign * values["untouched"] > sign * values[bad] for bad in ("silence", "noise")), metric
    for metric in ("kl[tiny-tagger]", "clap[tiny-clap]", "recognition[tiny-tagger]"):
        assert found.values[metric]["wrong captions"] != found.values[metric]["untouched"]
    assert found.values["fd[tiny-clap]"]["untouched"] == pytest.approx(0, abs=1e-9)


class Told:
    """A distance that is told what it measures: the evidence's key."""

    name = "far[told]"
    extractor = "told"
    ranks: ClassVar = {"far[told]": frozenset({"silence"})}

    def __init__(self, values: dict[str, float]) -> None:
        self.values = values

    def measure(self, evidence: Evidence) -> list[Measurement]:
        (canary,) = evidence.prompts
        return [
            Measurement(self.name, self.values[canary], "", "lower", Counts(1, 1, 1), no_interval="one clip")
        ]


@pytest.mark.parametrize(("silence", "blocked"), [(1e4, False), (1.0, False), (1e-3, True)])
def test_what_rounding_leaves_of_large_sums_is_no_order(silence: float, blocked: bool) -> None:
    values = {"untouched": 7e-12, "silence": silence, "wrong captions": 1e-28}
    shown = {canary: Evidence({canary: Prompt(canary, "", 1.0)}, {}, {}) for canary in values}
    found, reason = judged(Told(values), shown)  # type: ignore[arg-type]
    assert found == {"far[told]": values}
    assert bool(reason) == blocked and ("wrong captions" in reason) == blocked


def test_alterations_are_what_they_are_called() -> None:
    rate = 8000
    time = torch.arange(rate) / rate
    tone = torch.stack([torch.sin(6.2832 * 3000 * time), torch.sin(6.2832 * 500 * time)])
    done = {name: change(tone, rate, "tone") for name, change in alter.ALTERED.items()}
    assert all(changed.shape == tone.shape and changed.isfinite().all() for changed in done.values())
    assert not done["silence"].any()
    assert float(done["noise"].square().mean()) == pytest.approx(0.5, rel=0.1)
    high, low = done["half the rate"][:, 100:-100].square().mean(1).tolist()
    assert high < 1e-4 and low == pytest.approx(0.5, rel=0.01)
    assert torch.equal(done["mono"][0], done["mono"][1])
    assert torch.equal(done["backwards"].flip(-1), tone)


@contextmanager
def swapped_divergence() -> Iterator[None]:
    """KL(reference || generated) under the name of the other."""
    right = label_kl.label_divergence
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_kl, "label_divergence", lambda a, b, *rest: right(b, a, *rest))
        yield


def test_a_swapped_direction_is_caught(tmp_path: Path, store: Store) -> None:
    with swapped_divergence():
        found = heard(suite(tmp_path), store)
    assert list(found.blocked) == ["kl[tiny-tagger]"]
    assert "even odds against 9 to 1" in found.blocked["kl[tiny-tagger]"]


def random_weights(folder: Path, source: torch.nn.Module, packaged: Path) -> Path:
    """The packaged folder with weights that learnt nothing."""
    folder.mkdir()
    stream = torch.Generator().manual_seed(0)
    for file in packaged.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    state = {
        key: torch.randn(value.shape, generator=stream) * value.square().mean().sqrt()
        for key, value in source.state_dict().items()
    }
    write_safetensors(folder / "model.safetensors", state)
    return folder


def test_a_wrong_checkpoint_is_caught(tmp_path: Path, store: Store) -> None:
    from arc_eval.models.files import PACKAGED

    clap = random_weights(tmp_path / "clap", load_clap("tiny/clap"), PACKAGED / "clap")
    tagger = random_weights(tmp_path / "tagger", load_tagger("tiny/tagger"), PACKAGED / "tagger")
    extractors = {
        "tiny-clap": {"kind": "tiny-clap", "weights": str(clap)},
        "tiny-tagger": {"kind": "tiny-tagger", "weights": str(tagger)},
    }
    found = heard(suite(tmp_path, extractors=extractors), store)
    assert {"clap[tiny-clap]", "recognition[tiny-tagger]"} <= found.blocked.keys()


def test_a_resampler_that_does_nothing_is_caught(tmp_path: Path) -> None:
    def as_it_is(samples: Tensor, source_rate: int, target_rate: int) -> Tensor:
        return samples

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hearing, "resample", as_it_is)
        found = heard(suite(tmp_path), Store(tmp_path / "store"))
    assert len(found.blocked) == len(METRICS)
    assert all("twice their rate" in reason for reason in found.blocked.values())


def test_an_extractor_that_hears_where_the_band_ends_is_not_blocked(tmp_path: Path) -> None:
    """OpenL3's decibels reach the bands just below half of the rate, which every resampler empties."""
    asked = suite(
        tmp_path,
        canaries=8,
        extractors={"openl3": {"kind": "openl3", "weights": "random", "hop": 1.0, "channels": 1}},
        metrics=[{"kind": "frechet", "extractor": "openl3"}],
    )
    assert not heard(asked, Store(tmp_path / "store")).blocked


def test_a_reference_that_was_resampled_otherwise_is_refused() -> None:
    rows = torch.zeros(3, 1)
    ours = Embedding(rows, ("a#0", "b#0", "c#0"), {"resampler": "soxr-hq"})
    theirs = Embedding(rows, ("a", "b", "c"), {"resampler": "kaiser_best"})
    judged = evidence.Evidence(prompts={}, generated={"ear": ours}, reference={"ear": theirs})
    with pytest.raises(NotComparableError, match="resampler"):
        evidence.sides(judged, "ear", 2)


def test_a_blocked_metric_is_a_failure_with_its_reason_in_every_row(tmp_path: Path, store: Store) -> None:
    with swapped_divergence():
        found = run(suite(tmp_path), tmp_path / "run", store=store)
    (recordings,) = found.systems
    blocked = [result for result in recordings.results if isinstance(result, Failure)]
    assert [result.metric for result in blocked] == ["kl[tiny-tagger]"]
    assert blocked[0].reason.startswith("blocked: ")
    assert isinstance(recordings.result("fd[tiny-clap]"), Measurement)
    assert found.canaries["fd[tiny-clap]"]["silence"] > 0


def test_few_recordings_say_nothing_of_an_order(tmp_path: Path, store: Store) -> None:
    few = suite(tmp_path, reference={**SOURCE, "count": 4}, metrics=METRICS[:1])
    assert heard(few, store) == Canaries()
    assert heard(suite(tmp_path, canaries=0), store) == Canaries()


@pytest.mark.parametrize("kind", sorted(plugin.name for plugin in plugins("metrics")))
def test_every_metric_of_ours_knows_the_answers_that_mathematics_gives(kind: str) -> None:
    extractor = {"extractor": "ear"}
    metric = settings("metrics", {"kind": kind, **extractor}, "test").build()
    assert wrong_answer(metric) == ""


def test_a_metric_that_adds_to_its_answer_is_caught() -> None:
    metric = settings("metrics", {"kind": "alignment", "extractor": "ear"}, "test").build()
    assert isinstance(metric, SelfChecking)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(metric),
            "scores",
            lambda self, evidence: {"p0#0": 1.0, "p1#0": 0.001},
        )
        assert "is 0.5, but this metric says 0.5005" in wrong_answer(metric)
