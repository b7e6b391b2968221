"""What is said of all generators of other libraries, without one of them."""

import pytest
import torch

from arc_eval.errors import DataError
from arc_eval.generators.asked import check_lengths, paired
from arc_eval.generators.foreign import private_stream
from arc_eval.records.prompt import Prompt

ACCELERATOR = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
DEVICES = ["cpu", *([ACCELERATOR.type, f"{ACCELERATOR.type}:0"] if ACCELERATOR else [])]


@pytest.mark.parametrize("device", DEVICES)
def test_a_private_stream_is_its_seeds_on_the_cpu_and_on_the_device(device: str):
    def drawn(seed: int) -> torch.Tensor:
        with private_stream(seed, device):
            return torch.cat([torch.rand(4), torch.rand(4, device=device).cpu()])

    torch.rand(3, device=device)
    first = drawn(2**63 - 1)
    torch.rand(5, device=device)
    assert drawn(2**63 - 1).equal(first)
    other = drawn(7)
    assert not other[:4].equal(first[:4])
    assert not other[4:].equal(first[4:])


@pytest.mark.parametrize("device", DEVICES)
def test_a_private_stream_moves_no_other(device: str):
    def followed(inside: bool) -> torch.Tensor:
        torch.manual_seed(5)
        if inside:
            with private_stream(1, device):
                torch.rand(9)
                torch.rand(9, device=device)
        return torch.cat([torch.rand(4), torch.rand(4, device=device).cpu()])

    with torch.random.fork_rng():
        assert followed(True).equal(followed(False))


def test_a_device_that_is_not_there_is_not_passed_over():
    absent = next(each for each in ("xpu", "mps", "cuda") if each not in DEVICES)
    with pytest.raises((RuntimeError, AssertionError, NotImplementedError)), private_stream(1, absent):
        pass


def test_prompts_and_seeds_come_in_pairs():
    prompt = Prompt("a", "a bell", 1.0)
    assert paired([prompt], [3]) == [(prompt, 3)]
    with pytest.raises(ValueError, match="1 prompts but 2 seeds"):
        paired([prompt], [3, 4])


@pytest.mark.parametrize("seconds", [0.0, -1.0, 2.5, float("nan")])
def test_a_length_that_cannot_be_made_is_refused_with_the_longest(seconds: float):
    check_lengths([Prompt("a", "a bell", 2.0)], 2.0)
    with pytest.raises(DataError, match=r"^a: asks for .* s; this model makes more than 0 and at most 2 s"):
        check_lengths([Prompt("a", "a bell", seconds)], 2.0)
