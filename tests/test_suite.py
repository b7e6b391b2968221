"""A suite file is understood whole or refused with file, line, key and near miss."""

from pathlib import Path

import pytest
from tiny_suites import suite_data, write_suite

from arc_eval.errors import SuiteError
from arc_eval.suite import Suite, load_suite, shipped_suites


@pytest.fixture
def file(tmp_path: Path) -> Path:
    data = suite_data(tmp_path / "model", bench={"target": {"kind": "local"}})
    return write_suite(tmp_path / "tiny.yaml", data)


def refused(file: Path, *overrides: str) -> str:
    with pytest.raises(SuiteError) as caught:
        load_suite(file, overrides)
    return str(caught.value)


def test_an_error_from_the_command_line_says_what_was_set_there(file: Path):
    assert "--set generators.few-steps.stpes=3" in refused(file, "takes=2", "generators.few-steps.stpes=3")
    assert "--set takes=2" not in refused(file, "takes=2", "generators.few-steps.stpes=3")


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("takess=3", "did you mean 'takes'"),
        ("prompts.cuont=3", "did you mean 'count'"),
        ("generators.few-steps.stpes=3", "did you mean 'steps'"),
        ("generators.few-step.steps=3", "did you mean 'few-steps'"),
        ("generators.few-steps.kind=latnet", "did you mean 'latent'"),
        ("extractors.mel.kind=mell", "did you mean 'mel'"),
        ("metrics.0.kind=frechett", "did you mean 'frechet'"),
        ("metrics.0.extractor=mle", "did you mean 'mel'"),
        ("bench.trails=3", "did you mean 'trials'"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_one_that_was_meant(file: Path, override: str, meant: str):
    assert meant in refused(file, override)


@pytest.mark.parametrize(
    "override",
    [
        "takes=0",
        "takes=many",
        "controls.recordings=best",
        "generators.few-steps.steps=0",
        "generators.few-steps.sampler=pong",
        "generators.new=3",
        "metrics.9.kind=frechet",
        "metrics=frechet",
        "seed.inner=1",
        "generators.recordings={kind: latent, weights: x, sampler: euler, steps: 1}",
        "gates=[{metric: fd}]",
        "no-value",
    ],
)
def test_a_wrong_value_is_refused_by_its_place(file: Path, override: str):
    assert override.partition("=")[0].split(".")[0] in refused(file, override)


def test_an_error_names_the_line_it_lies_on(tmp_path: Path):
    path = tmp_path / "suite.yaml"
    path.write_text("name: x\nprompts: {kind: synthetic, split: test, count: 2}\nreferense: 3\n")
    message = refused(path)
    assert f"{path}:3: referense: unknown key; did you mean 'reference'" in message
    assert "reference: this key is missing" in message


def test_a_key_given_twice_is_refused(tmp_path: Path):
    path = tmp_path / "suite.yaml"
    path.write_text("name: x\ngenerators:\n  a: {kind: latent}\n  a: {kind: folder}\n")
    assert f"{path}:4: generators.a: this key is given twice" in refused(path)


@pytest.mark.parametrize("content", ["[1, 2]", "name: [", "\tname: x", ""])
def test_a_file_that_is_not_a_suite_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "suite.yaml"
    path.write_text(content)
    assert str(path) in refused(path)


def test_an_override_equals_the_same_words_in_the_file(file: Path, tmp_path: Path):
    data = suite_data(tmp_path / "model", bench={"target": {"kind": "local"}})
    data["takes"] = 1
    data["generators"]["few-steps"]["steps"] = 4
    written = load_suite(write_suite(tmp_path / "other.yaml", data))
    assert load_suite(file, ["takes=1", "generators.few-steps.steps=4"]).digest == written.digest


def test_what_is_resolved_is_a_suite_again_and_has_the_same_digest(file: Path, tmp_path: Path):
    suite = load_suite(file)
    again = load_suite(write_suite(tmp_path / "again.yaml", suite.data()))
    assert again == suite
    assert again.digest == suite.digest


def test_every_setting_changes_the_digest(file: Path):
    changes = [
        "seed=8",
        "takes=1",
        "generators.few-steps.steps=4",
        "prompts.count=5",
        "bench.trials=9",
        "bench=null",
    ]
    digests = {load_suite(file, [change]).digest for change in changes} | {load_suite(file).digest}
    assert len(digests) == len(changes) + 1


def test_the_prompts_digest_follows_the_prompts_and_nothing_else(file: Path):
    digest = load_suite(file).prompts_digest
    assert load_suite(file, ["generators.few-steps.steps=4"]).prompts_digest == digest
    assert load_suite(file, ["prompts.count=5"]).prompts_digest != digest


def test_a_child_overrides_keys_of_its_parent_and_null_takes_one_away(file: Path):
    child = file.with_name("child.yaml")
    child.write_text(
        "include: tiny.yaml\ntakes: 1\nprompts: {count: 3}\ngenerators: {many-steps: null}\n"
        "extractors: {mel: {kind: health}}\n"
    )
    suite = load_suite(child)
    assert suite.takes == 1
    assert suite.prompts.data()["count"] == 3
    assert suite.prompts.data()["split"] == "test"
    assert list(suite.generators) == ["few-steps"]
    assert suite.extractors["mel"].kind == "health"


def test_a_file_that_includes_itself_is_refused(tmp_path: Path):
    path = tmp_path / "suite.yaml"
    path.write_text("include: suite.yaml\n")
    assert "includes itself" in refused(path)


def test_a_new_generator_is_added_only_as_a_whole(file: Path):
    added = "generators.new={kind: latent, weights: x, sampler: euler, steps: 3}"
    assert "new" in load_suite(file, [added]).generators
    assert "no key 'new'" in refused(file, "generators.new.steps=3")


@pytest.mark.parametrize("name", ["quickstart", "ci_smoke"])
def test_shipped_suites_are_found_by_name(name: str):
    assert isinstance(load_suite(name), Suite)
    assert name in shipped_suites()


def test_an_unknown_suite_is_answered_with_the_near_miss():
    with pytest.raises(SuiteError, match="did you mean 'quickstart'"):
        load_suite("quikstart")


def test_the_quickstart_compares_the_variants_it_is_there_for():
    suite = load_suite("quickstart")
    assert set(suite.generators) == {
        "reference-50", "reference-8", "reference-4", "distilled-8", "arc-8", "arc-4", "arc-1",
    }  # fmt: skip
    assert set(suite.controls.values()) == {"ceiling", "floor"}
    assert suite.takes >= 5


def test_a_part_stays_where_the_suite_puts_it_unless_a_device_is_named(file: Path):
    part = load_suite(file, ["generators.few-steps.device=meta"]).generators["few-steps"]
    assert part.placed(None) is part
    assert part.placed("cpu").data() == {**part.data(), "device": "cpu"}


@pytest.mark.parametrize(
    ("overrides", "device"),
    [
        ([], "cpu"),
        (["bench.target.device=meta"], "meta"),
        (["bench=null", "generators.few-steps.device=cpu"], "cpu"),
        (["bench=null", "generators.many-steps.device=meta"], "meta"),
        (["bench=null", "generators={}"], "cpu"),
    ],
)
def test_a_suite_runs_where_it_says(file: Path, overrides: list[str], device: str):
    assert load_suite(file, overrides).device == device


def test_two_metrics_of_one_name_are_refused_by_the_second(file: Path):
    twice = "metrics=[{kind: manifold, extractor: mel, k: 3}, {kind: manifold, extractor: mel, k: 5}]"
    message = refused(file, twice)
    assert "metrics" in message and "'manifold[mel]'" in message and "second name" in message
