"""Whole pipelines of other libraries with small random weights, saved as their authors save theirs."""

from pathlib import Path
from typing import Any

import torch

from arc_eval.seeding import initial_weights

WORDS = ["a", "bell", "dog", "rain", "low", "high", "tone", "drum", "loop", "of", "the", "in"]
T5_SIZE = {"vocab_size": 64, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}


def tokenizer(max_length: int = 16) -> Any:
    """T5's own kind, over a dozen words."""
    from transformers import T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"▁{word}", -1.0) for word in WORDS)]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=max_length)


def text_encoder() -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(**T5_SIZE, dropout_rate=0.0))


def save_stable_audio(folder: Path, scheduler: str = "CosineDPMSolverMultistepScheduler") -> Path:
    """Stable Audio's pipeline: 8 kHz stereo, at most 0.512 s."""
    import diffusers

    with initial_weights(0):
        pipeline = diffusers.StableAudioPipeline(
            vae=diffusers.AutoencoderOobleck(
                encoder_hidden_size=8,
                downsampling_ratios=[4, 4],
                channel_multiples=[1, 2],
                decoder_channels=8,
                decoder_input_channels=4,
                audio_channels=2,
                sampling_rate=8000,
            ),
            text_encoder=text_encoder(),
            projection_model=diffusers.StableAudioProjectionModel(32, 32, min_value=0, max_value=4),
            tokenizer=tokenizer(),
            transformer=diffusers.StableAudioDiTModel(
                sample_size=256,
                in_channels=4,
                out_channels=4,
                num_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                num_key_value_attention_heads=1,
                cross_attention_dim=32,
                cross_attention_input_dim=32,
                time_proj_dim=8,
                global_states_input_dim=64,
            ),
            scheduler=getattr(diffusers, scheduler)(),
        )
    pipeline.save_pretrained(folder)
    return folder


def spectrogram_parts() -> dict[str, Any]:
    """What MusicLDM and AudioLDM2 share: CLAP, a VAE of spectrograms, a vocoder to 16 kHz mono."""
    import diffusers
    from transformers import (
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
    )

    clap = ClapConfig(
        text_config={
            "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 32, "projection_dim": 8, "max_position_embeddings": 40, "pad_token_id": 0,
        },
        audio_config={
            "spec_size": 64, "window_size": 4, "num_mel_bins": 64, "intermediate_size": 37, "depths": [1, 1],
            "num_attention_heads": [1, 1], "num_hidden_layers": 2, "hidden_size": 64, "patch_size": 2,
            "patch_stride": 2, "patch_embed_input_channels": 4, "patch_embeds_hidden_size": 32,
            "projection_dim": 8,
        },
        projection_dim=8,
    )  # fmt: skip
    vocoder = SpeechT5HifiGanConfig(
        model_in_dim=8,
        sampling_rate=16000,
        upsample_initial_channel=16,
        upsample_rates=[2, 2],
        upsample_kernel_sizes=[4, 4],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
        normalize_before=False,
    )
    return {
        "vae": diffusers.AutoencoderKL(
            block_out_channels=(8, 16),
            in_channels=1,
            out_channels=1,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=4,
        ),
        "text_encoder": ClapModel(clap),
        "tokenizer": tokenizer(),
        "feature_extractor": ClapFeatureExtractor(feature_size=64, sampling_rate=16000),
        "scheduler": diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=False),
        "vocoder": SpeechT5HifiGan(vocoder),
    }


UNET: dict[str, Any] = {
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": 4,
}


def save_music_ldm(folder: Path) -> Path:
    """MusicLDM's pipeline: 16 kHz mono."""
    import diffusers

    with initial_weights(0):
        unet = diffusers.UNet2DConditionModel(
            **UNET,
            cross_attention_dim=(8, 16),
            class_embed_type="simple_projection",
            projection_class_embeddings_input_dim=8,
            class_embeddings_concat=True,
        )
        diffusers.MusicLDMPipeline(**spectrogram_parts(), unet=unet).save_pretrained(folder)
    return folder


def save_audio_ldm2(folder: Path) -> Path:
    """AudioLDM2's pipeline with the bare GPT-2 that its published weights name: 16 kHz mono."""
    import diffusers
    from transformers import GPT2Config, GPT2Model

    gpt2 = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=64, n_positions=64, max_new_tokens=4)
    with initial_weights(0):
        diffusers.AudioLDM2Pipeline(
            **spectrogram_parts(),
            text_encoder_2=text_encoder(),
            tokenizer_2=tokenizer(),
            projection_model=diffusers.AudioLDM2ProjectionModel(8, 32, 16),
            language_model=GPT2Model(gpt2),
            unet=diffusers.AudioLDM2UNet2DConditionModel(**UNET, cross_attention_dim=((None, 16, 32),) * 2),
        ).save_pretrained(folder)
    return folder


def use_whole_gpt2(folder: Path) -> Path:
    """AudioLDM2 with its GPT-2 as the class that today's diffusers expects there, weights unchanged."""
    from transformers import GPT2LMHeadModel, GPT2Model

    part = folder / "language_model"
    bare = GPT2Model.from_pretrained(part)
    whole = GPT2LMHeadModel(bare.config)
    whole.transformer.load_state_dict(bare.state_dict())
    whole.save_pretrained(part)
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace('"GPT2Model"', '"GPT2LMHeadModel"'))
    return folder


def save_musicgen(folder: Path, channels: int = 1) -> Path:
    """MusicGen: 8 kHz in frames of 64 samples, at most 75 of them."""
    from transformers import (
        EncodecConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        T5Config,
    )

    codec = EncodecConfig(
        sampling_rate=8000,
        target_bandwidths=[2.0],
        upsampling_ratios=[8, 8],
        num_filters=4,
        hidden_size=16,
        codebook_size=16,
        codebook_dim=16,
        num_lstm_layers=1,
    )
    decoder = MusicgenDecoderConfig(
        vocab_size=16,
        max_position_embeddings=100,
        num_hidden_layers=1,
        ffn_dim=32,
        num_attention_heads=2,
        hidden_size=16,
        num_codebooks=4 * channels,
        audio_channels=channels,
        pad_token_id=16,
        bos_token_id=16,
        dropout=0.0,
    )
    with initial_weights(0):
        model = MusicgenForConditionalGeneration(
            MusicgenConfig(text_encoder=T5Config(**T5_SIZE), audio_encoder=codec, decoder=decoder)
        )
        # As they come, the codebooks are all zeros and the decoder hardly listens to the words.
        codebooks = (buffer for name, buffer in model.audio_encoder.named_buffers() if name.endswith("embed"))
        with torch.no_grad():
            for tensor in [*model.decoder.parameters(), *codebooks]:
                tensor.add_(0.5 * torch.randn_like(tensor))
    model.generation_config.update(
        do_sample=True,
        guidance_scale=3.0,
        max_length=75,
        decoder_start_token_id=16,
        pad_token_id=16,
        bos_token_id=16,
    )
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
