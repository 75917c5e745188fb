"""Load a checkpoint's weights, packed on the way where the precision asks for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.utils import logging as transformers_logging

from engine.checkpoints.files import unreadable
from engine.checkpoints.precision import Precision
from engine.hardware.device_map import CPU_ONLY, DeviceMap
from engine.protocol.errors import FaultError, machine_fault
from engine.quantization import (
    hf_quantizer,  # noqa: F401 - registers the quantizer with the library
    packed_config,
    packed_copy,
)

transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]

READ_FRACTION = 0.8  # of a load's progress, when the packed copy begins to be written


class TextModel(DiffusionGemmaForBlockDiffusion):  # type: ignore[no-untyped-call]
    """DiffusionGemma without its vision tower, which is dropped before any weight is read.

    Each weight is read to its device: nothing is gathered in main memory first.
    """

    _keys_to_ignore_on_load_unexpected = [r"\.vision_tower\.", r"\.embed_vision\."]  # noqa: RUF012

    def __init__(self, config: DiffusionGemmaConfig, device_map: DeviceMap = CPU_ONLY) -> None:
        super().__init__(config)
        del self.model.encoder.vision_tower, self.model.encoder.embed_vision
        self._device_map = device_map

    @staticmethod
    def _load_pretrained_model(
        model: Any, state_dict: Any, checkpoint_files: Any, load_config: Any, expected_keys: Any = None
    ) -> Any:
        """The public way to a device map needs accelerate, which puts hooks of its own into a model."""
        device_map = model._device_map.by_path(model)
        quantiser = load_config.hf_quantizer
        if model._device_map.first.type != "cpu" or (quantiser and not quantiser.pre_quantized):
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


@contextmanager
def _library_progress(
    on_progress: Callable[[float], None], packing: packed_config.PackedConfig | None
) -> Iterator[None]:
    """The library's progress bars, without the bars; a fault of packing ends it."""

    def follow(factory: Any, args: Any, kwargs: Any) -> Any:
        match kwargs.get("desc"):
            case "Loading weights":
                return counted(args[0], 0.0, READ_FRACTION if packing else 1.0)
            case "Writing model shards":
                return counted(args[0], READ_FRACTION, 1.0)
        return factory(*args, **kwargs)

    def counted(parts: Collection[Any], begin: float, end: float) -> Iterator[Any]:
        for number, part in enumerate(parts):
            on_progress(begin + (end - begin) * number / len(parts))
            yield part
            if packing and packing.fault:
                raise packing.fault

    former = transformers_logging.set_tqdm_hook(follow)
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(former)


def load_weights(
    folder: Path,
    device_map: DeviceMap,
    precision: Precision,
    packed_models: Path | None,
    on_progress: Callable[[float], None],
) -> tuple[Any, int]:
    """With the bytes of the packed copy that could not be kept."""
    source, packing = packed_copy.prepare_load(folder, precision, device_map, packed_models)
    model, kind, fault = None, "", ""
    try:
        model = _read_weights(source, device_map, precision, packing, on_progress)
    except FaultError as error:
        if source == folder or error.fault.kind not in ("weights-broken", "weights-missing"):
            raise
        kind, fault = error.fault.kind, error.fault.details
    if model is None:  # outside `except`, whose frames hold what was read
        if kind == "weights-broken":
            packed_copy.delete_packed_copy(source, fault)
        source, packing = packed_copy.prepare_load(folder, precision, device_map)
        model = _read_weights(source, device_map, precision, packing, on_progress)
    if not (packing and packed_models):
        return model, 0
    with _library_progress(on_progress, packing):
        return model, packed_copy.save_packed_copy(model, folder, packed_models)


def _read_weights(
    source: Path,
    device_map: DeviceMap,
    precision: Precision,
    packing: packed_config.PackedConfig | None,
    on_progress: Callable[[float], None],
) -> Any:
    library: Any = TextModel
    try:
        with _library_progress(on_progress, packing):
            model, report = library.from_pretrained(
                source,
                device_map,
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
            raise machine_fault(error) or unreadable(source, error) from error
        raise machine_fault(error) or _misfit(source, str(error)) from error
    unread = {
        name for name, held in model.named_parameters() if held.is_meta
    }  # the library tells no packed ones
    lacking = sorted(unread | report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if lacking:
        raise _misfit(source, "tensors missing or of another shape: " + ", ".join(lacking))
    return model


def _misfit(folder: Path, details: str) -> FaultError:
    return FaultError(
        "weights-broken",
        f"The model in {folder} is damaged: its files do not fit together.",
        "Download the model again, or choose another folder.",
        details,
    )
