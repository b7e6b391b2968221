"""Protocols by name: every setting stated, their name in every result, nothing to be changed by accident."""

from pathlib import Path
from typing import Any

import pytest

from arc_eval import registry
from arc_eval.errors import SuiteError
from arc_eval.extractors import clap, openl3, passt, vggish
from arc_eval.pipeline.score import folder_suite
from arc_eval.report.published import publication
from arc_eval.suite import Suite, load_suite
from arc_eval.suite.protocol import FREE, protocols
from tests.tiny_suites import write_suite

RANDOM = {
    "openl3": {"weights": "random"},
    "passt": {"weights": "random/passt-s-swa-p16-128-ap476"},
    "clap": {"weights": "random"},
    "vggish": {"weights": "random"},
}
SOURCE = {"kind": "synthetic", "split": "test", "count": 2}


def suite(folder: Path, asked: Any, *overrides: str, **changes: Any) -> Suite:
    data = {"name": "named", "prompts": SOURCE, "reference": SOURCE, "protocols": asked, **changes}
    return load_suite(write_suite(folder / "suite.yaml", data), overrides)


def test_a_protocol_states_every_setting_that_decides_a_row() -> None:
    modules = {"openl3": openl3, "passt": passt, "clap": clap, "vggish": vggish}
    kinds = {kind: module.Settings for kind, module in modules.items()}
    for protocol in protocols().values():
        for metric in protocol.metrics:
            of_kind = registry.settings("metrics", metric, protocol.name)
            assert metric.keys() == set(type(of_kind).model_fields) | {"kind"}, f"{protocol.name}: {metric}"
        for short, settings in protocol.extractors.items():
            decisive = set(kinds[str(settings["kind"])].model_fields) - set(FREE)
            assert settings.keys() == decisive | {"kind"}, f"{protocol.name}: {short}"


@pytest.mark.parametrize("name", sorted(protocols()))
def test_the_protocols_name_is_in_every_result(name: str, tmp_path: Path) -> None:
    asked = {short: RANDOM[short] for short in protocols()[name].extractors}
    found = suite(tmp_path, {name: asked})
    assert found.metrics and all(part.build().name.endswith(f"@{name}]") for part in found.metrics)
    assert set(found.extractors) == {f"{short}@{name}" for short in asked}
    assert "protocols" not in found.data()
    again = load_suite(write_suite(tmp_path / "resolved.yaml", found.data()))
    assert again.digest == found.digest


def test_two_protocols_on_one_extractor_stand_side_by_side(tmp_path: Path) -> None:
    only = {"passt": RANDOM["passt"]}
    found = suite(tmp_path, {"stable-audio-metrics": only, "audiocraft": only})
    assert [part.build().name for part in found.metrics] == [
        "kl[passt@stable-audio-metrics]",
        "kl[passt@audiocraft]",
    ]
    fingerprints = [part.build().fingerprint() for part in found.extractors.values()]
    assert fingerprints[0]["windows"] != fingerprints[1]["windows"]
    assert fingerprints[0]["loudness"] != fingerprints[1]["loudness"]


def test_a_suites_own_extractors_and_metrics_stay(tmp_path: Path) -> None:
    own = {"extractors": {"mel": {"kind": "mel"}}, "metrics": [{"kind": "frechet", "extractor": "mel"}]}
    found = suite(tmp_path, {"audiocraft": {"passt": RANDOM["passt"]}}, **own)
    assert [part.build().name for part in found.metrics] == ["fd[mel]", "kl[passt@audiocraft]"]


def test_weights_and_place_can_be_set_and_nothing_else(tmp_path: Path) -> None:
    key = "protocols.stable-audio-metrics.openl3"
    asked = {"stable-audio-metrics": {"openl3": {"weights": "random"}}}
    found = suite(tmp_path, asked, f"{key}.precision=bfloat16")
    (part,) = found.extractors.values()
    assert part.data()["precision"] == "bfloat16"
    with pytest.raises(SuiteError, match=r"openl3\.hop: stable-audio-metrics fixes everything but weights"):
        suite(tmp_path, asked, f"{key}.hop=0.1")


HEARD = {"kind": "passt", "weights": "random", "rows": "logits", "windows": "segments", "peak": None}
MEASURED = {"kind": "segment_kl", "extractor": "passt@audiocraft", "direction": "reference_generated"}


@pytest.mark.parametrize(
    ("extractors", "metrics", "says"),
    [
        (
            {"passt@audiocraft": {**HEARD, "windows": "overlapping"}},
            [],
            r"windows: audiocraft states 'segments'",
        ),
        (
            {"passt@audiocraft": {"kind": "passt"}},
            [],
            "audiocraft.rows: audiocraft states 'logits', here is nothing",
        ),
        ({"passt@audiocraf": HEARD}, [], "did you mean 'audiocraft'"),
        ({"past@audiocraft": HEARD}, [], "did you mean 'passt'"),
        (
            {"passt@audiocraft": HEARD},
            [{**MEASURED, "direction": "both"}],
            r"direction: audiocraft states 'ref",
        ),
        (
            {"passt@audiocraft": HEARD},
            [{**MEASURED, "kind": "label_kl", "direction": None}],
            "states 'segment_kl', here is 'label_kl'",
        ),
    ],
)
def test_nothing_else_bears_a_protocols_name(
    extractors: Any, metrics: list[dict[str, Any]], says: str, tmp_path: Path
) -> None:
    plain = [{key: value for key, value in metric.items() if value is not None} for metric in metrics]
    with pytest.raises(SuiteError, match=says) as raised:
        suite(tmp_path, None, extractors=extractors, metrics=plain)
    assert "suite.yaml" in str(raised.value)


def test_another_metric_may_read_a_protocols_rows(tmp_path: Path) -> None:
    own = [{"kind": "manifold", "extractor": "passt@audiocraft", "k": 3}]
    found = suite(tmp_path, {"audiocraft": {"passt": RANDOM["passt"]}}, metrics=own)
    assert [part.build().name for part in found.metrics] == [
        "manifold[passt@audiocraft]",
        "kl[passt@audiocraft]",
    ]


def test_a_protocols_extractor_is_set_in_one_place(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"extractors.passt@audiocraft: `protocols` asks for it too"):
        suite(tmp_path, {"audiocraft": {}}, extractors={"passt@audiocraft": HEARD})


def test_a_folder_is_judged_by_further_metrics_on_a_protocols_rows(tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text("file_name,caption\n")
    found = folder_suite(
        tmp_path,
        tmp_path / "prompts.csv",
        tmp_path,
        ["inception[passt@audiocraft]"],
        protocols=["audiocraft"],
    )
    assert [part.build().name for part in found.metrics] == [
        "inception[passt@audiocraft]",
        "kl[passt@audiocraft]",
    ]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"stable-audio-metric": {}}, "stable-audio-metrics"),
        ({"audiocraft": {"past": {}}}, "passt"),
        (["audiocraft"], "a mapping of protocols"),
        ({"audiocraft": ["passt"]}, "a mapping of its extractors"),
        ({"audiocraft": {"passt": "random"}}, "a mapping such as"),
        ({"stable-audio-metrics": {}}, "weights"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(asked: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=says) as raised:
        suite(tmp_path, asked)
    assert "suite.yaml" in str(raised.value)


def test_the_published_table_names_results_of_these_protocols(tmp_path: Path) -> None:
    asked = {
        name: {short: RANDOM[short] for short in found.extractors} for name, found in protocols().items()
    }
    heard = suite(tmp_path, asked).extractors
    named = [column.metric for column in publication("paper_table1").columns if column.metric]
    ears = [metric.split("[")[1].rstrip("]") for metric in named if "[" in metric]
    assert len(ears) == 6 and set(ears) <= heard.keys()


def test_the_papers_suite_measures_every_column_that_the_paper_has() -> None:
    """Without weights or recordings at hand: the metrics alone are built."""
    measured = {part.build().extractor for part in load_suite("paper_table1").metrics}
    asked = {column.metric for column in publication("paper_table1").columns if column.metric}
    assert {metric.split("[")[1].rstrip("]") for metric in asked if "[" in metric} == measured
