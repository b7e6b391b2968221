"""Every metric is reached through the registry and says whose rows it reads."""

import pytest

from arc_eval import registry
from arc_eval.errors import SuiteError

KINDS = (
    "alignment",
    "diversity",
    "frechet",
    "frechet_infinity",
    "health",
    "inception",
    "kernel",
    "label_kl",
    "manifold",
    "recognition",
    "sliced_wasserstein",
    "vendi",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_names_its_extractor_in_its_result(kind):
    metric = registry.settings("metrics", {"kind": kind, "extractor": "ear"}, "suite").build()
    assert metric.extractor == "ear"
    assert metric.name.endswith("[ear]")


@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_without_an_extractor_is_refused(kind):
    with pytest.raises(SuiteError, match=r"suite\.extractor: Field required"):
        registry.settings("metrics", {"kind": kind}, "suite")


def test_an_unknown_key_is_refused_with_the_near_miss():
    with pytest.raises(SuiteError, match="did you mean 'extractor'"):
        registry.settings("metrics", {"kind": "frechet", "extracter": "ear"}, "suite")
