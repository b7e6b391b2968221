"""The T5 conditioner: what the official pipeline computes, from a cache that the real library wrote."""

import copy
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from arc_eval.errors import CheckpointError
from arc_eval.models import t5, t5_encoder, t5_pretrained
from arc_eval.models.conditioning import Conditioner
from arc_eval.models.config import ConditioningConfig, DiffusionConfig, T5Config
from arc_eval.models.t5 import KEPT, T5, TextStates, pretrained_t5, random_t5
from arc_eval.models.t5_architectures import ARCHITECTURES
from arc_eval.models.t5_encoder import END, PAD, UNKNOWN, VOCABULARY
from arc_eval.records.prompt import Prompt

LENGTH = 12
CPU = torch.device("cpu")
COMMIT = "a" * 40
SHORT, EMPTY, LONG = "a dog barks", "", "rain and a dog, " * 20
CAPTIONS = [SHORT, EMPTY, LONG, "Zimbelstern 120 bpm"]


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt(text, text, 2.0) for text in texts]


def write_tokenizer(folder: Path) -> None:
    """A T5 tokenizer file in small: unigrams over marked words, its special ids, the end appended."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = ["▁", *(f"▁{word}" for word in ("a", "dog", "barks", "rain", "and", "bpm"))]
    pieces += [*"abcdefghijklmnopqrstuvwxyzZ,012"]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(piece, -2.0 - 0.1 * place) for place, piece in enumerate(pieces)]
    vocabulary += [(f"<extra_id_{number}>", 0.0) for number in range(99, -1, -1)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", END)]
    )
    special = [f"<extra_id_{number}>" for number in range(100)]
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", *special])
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a T5 repository holds, decoder included: as wide as t5-base, else small."""
    from transformers import T5Config as Hugging
    from transformers import T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    write_tokenizer(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Hugging(vocab_size=200, d_model=768, d_kv=64, d_ff=96, num_layers=2, num_heads=3)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    # Keys of the published file that newer libraries do not write.
    tasks = {"summarization": {"prefix": "summarize: ", "num_beams": 4, "max_length": 200}}
    old = {"n_positions": 512, "output_past": True, "task_specific_params": tasks}
    (folder / "config.json").write_text(json.dumps({**saved, **old}))
    return folder


@pytest.fixture(params=["google-t5/t5-base", "t5-base"])
def either_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty Hugging Face cache without a network, and no encoder loaded yet."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pretrained_t5.cache_clear()
    yield tmp_path
    pretrained_t5.cache_clear()


def cache(hub: Path, published: Path, repository: str = "google-t5/t5-base") -> Path:
    """Puts the repository into the cache under a name; returns the folder of its files."""
    root = hub / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(published, root / "snapshots" / COMMIT))


@pytest.fixture
def cached(hub: Path, published: Path) -> Path:
    return cache(hub, published)


@pytest.fixture
def conditioner(cached: Path) -> T5:
    return T5(T5Config(max_length=LENGTH), 768).eval()


def official(folder: Path, texts: Sequence[str], proj_out: nn.Module) -> Tensor:
    """The official conditioner, step by step, straight from the library."""
    from transformers import AutoTokenizer, T5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = T5EncoderModel.from_pretrained(folder).eval()
    encoded = tokenizer(
        list(texts), truncation=True, max_length=LENGTH, padding="max_length", return_tensors="pt"
    )
    mask = encoded["attention_mask"]
    with torch.no_grad():
        states = encoder(input_ids=encoded["input_ids"], attention_mask=mask)["last_hidden_state"]
    out: Tensor = proj_out(states.float()) * mask.unsqueeze(-1).float()
    return out


def test_output_is_the_official_pipelines(conditioner: T5, cached: Path) -> None:
    expected = official(cached, CAPTIONS, nn.Identity())
    found = conditioner(prompts(*CAPTIONS))
    assert found.shape == (4, LENGTH, 768)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_another_width_is_projected_before_the_padding_is_zeroed(cached: Path) -> None:
    narrow = T5(T5Config(max_length=LENGTH), 32).eval()
    found = narrow(prompts(SHORT, EMPTY))
    torch.testing.assert_close(found, official(cached, [SHORT, EMPTY], narrow.proj_out), rtol=1e-5, atol=1e-5)
    assert narrow.proj_out.bias.all()
    assert not found[1, 1:].any()


def test_padded_positions_are_exactly_zero_and_words_are_not(conditioner: T5) -> None:
    read = conditioner(prompts(*CAPTIONS)).ne(0).any(dim=-1)
    # Three words; nothing but the end; more than fits.
    assert read[:3].sum(dim=-1).tolist() == [4, 1, LENGTH]
    assert read.equal(read.sort(dim=-1, descending=True).values)


def test_long_captions_are_cut_and_end_in_the_end_token(cached: Path) -> None:
    from transformers import AutoTokenizer

    cut = pretrained_t5("t5-base").tokenize
    ids, mask = t5_encoder.padded([cut(text) for text in CAPTIONS], LENGTH)
    theirs = AutoTokenizer.from_pretrained(cached)(
        CAPTIONS, truncation=True, max_length=LENGTH, padding="max_length", return_tensors="pt"
    )
    assert ids.equal(theirs["input_ids"])
    assert mask.long().equal(theirs["attention_mask"])
    assert len(cut(LONG)) > LENGTH
    assert ids[2, -1] == END
    assert ids[1].tolist() == [END] + [PAD] * (LENGTH - 1)


def test_cutting_and_padding_that_a_tokenizer_file_brings_are_not_applied(cached: Path) -> None:
    from tokenizers import Tokenizer

    ids = pretrained_t5("t5-base").tokenize(LONG)
    tokenizer = Tokenizer.from_file(str(cached / "tokenizer.json"))
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    tokenizer.save(str(cached / "tokenizer.json"))
    pretrained_t5.cache_clear()
    cut = pretrained_t5("t5-base").tokenize
    assert cut(LONG) == ids
    assert not cut(EMPTY)


def test_a_caption_is_encoded_alike_alone_and_among_others(conditioner: T5) -> None:
    among = conditioner(prompts(*CAPTIONS))
    for row, text in zip(among, CAPTIONS, strict=True):
        conditioner.forget()
        torch.testing.assert_close(conditioner(prompts(text))[0], row, rtol=0, atol=1e-5)


def test_a_cache_under_the_old_or_the_new_name_is_found(hub: Path, published: Path, either_name: str) -> None:
    cache(hub, published, either_name)
    assert t5_pretrained.repository_of("t5-base") == either_name
    assert T5(T5Config(max_length=LENGTH), 768)(prompts(SHORT)).any()


def test_a_half_filled_cache_does_not_hide_a_whole_one(hub: Path, published: Path) -> None:
    (cache(hub, published) / "model.safetensors").unlink()
    cache(hub, published, "t5-base")
    assert t5_pretrained.repository_of("t5-base") == "t5-base"


def test_an_encoder_is_read_once_and_shared(cached: Path) -> None:
    assert pretrained_t5("t5-base") is pretrained_t5("t5-base")


def test_loading_prints_nothing_and_draws_nothing(cached: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    network = pretrained_t5("t5-base").network
    assert torch.get_rng_state().equal(before)
    assert capfd.readouterr() == ("", "")
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert len(list(network.parameters())) == len({p.data_ptr() for p in network.parameters()})


def test_half_precision_files_are_read_as_float32(cached: Path) -> None:
    tensors = load_file(cached / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, cached / "model.safetensors")
    assert {parameter.dtype for parameter in pretrained_t5("t5-base").network.parameters()} == {torch.float32}


class Counting:
    """A text encoder whose states are the length of the text, and which counts what it is asked."""

    def __init__(self, channels: int = 768) -> None:
        self.asked: list[list[str]] = []
        self.channels = channels

    def __call__(self, texts: Sequence[str], max_length: int, device: torch.device) -> TextStates:
        self.asked.append(list(texts))
        lengths = torch.tensor([float(len(text)) for text in texts], device=device)
        states = lengths[:, None, None].expand(-1, max_length, self.channels)
        return TextStates(states, torch.ones(len(texts), max_length, dtype=torch.bool, device=device))

    def identity(self) -> dict[str, str]:
        return {"counts": "letters"}


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def remembering(counting: Counting) -> T5:
    module = T5(T5Config(max_length=2), 768)
    module.use(counting)
    return module


def test_a_caption_is_encoded_once_until_forgotten(remembering: T5, counting: Counting) -> None:
    first = remembering(prompts("bell", "drum", "bell"))
    assert remembering(prompts("bell", "gong!", "drum"))[:, 0, 0].tolist() == [4, 5, 4]
    assert counting.asked == [["bell", "drum"], ["gong!"]]
    assert remembering(prompts("bell", "drum", "bell")).equal(first)
    remembering.forget()
    remembering(prompts("drum"))
    assert counting.asked[2:] == [["drum"]]


def test_the_captions_asked_last_are_remembered(remembering: T5, counting: Counting) -> None:
    remembering(prompts("kept"))
    for number in range(KEPT - 1):
        remembering(prompts("x" * number))
    remembering(prompts("kept"))
    remembering(prompts("y"))  # one too many: the oldest goes
    counting.asked.clear()
    remembering(prompts("kept", "y", "x" * 9))
    assert not counting.asked
    remembering(prompts(""))
    assert counting.asked == [[""]]


def test_a_call_may_hold_more_captions_than_are_remembered(remembering: T5) -> None:
    texts = ["x" * number for number in range(KEPT + 5)]
    assert remembering(prompts(*texts))[:, 0, 0].tolist() == list(range(KEPT + 5))
    assert len(remembering._known) == KEPT


def test_another_encoder_or_precision_empties_the_memory(remembering: T5, counting: Counting) -> None:
    remembering(prompts("bell"))
    assert remembering.to(torch.bfloat16)(prompts("bell")).dtype == torch.bfloat16
    assert len(counting.asked) == 2
    other = Counting()
    remembering.use(other)
    remembering(prompts("bell"))
    assert len(other.asked) == 1


def test_captions_first_met_in_inference_mode_can_be_trained_on() -> None:
    module = T5(T5Config(max_length=2), 4)
    module.use(Counting())
    with torch.inference_mode():
        module(prompts("bell"))
    module(prompts("bell", "drum")).sum().backward()
    assert module.proj_out.weight.grad is not None
    assert module.proj_out.weight.grad.any()


def test_an_encoder_first_used_in_inference_mode_is_an_ordinary_one(conditioner: T5) -> None:
    with torch.inference_mode():
        conditioner(prompts(SHORT))
    assert not any(parameter.is_inference() for parameter in pretrained_t5("t5-base").network.parameters())
    assert not conditioner._known[SHORT].states.is_inference()


def test_states_of_another_width_are_refused(remembering: T5) -> None:
    remembering.use(Counting(channels=512))
    with pytest.raises(CheckpointError, match=r"'t5-base' must give \[1, 2, 768\]"):
        remembering(prompts("bell"))


def test_the_encoder_is_no_part_of_the_module_and_copies_share_it(conditioner: T5) -> None:
    conditioner(prompts(SHORT))
    twin = copy.deepcopy(conditioner)
    assert not conditioner.state_dict()
    assert not list(twin.parameters())
    assert twin._encoder[0] is conditioner._encoder[0]


def test_a_conditioner_built_on_the_meta_device_can_encode(counting: Counting) -> None:
    with torch.device("meta"):
        module = T5(T5Config(max_length=2), 768)
    module.use(counting)
    assert module(prompts("bell")).device.type == "cpu"


def test_the_seconds_token_follows_the_captions_tokens(counting: Counting) -> None:
    number = {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 256}}
    text = {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": 5}}
    conditioner = Conditioner(
        ConditioningConfig.model_validate({"cond_dim": 768, "configs": [number, text]}),
        DiffusionConfig.model_construct(
            cross_attention_cond_ids=("prompt", "seconds_total"), global_cond_ids=("seconds_total",)
        ),
    )
    module = conditioner.conditioners["prompt"]
    assert isinstance(module, T5)
    module.use(counting)
    found = conditioner(prompts("bell"))
    assert found.cross.shape == (1, 6, 768)
    assert found.cross[:, :5].eq(4).all()
    assert found.cross[:, 5].equal(found.global_)


# --- what decides the states ---------------------------------------------------------------------------


def test_the_files_of_the_encoder_are_its_identity_and_are_not_loaded_for_it(
    conditioner: T5, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without_loading:
        without_loading.setattr(t5_pretrained, "load_encoder", None)
        before = dict(conditioner.identity())
    assert before["t5"] == "t5-base"
    assert pretrained_t5.cache_info().currsize == 0
    conditioner(prompts(SHORT))
    assert conditioner.identity() == before
    for file in ("tokenizer.json", "config.json", "model.safetensors"):
        (cached / file).write_bytes((cached / file).read_bytes() + b" ")
        changed = dict(conditioner.identity())
        assert changed != before, file
        before = changed


def test_seed_size_and_library_are_the_identity_of_a_random_encoder() -> None:
    identities = [
        t5_encoder.random_identity(name, seed) for name in ("t5-small", "t5-base") for seed in (0, 1)
    ]
    assert len({tuple(each.items()) for each in identities}) == 4
    assert all(each["transformers"] == version("transformers") for each in identities)


def test_an_encoder_that_is_given_speaks_for_itself(remembering: T5) -> None:
    assert remembering.identity() == {"counts": "letters"}


# --- what can be wrong ---------------------------------------------------------------------------------


def refused(match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        pretrained_t5("t5-base")


def test_an_encoder_that_is_not_cached_says_how_to_get_it(hub: Path) -> None:
    refused(r"(?s)text encoder 't5-base'.*offline.*arc-eval weights fetch t5-base")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_half_filled_cache_names_the_file_that_is_missing(cached: Path, file: str) -> None:
    (cached / file).unlink()
    refused(rf"google-t5/t5-base/{file}")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_truncated_file_is_named(cached: Path, file: str) -> None:
    whole = (cached / file).read_bytes()
    (cached / file).write_bytes(whole[: len(whole) // 2])
    refused(rf"{file}: cannot be read: .*; delete it and fetch it again")


def test_the_configuration_of_another_model_is_refused(cached: Path) -> None:
    text = (cached / "config.json").read_text()
    (cached / "config.json").write_text(text.replace('"d_model": 768', '"d_model": 512'))
    refused("not the configuration of 't5-base'.*d_model 512, must be 't5' and 768")


def test_tensors_that_do_not_fit_are_listed(cached: Path) -> None:
    tensors = load_file(cached / "model.safetensors")
    del tensors["encoder.block.1.layer.0.SelfAttention.k.weight"]
    tensors["encoder.final_layer_norm.weight"] = torch.ones(3)
    tensors["extra.weight"] = torch.ones(3)
    save_file(tensors, cached / "model.safetensors")
    refused(
        r"(?s)missing \(1\): encoder\.block\.1\.layer\.0\.SelfAttention\.k\.w.*unexpected \(1\): extra\.w"
        r".*misshapen \(1\): encoder\.final_layer_norm\.weight is \[3\], must be \[768\]"
    )


def test_an_unknown_name_is_refused_with_the_near_miss() -> None:
    for make in (pretrained_t5, lambda name: random_t5(name, 0)):
        with pytest.raises(CheckpointError, match="did you mean 't5-base'"):
            make("t5-bass")


def test_without_transformers_a_random_encoder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    random_t5.cache_clear()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(CheckpointError, match=r"needs transformers: pip install 'arc_eval\[models\]'"):
        random_t5("t5-small", 0)


# --- random weights ------------------------------------------------------------------------------------


@pytest.fixture
def few_words(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tenth of the vocabulary, most of a T5's weights."""
    monkeypatch.setattr(t5_encoder, "VOCABULARY", VOCABULARY // 10)
    random_t5.cache_clear()
    yield
    random_t5.cache_clear()


def test_the_encoder_of_t5_base_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = t5_encoder.build_network(t5_encoder.published_options("t5-base"))
    assert sum(parameter.numel() for parameter in network.parameters()) == 109_628_544


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_published_encoder_can_be_named_in_a_configuration(name: str) -> None:
    made = T5(T5Config(t5_model_name=name, max_length=2), ARCHITECTURES[name].channels)
    assert isinstance(made.proj_out, nn.Identity)


@pytest.mark.usefixtures("few_words")
def test_a_random_encoder_is_decided_by_its_seed_and_draws_from_no_other_stream() -> None:
    before = torch.get_rng_state()
    states, mask = random_t5("t5-small", 1)([SHORT, EMPTY], 6, CPU)
    assert torch.get_rng_state().equal(before)
    assert states.shape == (2, 6, 512)
    assert mask.sum(dim=1).tolist() == [4, 1]
    random_t5.cache_clear()
    assert random_t5("t5-small", 1)([SHORT, EMPTY], 6, CPU).states.equal(states)
    assert not random_t5("t5-small", 2)([SHORT, EMPTY], 6, CPU).states.equal(states)


def test_hashed_words_keep_clear_of_the_special_ids() -> None:
    ids = t5_encoder.hashed_words(" ".join(f"w{'a' * length}" for length in range(2000)))
    assert min(ids) > UNKNOWN
    assert max(ids) < VOCABULARY
    assert len(set(ids)) > 1900
    assert t5_encoder.hashed_words("A dog") == t5_encoder.hashed_words("a DOG!")


def test_the_public_names_are_those_of_the_conditioners_module() -> None:
    assert all(hasattr(t5, name) for name in t5.__all__)
