"""DiffusionGemma on its devices: prefill a prompt, denoise canvases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.memory_estimate import (
    DEFAULT_CONTEXT_TOKENS,
    ROLL_BACK_TOKENS,
)
from engine.hardware.torch_devices import computes_in_bf16
from engine.model import expert_stream, loading
from engine.model.canvas_cache import CanvasCache
from engine.model.fast_modules import replace_modules
from engine.model.kv_cache import sliding_layers, token_counts, truncate_cache
from engine.model.load_config import LoadPlan
from engine.model.sampler_config import generation_defaults, text_config
from engine.model.soft_embedding import mean_embeddings
from engine.model.wide_modules import compute_in_fp32
from engine.protocol.errors import weights_broken
from engine.quantization.parted_work import weight_parts
from engine.text.detokenizer import Detokenizer
from engine.text.tokenizer import Tokenizer

SLOW_STEPS = 24
"""The most, unless the writer chooses more: half of the real model's canvases take no more than 23 of its 48
(2,115 canvases, github.com/tenstorrent/tt-metal/issues/50431).
"""


class _TokenizerError(Exception):
    """No fault of the weights, which would be taken for a packed copy's."""


def _tokenizers(checkpoint: Checkpoint) -> tuple[Tokenizer, Detokenizer]:
    return Tokenizer(checkpoint.folder), Detokenizer(checkpoint.tokenizer())


class DiffusionGemma:
    """A loaded checkpoint. device: where ids go in and logits come out; unsaved_bytes: as in Ready."""

    def __init__(self, plan: LoadPlan, on_progress: Callable[[float], None] = lambda _: None) -> None:
        """on_progress: is called with the share of the work that is done, from 0 to 1, and may raise.

        Raises weights-missing or weights-broken; a tensor that the checkpoint lacks is never made up.
        """
        self.device = device = plan.device_map.first
        self.precision = plan.precision
        # Beside the weights: the real vocabulary takes seconds.
        pool = ThreadPoolExecutor(1, "tokenizer")
        reading = pool.submit(_tokenizers, plan.checkpoint)
        pool.shutdown(wait=False)

        def on_read(share: float) -> None:
            if reading.done() and reading.exception():
                raise _TokenizerError  # the rest need not be read
            on_progress(share)

        try:
            loaded, self.unsaved_bytes = loading.load(plan, on_read)
        except _TokenizerError:
            reading.result()  # tells the fault
            raise
        self.tokenizer, self.detokenizer = reading.result()
        self.text_model: Any = loaded.eval().requires_grad_(False)
        plan.device_map.move(self.text_model)
        replace_modules(self.text_model, device)
        self.dtype: torch.dtype = self.text_model.dtype
        """Of what is computed."""
        if device.type == "cpu" and self.dtype == torch.bfloat16 and not computes_in_bf16():
            compute_in_fp32(self.text_model)
            self.dtype = torch.float32
        self._check_cancelled: Callable[[], None] = lambda: None
        self._on_share: Callable[[float], None] = lambda _: None
        for module in self.text_model.modules():
            module.before_part = self.check_cancelled
        text = self.text_model.model
        for layers in (text.encoder.language_model.layers, text.decoder.layers):
            for number, layer in enumerate(layers):
                share = number / len(layers)
                layer.register_forward_pre_hook(lambda *_, share=share: self._before_layer(share))
        config = self.text_model.config
        with expert_stream.open_stream(self.text_model, plan.device_map):
            if device.type == "cuda" and find_spec("triton"):
                from engine.quantization.kernels.fused_experts import use_fused_experts

                use_fused_experts(self.text_model, text_config(config).top_k_experts, self.text_model.dtype)
        self.vocab_size: int = config.text_config.vocab_size
        self.canvas_tokens: int = config.canvas_length
        self.prefill_tokens = plan.checkpoint.shape.block_tokens if device.type == "cpu" else 512
        self.max_context_tokens = plan.checkpoint.shape.limit_tokens
        self.default_context_tokens = min(self.max_context_tokens, DEFAULT_CONTEXT_TOKENS)
        self.sampler, self.end_ids, self.pad_id = generation_defaults(self.text_model)
        if plan.has_slow_steps:
            self.sampler = replace(self.sampler, max_steps=min(self.sampler.max_steps, SLOW_STEPS))
        self.end_id = self.tokenizer.end_id
        self.newline_ids = self.detokenizer.ids_with("\n")
        self.fill_id = self.pad_id if self.tokenizer.chats else self.end_id

    def _before_layer(self, share: float) -> None:
        self.check_cancelled()
        self._on_share(share)

    def check_cancelled(self) -> None:
        """What cancelled_by() was given."""
        self._check_cancelled()

    @contextmanager
    def cancelled_by(self, check_cancelled: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """check_cancelled: is called within a pass too, which can take a minute on a processor: before each
        layer, and there before each expert and part of a long product. It may raise.
        """
        before, self._check_cancelled = self._check_cancelled, check_cancelled
        try:
            yield check_cancelled
        finally:
            self._check_cancelled = before

    @contextmanager
    def watched_by(self, on_share: Callable[[float], None]) -> Iterator[None]:
        """on_share: is told the share of a pass that is done, before each layer."""
        before, self._on_share = self._on_share, on_share
        try:
            yield
        finally:
            self._on_share = before

    def held_bytes(self) -> int:
        """What its tensors take, counted where they lie."""
        return int(self.text_model.get_memory_footprint())

    def new_cache(self) -> DynamicCache:
        cache = DynamicCache(config=self.text_model.config.text_config)
        for layer in sliding_layers(cache):
            layer.activate_past_recording()
        return cache

    def prefill(self, cache: DynamicCache, ids: list[int]) -> Tensor:
        """Append ids to the cache through the causal encoder → its last hidden states, (1, ids, hidden). A
        pass that is broken off appends none.

        Raises weights-broken for an id that the model has not: on a card it would end the process.
        """
        if max(ids) >= self.vocab_size:
            message = "The tokenizer is of another model: it makes tokens that this one does not know."
            raise weights_broken(message, f"token {max(ids)} of {self.vocab_size}")
        start, counts = cache.get_seq_length(), token_counts(cache)
        positions = torch.arange(start, start + len(ids), device=self.device)[None]
        given = torch.tensor([ids], device=self.device)
        try:
            output = self.text_model.model.encoder.language_model(
                input_ids=given, past_key_values=cache, position_ids=positions
            )
        except BaseException:
            truncate_cache(cache, counts)
            raise
        for layer in sliding_layers(cache):
            kept = layer.sliding_window - 1 + ROLL_BACK_TOKENS
            if layer.keys.shape[2] > kept:  # a view would hold on to what it leaves out
                layer.keys = layer.keys[:, :, -kept:].clone()
                layer.values = layer.values[:, :, -kept:].clone()
        hidden: Tensor = output.last_hidden_state
        return hidden

    def open_canvases(self, caches: Sequence[DynamicCache], tokens: int | None = None) -> CanvasCache:
        """Room for one canvas after each cache. The caches are not written. tokens: a canvas's; None: the
        model's own.
        """
        text = text_config(self.text_model.config)
        tokens = tokens or self.canvas_tokens
        return CanvasCache(caches, text.layer_types, text.sliding_window, tokens, self.check_cancelled)

    def denoise(
        self, canvases: CanvasCache, ids: Tensor, soft: Tensor | None, places: Tensor | None = None
    ) -> Tensor:
        """ids: (batch, canvas); soft: (batch · canvas, hidden), None at first; places: (rows,), positions
        counted through the batch, None for all → logits (rows, vocab) fp32.

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
        hidden = decoder.norm(hidden).flatten(0, 1)
        return self._logits(canvases, hidden if places is None else hidden[places])

    def _logits(self, canvases: CanvasCache, hidden: Tensor) -> Tensor:
        """hidden: (rows, hidden) → (rows, vocab) fp32, in memory that the canvases keep from step to step."""
        weight: Tensor = self.text_model.lm_head.weight
        if canvases.logits is None:
            canvases.logits = hidden.new_empty(len(hidden), self.vocab_size, dtype=torch.float32)
        logits, cap = canvases.logits[: len(hidden)], self.text_model.final_logit_softcapping
        whole = [slice(0, len(weight))]
        for part in weight_parts(weight, hidden) if self.device.type == "cpu" else whole:
            self.check_cancelled()
            rows, told = weight[part].to(hidden.dtype).t(), logits[:, part]
            if hidden.dtype == torch.float32:
                torch.mm(hidden, rows, out=told)
            else:
                told.copy_(hidden @ rows)
            # cap · tanh(x / cap), by tanh(x) = 2 σ(2x) − 1: on a processor σ takes a third of the time.
            told.mul_(2 / cap).sigmoid_().mul_(2 * cap).sub_(cap)
        return logits

    def soft_embedding(self, draft: Tensor, spread: Tensor, probabilities: Tensor, rows: Tensor) -> Tensor:
        """See Denoiser. Where one token has all the probability, its embedding is the mean: no product over
        the vocabulary.
        """
        embedding = self.text_model.model.decoder.embed_tokens
        weight: Tensor = embedding.weight
        mean = weight[draft].to(self.dtype)
        mean[spread] = mean_embeddings(probabilities, rows, weight, self.dtype, self.check_cancelled)
        scaled: Tensor = mean.mul_(embedding.embed_scale.to(weight.dtype))
        return scaled
