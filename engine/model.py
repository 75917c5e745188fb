"""A checkpoint on its devices: what reads a prompt and denoises canvases."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.cache_utils import DynamicCache
from transformers.utils import logging as transformers_logging

from engine import quantise
from engine.canvases import Canvases
from engine.catalogue import check_files, out_of_reach
from engine.denoise import Sampler
from engine.errors import EngineError, machine_fault
from engine.modules import replace_modules
from engine.placement import PROCESSOR, Placement
from engine.plans import CHUNK_BYTES, DEFAULT_CONTEXT_TOKENS, ROLL_BACK_TOKENS, Precision, read_shape
from engine.sampling import chunks
from engine.tokenizer import Tokenizer

transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]

PACKED = 0.8  # of a load's progress, when the packed copy begins to be written


class TextModel(DiffusionGemmaForBlockDiffusion):  # type: ignore[no-untyped-call]
    """DiffusionGemma without its vision tower, which is dropped before any weight is read.

    Each weight is read to its device: nothing is gathered in main memory first.
    """

    _keys_to_ignore_on_load_unexpected = [r"\.vision_tower\.", r"\.embed_vision\."]  # noqa: RUF012

    def __init__(self, config: DiffusionGemmaConfig, placement: Placement = PROCESSOR) -> None:
        super().__init__(config)
        del self.model.encoder.vision_tower, self.model.encoder.embed_vision
        self._placement = placement

    @staticmethod
    def _load_pretrained_model(
        model: Any, state_dict: Any, checkpoint_files: Any, load_config: Any, expected_keys: Any = None
    ) -> Any:
        """The public way to a device map needs accelerate, which puts hooks of its own into a model."""
        device_map = model._placement.device_map(model)
        quantiser = load_config.hf_quantizer
        if model._placement.first.type != "cpu" or (quantiser and not quantiser.pre_quantized):
            state_dict = _unmapped(checkpoint_files)  # a processor runs what is not packed where it is mapped
        return DiffusionGemmaForBlockDiffusion._load_pretrained_model(
            model, state_dict, checkpoint_files, replace(load_config, device_map=device_map), expected_keys
        )

    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        return True  # the library looks for a decorator in the source file of the class


def _unmapped(checkpoint_files: Sequence[str]) -> dict[str, Any]:
    """The tensors, each read when it is asked for.

    The library maps the files, in a way that Linux refuses for one larger than the main memory.
    """
    files: list[Any] = [safe_open(path, framework="pt", backend="pread") for path in checkpoint_files]
    return {name: file.get_slice(name) for file in files for name in file.keys()}  # noqa: SIM118


class Model:
    """A loaded checkpoint. device: where ids go in and logits come out; unsaved_bytes: as in Ready."""

    def __init__(
        self,
        folder: Path,
        placement: Placement,
        precision: Precision = "bf16",
        packed_models: Path | None = None,
        tell: Callable[[float], None] = lambda _: None,
    ) -> None:
        """packed_models: where packed copies are kept, for the next start; tell: is called with the share of
        the weights that was read, and may raise.

        Raises weights-missing or weights-broken; a tensor that the checkpoint lacks is never made up.
        """
        check_files(folder)
        self.device = device = placement.first
        self.precision = precision
        self.tokenizer = Tokenizer(folder)
        loaded, self.unsaved_bytes = _load_weights(folder, placement, precision, packed_models, tell)
        self.text_model: Any = loaded.eval().requires_grad_(False)
        placement.move(self.text_model)
        replace_modules(self.text_model, device)
        config = self.text_model.config
        if device.type == "cuda" and find_spec("triton"):
            from engine.fused_experts import fuse

            fuse(self.text_model, text_config(config).top_k_experts, self.text_model.dtype)
        self.vocab_size: int = config.text_config.vocab_size
        self.canvas_tokens: int = config.canvas_length
        self.prefill_tokens = 128 if device.type == "cpu" else 512
        self.max_context_tokens = read_shape(folder).limit_tokens
        self.default_context_tokens = min(self.max_context_tokens, DEFAULT_CONTEXT_TOKENS)
        self.sampler, self.end_ids, self.pad_id = _generation_defaults(self.text_model)
        self.end_id = self.tokenizer.end_id
        self.fill_id = self.pad_id if self.tokenizer.chats else self.end_id

    def held_bytes(self) -> int:
        """What its tensors take, counted where they lie."""
        return int(self.text_model.get_memory_footprint())

    def new_cache(self) -> DynamicCache:
        cache = DynamicCache(config=self.text_model.config.text_config)
        for layer in _sliding(cache):
            layer.activate_past_recording()
        return cache

    def prefill(self, cache: DynamicCache, ids: list[int]) -> Tensor:
        """Append ids to the cache through the causal encoder → its last hidden states, (1, ids, hidden).

        Raises weights-broken for an id that the model has not: on a card it would end the process.
        """
        if max(ids) >= self.vocab_size:
            raise EngineError(
                "weights-broken",
                "The tokenizer is of another model: it makes tokens that this one does not know.",
                "Download the model again, or choose another folder.",
                f"token {max(ids)} of {self.vocab_size}",
            )
        start = cache.get_seq_length()
        positions = torch.arange(start, start + len(ids), device=self.device)[None]
        output = self.text_model.model.encoder.language_model(
            input_ids=torch.tensor([ids], device=self.device), past_key_values=cache, position_ids=positions
        )
        for layer in _sliding(cache):
            kept = layer.sliding_window - 1 + ROLL_BACK_TOKENS
            if layer.keys.shape[2] > kept:  # a view would hold on to what it leaves out
                layer.keys = layer.keys[:, :, -kept:].clone()
                layer.values = layer.values[:, :, -kept:].clone()
        hidden: Tensor = output.last_hidden_state
        return hidden

    def open_canvases(self, caches: Sequence[DynamicCache]) -> Canvases:
        """Room for one canvas after each cache. The caches are not written."""
        text = text_config(self.text_model.config)
        return Canvases(caches, text.layer_types, text.sliding_window, self.canvas_tokens)

    def denoise(self, canvases: Canvases, ids: Tensor, soft: Tensor | None) -> Tensor:
        """ids: (batch, canvas); soft: (batch · canvas, hidden), None at first → logits
        (batch · canvas, vocab) fp32.

        The library's decoder forward, save that the soft embedding comes from outside: it would take a second
        softmax over logits.
        """
        decoder = self.text_model.model.decoder
        embeddings = decoder.embed_tokens(ids)
        soft = torch.zeros_like(embeddings) if soft is None else soft.view_as(embeddings)
        hidden = decoder.self_conditioning(embeddings, soft)
        rotary = {
            kind: decoder.rotary_emb(hidden, canvases.positions, kind) for kind in decoder.unique_layer_types
        }
        for layer, kind in zip(decoder.layers, canvases.layer_types, strict=True):
            hidden = layer(
                hidden,
                position_embeddings=rotary[kind],
                attention_mask=canvases.masks[kind],
                position_ids=canvases.positions,
                past_key_values=canvases,
            )
        logits = self._logits(canvases, decoder.norm(hidden).flatten(0, 1))
        # cap · tanh(x / cap), by way of tanh(x) = 2 σ(2x) − 1: on a processor σ takes a third of the time.
        cap = self.text_model.final_logit_softcapping
        capped: Tensor = logits.mul_(2 / cap).sigmoid_().mul_(2 * cap).sub_(cap)
        return capped

    def _logits(self, canvases: Canvases, hidden: Tensor) -> Tensor:
        """hidden: (rows, hidden) → (rows, vocab) fp32, in memory that the canvases keep from step to step."""
        head = self.text_model.lm_head
        if canvases.logits is None:
            canvases.logits = hidden.new_empty(len(hidden), self.vocab_size, dtype=torch.float32)
        logits = canvases.logits[: len(hidden)]
        if head.weight.dtype == torch.float32:
            return torch.mm(hidden, head.weight.t(), out=logits)
        return logits.copy_(head(hidden))

    def soft_embedding(self, draft: Tensor, spread: Tensor, probabilities: Tensor, rows: Tensor) -> Tensor:
        """See Denoiser. Where one token has all the probability, its embedding is the mean: no product over
        the vocabulary.
        """
        embedding = self.text_model.model.decoder.embed_tokens
        weight: Tensor = embedding.weight
        mean = weight[draft]
        for part in chunks(len(rows), probabilities[0].nbytes, CHUNK_BYTES):
            mean[spread[part]] = probabilities[rows[part]].to(weight.dtype) @ weight
        scaled: Tensor = mean.mul_(embedding.embed_scale.to(weight.dtype))
        return scaled


def fork(cache: DynamicCache) -> DynamicCache:
    """A cache that can grow on its own; the tensors are shared, since update() makes new ones."""
    forked = copy.copy(cache)
    forked.layers = [copy.copy(layer) for layer in cache.layers]
    return forked


def roll_back(cache: DynamicCache, count: int) -> bool:
    """Forget all but the first `count` tokens. False, and nothing done, where a window no longer reaches."""
    gone = cache.get_seq_length() - count
    sliding, layers = _sliding(cache), list[Any](cache.layers)
    if any(layer.keys.shape[2] - gone < min(count, layer.sliding_window - 1) for layer in sliding):
        return False
    for layer in layers:
        end = layer.keys.shape[2] - gone
        layer.keys, layer.values = layer.keys[:, :, :end], layer.values[:, :, :end]
    for layer in sliding:
        layer.cumulative_length = count
    return True


def _sliding(cache: DynamicCache) -> list[Any]:
    return [layer for layer in list[Any](cache.layers) if layer.is_sliding]


@contextmanager
def _reading_told(tell: Callable[[float], None], packing: quantise.PackedConfig | None) -> Iterator[None]:
    """The library's progress bars, without the bars; a fault of packing ends it."""

    def follow(factory: Any, args: Any, kwargs: Any) -> Any:
        match kwargs.get("desc"):
            case "Loading weights":
                return told(args[0], 0.0, PACKED if packing else 1.0)
            case "Writing model shards":
                return told(args[0], PACKED, 1.0)
        return factory(*args, **kwargs)

    def told(parts: Collection[Any], begin: float, end: float) -> Iterator[Any]:
        for number, part in enumerate(parts):
            tell(begin + (end - begin) * number / len(parts))
            yield part
            if packing and packing.fault:
                raise packing.fault

    former = transformers_logging.set_tqdm_hook(follow)
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(former)


def _load_weights(
    folder: Path,
    placement: Placement,
    precision: Precision,
    packed_models: Path | None,
    tell: Callable[[float], None],
) -> tuple[Any, int]:
    """With the bytes of the packed copy that could not be kept."""
    source, packing = quantise.prepare(folder, precision, placement, packed_models)
    model, kind, fault = None, "", ""
    try:
        model = _read_weights(source, placement, precision, packing, tell)
    except EngineError as error:
        if source == folder or error.kind not in ("weights-broken", "weights-missing"):
            raise
        kind, fault = error.kind, error.details
    if model is None:  # outside `except`, whose frames hold what was read
        if kind == "weights-broken":
            quantise.discard(source, fault)
        source, packing = quantise.prepare(folder, precision, placement)
        model = _read_weights(source, placement, precision, packing, tell)
    if not (packing and packed_models):
        return model, 0
    with _reading_told(tell, packing):
        return model, quantise.save(model, folder, packed_models)


def _read_weights(
    source: Path,
    placement: Placement,
    precision: Precision,
    packing: quantise.PackedConfig | None,
    tell: Callable[[float], None],
) -> Any:
    library: Any = TextModel
    try:
        with _reading_told(tell, packing):
            model, report = library.from_pretrained(
                source,
                placement,
                quantization_config=packing,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32 if precision == "fp32" else torch.bfloat16,
                attn_implementation="sdpa",
                experts_implementation="grouped_mm",
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        # An OSError without a number is the library's own word.
        if (isinstance(error, OSError) and error.errno) or "(os error " in str(error):
            raise machine_fault(error) or out_of_reach(source, error) from error
        raise machine_fault(error) or _broken(source, str(error)) from error
    unread = {
        name for name, held in model.named_parameters() if held.is_meta
    }  # the library tells no packed ones
    lacking = sorted(unread | report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if lacking:
        raise _broken(source, "tensors missing or of another shape: " + ", ".join(lacking))
    return model


def _broken(folder: Path, details: str) -> EngineError:
    return EngineError(
        "weights-broken",
        f"The model in {folder} is damaged: its files do not fit together.",
        "Download the model again, or choose another folder.",
        details,
    )


def _generation_defaults(model: Any) -> tuple[Sampler, frozenset[int], int]:
    """The checkpoint's own sampler settings, its end ids and its padding id."""
    config, text = model.generation_config, text_config(model.config)
    defaults = config._get_default_generation_params()
    values = {
        name: default if getattr(config, name) is None else getattr(config, name)
        for name, default in defaults.items()
    }
    ends: Any = text.eos_token_id if config.eos_token_id is None else config.eos_token_id
    pad: Any = text.pad_token_id if config.pad_token_id is None else config.pad_token_id
    sampler = Sampler(
        max_steps=values["max_denoising_steps"],
        t_min=values["t_min"],
        t_max=values["t_max"],
        entropy_bound=values["sampler_config"].entropy_bound,
        stability_threshold=values["stability_threshold"],
        confidence_threshold=values["confidence_threshold"],
    )
    return sampler, frozenset([ends] if isinstance(ends, int) else ends), pad


def text_config(config: DiffusionGemmaConfig) -> Any:
    """Fields that the library declares as optional are always set here."""
    return config.text_config
