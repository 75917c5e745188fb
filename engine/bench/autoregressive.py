"""Autoregressive decoding of the same weights, one token at a time.

`decode_by_library` is what the library offers: its encoder, its growing cache, the head. `Autoregressive` is
the same arithmetic without what costs time and gives nothing: the cache has its room from the start, the
norms' weights are part of the matrices behind them, and only the chosen experts are read.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.activations import ACT2FN

from engine.model.diffusion_gemma import DiffusionGemma


@torch.inference_mode()
def decode_by_library(library: Any, ids: list[int], count: int) -> list[int]:
    """The `count` likeliest tokens after ids, end tokens or not. library: see LibraryModel."""
    cache = None
    given = torch.tensor([ids], device=library.device)
    decoded = []
    for _ in range(count):
        output = library.model.encoder.language_model(input_ids=given, past_key_values=cache)
        cache = output.past_key_values
        given = library.lm_head(output.last_hidden_state[:, -1]).argmax(-1, keepdim=True)
        decoded.append(given)
    ids_after: list[int] = torch.cat(decoded, dim=-1)[0].tolist()
    return ids_after


class Autoregressive:
    """Holds a second copy of the matrices it folds norms into."""

    @torch.inference_mode()
    def __init__(self, model: DiffusionGemma) -> None:
        text, self._model = model.text_model, model
        self._encoder: Any = text.model.encoder.language_model
        self._kinds = list(self._encoder.config.layer_types)
        self._layers = [_Layer(layer, self._encoder.config) for layer in self._encoder.layers]
        self._embedding = self._encoder.embed_tokens.weight
        self._embed_scale = self._encoder.embed_tokens.embed_scale.to(self._embedding.dtype)
        self._head = text.lm_head.weight * _gain(self._encoder.norm)
        self._floor = _floor(self._encoder.norm, self._embedding.shape[1])
        self._cap: float = text.final_logit_softcapping

    @torch.inference_mode()
    def decode(self, ids: list[int], count: int, temperature: float = 0.0, seed: int = 0) -> list[int]:
        """The `count` tokens after ids, end tokens or not; temperature 0 takes the likeliest."""
        generator = torch.Generator(self._model.device).manual_seed(seed)
        room = len(ids) + count
        caches = self._prefill(ids[:-1], room)
        turns = self._turns(room)
        token = torch.tensor(ids[-1], device=self._model.device)
        decoded = []
        for place in range(len(ids) - 1, room - 1):
            hidden = self._embedding[token] * self._embed_scale
            for layer, kind, cache in zip(self._layers, self._kinds, caches, strict=True):
                hidden = layer(hidden, turns[kind], cache, place)
            scores = torch.mv(self._head, _unit(hidden, self._floor))
            if temperature:
                scores = torch.tanh(scores / self._cap) * (self._cap / temperature)
                scores -= torch.empty_like(scores).exponential_(generator=generator).log_()
            token = scores.argmax()
            decoded.append(token)
        ids_after: list[int] = torch.stack(decoded).tolist()
        return ids_after

    def _prefill(self, ids: list[int], room: int) -> list[tuple[Tensor, ...]]:
        """Each layer's keys and values, (heads, room, head_dim). A sliding layer kept only the last ones."""
        cache: Any = self._model.new_cache()
        if ids:
            self._model.prefill(cache, ids)
        slabs = [self._head.new_empty(2, one.kv_heads, room, one.head_dim) for one in self._layers]
        for slab, read in zip(slabs, cache.layers if ids else (), strict=False):
            slab[:, :, len(ids) - read.keys.shape[2] : len(ids)] = torch.cat((read.keys, read.values))
        return [slab.unbind() for slab in slabs]

    def _turns(self, room: int) -> dict[str, tuple[Tensor, Tensor]]:
        """Cosines and sines (room, head_dim) of the rotary embedding, by kind of layer."""
        positions = torch.arange(room, device=self._model.device)[None]
        turns = {}
        for kind in set(self._kinds):
            cosine, sine = self._encoder.rotary_emb(self._head, positions, kind)
            # For roll(), where the library swaps the halves and negates one.
            sine[..., : sine.shape[-1] // 2].neg_()
            turns[kind] = (cosine[0], sine[0])
        return turns


class _Layer:
    """One encoder layer for one token."""

    def __init__(self, layer: Any, config: Any) -> None:
        attention, mlp, router, experts = layer.self_attn, layer.mlp, layer.router, layer.experts
        self.head_dim: int = attention.head_dim
        self.kv_heads: int = attention.k_proj.out_features // self.head_dim
        self._heads: int = attention.q_proj.out_features // self.head_dim
        self._window: int | None = attention.sliding_window
        self._floor = _floor(layer.input_layernorm, config.hidden_size)
        self._head_floor = _floor(attention.q_norm, self.head_dim)

        projections = [attention.q_proj.weight, attention.k_proj.weight]
        if attention.v_proj is not None:  # else the values are the keys before their norm
            projections.append(attention.v_proj.weight)
        self._qkv = torch.cat(projections) * _gain(layer.input_layernorm)
        gains = (_gain(attention.q_norm),) * self._heads + (_gain(attention.k_norm),) * self.kv_heads
        self._head_gains = torch.stack(gains)
        self._value_gain = self.head_dim**0.5
        self._out = attention.o_proj.weight
        self._after_attention = _gain(layer.post_attention_layernorm)

        before_mlp = _gain(layer.pre_feedforward_layernorm)
        self._gate_up = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * before_mlp
        self._down = mlp.down_proj.weight
        self._after_mlp = _gain(layer.post_feedforward_layernorm_1)
        self._activation = ACT2FN[config.hidden_activation]  # for one row one kernel is best

        self._top_k: int = config.top_k_experts
        self._router = router.proj.weight * router.scale * router.scalar_root_size * config.hidden_size**0.5
        self._per_expert_scale = router.per_expert_scale
        self._before_experts = _gain(layer.pre_feedforward_layernorm_2)
        self._experts_gate_up = experts.gate_up_proj.unbind()
        self._experts_down = experts.down_proj.unbind()
        self._after_experts = _gain(layer.post_feedforward_layernorm_2)

        self._scalar = layer.layer_scalar
        self._last = _gain(layer.post_feedforward_layernorm) * layer.layer_scalar

    def __call__(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], cache: tuple[Tensor, ...], place: int
    ) -> Tensor:
        """hidden: (hidden,); cache: keys and values, (heads, room, head_dim), written at `place`."""
        (cosine, sine), (keys, values) = turns, cache
        heads = torch.mv(self._qkv, _unit(hidden, self._floor)).view(-1, self.head_dim)
        heads = _unit(heads, self._head_floor)
        turned = heads[: self._heads + self.kv_heads] * self._head_gains
        turned = torch.addcmul(turned * cosine[place], turned.roll(self.head_dim // 2, -1), sine[place])
        keys[:, place] = turned[self._heads :]
        values[:, place] = heads[-self.kv_heads :] * self._value_gain
        seen = slice(0 if self._window is None else max(0, place + 1 - self._window), place + 1)
        attended = functional.scaled_dot_product_attention(
            turned[None, : self._heads, None],
            keys[None, :, seen],
            values[None, :, seen],
            scale=1.0,
            enable_gqa=self._heads != self.kv_heads,
        )
        update = _unit(torch.mv(self._out, attended.flatten()), self._floor)
        hidden = torch.addcmul(hidden, update, self._after_attention)

        normed = _unit(hidden, self._floor)
        gate, up = torch.mv(self._gate_up, normed).chunk(2)
        dense = _unit(torch.mv(self._down, self._activation(gate).mul_(up)), self._floor)
        update = (dense * self._after_mlp).addcmul_(
            _unit(self._mixture(normed), self._floor), self._after_experts
        )
        return torch.addcmul(hidden * self._scalar, _unit(update, self._floor), self._last)

    def _mixture(self, normed: Tensor) -> Tensor:
        scores, chosen = torch.mv(self._router, normed).topk(self._top_k)
        shares = scores.softmax(-1, dtype=torch.float32) * self._per_expert_scale[chosen]
        experts = chosen.tolist()
        given = normed * self._before_experts
        raised = torch.stack([torch.mv(self._experts_gate_up[expert], given) for expert in experts])
        gate, up = raised.chunk(2, dim=-1)
        inner = self._activation(gate).mul_(up).mul_(shares[:, None])
        mixed = torch.mv(self._experts_down[experts[0]], inner[0])
        for expert, row in zip(experts[1:], inner[1:], strict=True):
            mixed.addmv_(self._experts_down[expert], row)
        return mixed


def _unit(vectors: Tensor, floor: Tensor) -> Tensor:
    """vectors / √(Σ x² + floor²): with _gain, the library's norm."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / length.hypot_(floor)


def _gain(norm: Any) -> Tensor:
    """What _unit has to be multiplied with to be the norm."""
    gain: Tensor = norm.weight * norm.weight.shape[0] ** 0.5
    return gain


def _floor(norm: Any, size: int) -> Tensor:
    floor: Tensor = norm.weight.new_tensor((size * norm.eps) ** 0.5)
    return floor
