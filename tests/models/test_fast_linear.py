"""Linear layers through oneDNN equal plain ones to rounding, forward, backward and twice backward."""

import copy

import pytest
import torch
from torch import Tensor, nn

from arc_eval.models.fast_linear import (
    WORTH,
    OneDnnLinear,
    available,
    linear_gelu,
    through_onednn,
    worthwhile,
)

ROWS, INPUTS, OUTPUTS = 64, 256, 768
needs_onednn = pytest.mark.skipif(not worthwhile(), reason="no oneDNN, or a CPU on which it is not faster")


def pair(bias: bool = True) -> tuple[nn.Linear, nn.Linear]:
    """A plain layer and the same one through oneDNN."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = nn.Linear(INPUTS, OUTPUTS, bias=bias)
    fast = copy.deepcopy(plain)
    through_onednn(fast)
    return plain, fast


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.detach() - expected.detach()).norm() / expected.norm().detach())


def gradients(layer: nn.Linear, x: Tensor) -> list[Tensor]:
    """Of input, weight and bias, of a loss that is not linear in the output."""
    x = x.clone().requires_grad_()
    return list(torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()]))


@needs_onednn
def test_the_sizes_of_these_tests_do_go_through_onednn():
    assert ROWS * INPUTS * OUTPUTS >= WORTH
    _, fast = pair()
    assert type(fast) is OneDnnLinear
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        fast(noise(ROWS, INPUTS))
    assert "arc_eval::product" in {event.name for event in profile.events()}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(ROWS, INPUTS), (4, ROWS // 4, INPUTS), (2, 2, ROWS // 4, INPUTS)])
def test_output_and_every_gradient_equal_the_plain_layers(shape: tuple[int, ...], bias: bool):
    plain, fast = pair(bias)
    x = noise(*shape)
    out = fast(x)
    assert out.shape == plain(x).shape
    assert relative(out, plain(x)) < 1e-5
    for found, expected in zip(gradients(fast, x), gradients(plain, x), strict=True):
        assert found.shape == expected.shape
        assert relative(found, expected) < 1e-5


def test_output_equals_float64_as_closely_as_the_plain_layer_does():
    plain, fast = pair()
    x = noise(ROWS, INPUTS)
    exact = copy.deepcopy(plain).double()(x.double())
    assert relative(fast(x).double(), exact) < 5e-7


def test_inputs_whose_memory_is_transposed_or_strided_are_read_right():
    plain, fast = pair()
    turned, stepped = noise(3, INPUTS, ROWS).transpose(1, 2), noise(ROWS, 2 * INPUTS)[:, ::2]
    for x in (noise(INPUTS, ROWS).t(), turned, stepped):
        for found, expected in zip(gradients(fast, x), gradients(plain, x), strict=True):
            assert relative(found, expected) < 1e-5


def test_gradient_penalties_differentiate_a_second_time():
    def penalty(layer: nn.Linear) -> list[Tensor]:
        x = noise(ROWS, INPUTS).requires_grad_()
        (slope,) = torch.autograd.grad(layer(x).tanh().sum(), x, create_graph=True)
        weight, *_ = layer.parameters()
        return list(torch.autograd.grad(slope.square().sum(), [x, weight]))

    plain, fast = pair()
    for found, expected in zip(penalty(fast), penalty(plain), strict=True):
        assert relative(found, expected) < 1e-5


def test_only_the_gradients_that_are_asked_for_are_computed():
    _, fast = pair()
    fast.requires_grad_(False)
    x = noise(ROWS, INPUTS).requires_grad_()
    fast(x).sum().backward()
    assert x.grad is not None
    assert fast.weight.grad is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_computed_as_the_plain_layer_does(dtype: torch.dtype):
    plain, fast = (layer.to(dtype) for layer in pair())
    x = noise(ROWS, INPUTS).to(dtype)
    assert torch.equal(fast(x), plain(x))


def test_autocast_still_gives_bfloat16():
    plain, fast = pair()
    x = noise(ROWS, INPUTS)
    with torch.autocast("cpu", torch.bfloat16):
        assert fast(x).dtype == torch.bfloat16
        assert torch.equal(fast(x), plain(x))


def test_small_and_empty_products_are_computed_as_the_plain_layer_does():
    plain, fast = pair()
    for rows in (0, 1, 3):
        assert torch.equal(fast(noise(rows, INPUTS)), plain(noise(rows, INPUTS)))


def test_a_layer_on_another_device_is_computed_there():
    _, fast = pair()
    assert fast.to("meta")(torch.empty(ROWS, INPUTS, device="meta")).device.type == "meta"


def test_without_onednn_layers_stay_as_they_are():
    was = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    try:
        assert not available()
        _, layer = pair()
    finally:
        torch.backends.mkldnn.enabled = was
    assert type(layer) is nn.Linear


@pytest.mark.parametrize(
    ("capability", "kind"),
    [("AVX512", OneDnnLinear), ("AVX2", nn.Linear), ("DEFAULT", nn.Linear), ("SVE256", nn.Linear)],
)
def test_layers_change_only_where_onednn_has_wider_instructions(
    monkeypatch: pytest.MonkeyPatch, capability: str, kind: type[nn.Linear]
):
    if not available():
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    plain, layer = pair()
    assert type(layer) is kind
    x = noise(ROWS, INPUTS)
    assert relative(layer(x), plain(x)) < 1e-5
    assert kind is OneDnnLinear or torch.equal(layer(x), plain(x))


@needs_onednn
def test_keys_parameters_and_copies_stay_what_they_were():
    model = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 4)))
    parameters = {name: id(parameter) for name, parameter in model.named_parameters()}
    through_onednn(model)
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == parameters
    assert [type(layer) for layer in copy.deepcopy(model).modules()].count(OneDnnLinear) == 2


@needs_onednn
def test_a_class_of_its_own_is_left_alone():
    class Counting(nn.Linear):
        pass

    layer = Counting(8, 8)
    through_onednn(layer)
    assert type(layer) is Counting


def test_activation_checkpointing_gives_the_same_gradients():
    _, fast = pair()
    x = noise(ROWS, INPUTS)
    expected = gradients(fast, x)
    x = x.clone().requires_grad_()
    out = torch.utils.checkpoint.checkpoint(fast, x, use_reentrant=False)
    found = torch.autograd.grad(out.square().sum(), [x, *fast.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@needs_onednn
def test_the_operator_is_sound_for_autograd_and_for_the_compiler():
    product = torch.ops.arc_eval.product.default
    inputs = [noise(6, 5).requires_grad_(), noise(4, 5, seed=2).requires_grad_(), noise(4, seed=3)]
    torch.library.opcheck(product, inputs)
    torch.library.opcheck(product, [*inputs[:2], None])
    torch.library.opcheck(product, [noise(5, 6).t(), noise(5, 4, seed=2).t(), None])


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_and_its_gelu_in_one_equal_both_in_turn(bias: bool):
    plain, fast = pair(bias)
    x = noise(2, ROWS, INPUTS)
    with torch.no_grad():
        assert relative(linear_gelu(fast, x), nn.functional.gelu(plain(x))) < 1e-6
        assert linear_gelu(fast, x[:0]).shape == (0, ROWS, OUTPUTS)
        assert linear_gelu(plain, x).equal(nn.functional.gelu(plain(x)))
    x.requires_grad_()
    (found,) = torch.autograd.grad(linear_gelu(fast, x).sum(), x)
    (wanted,) = torch.autograd.grad(nn.functional.gelu(plain(x)).sum(), x)
    assert relative(found, wanted) < 1e-5
