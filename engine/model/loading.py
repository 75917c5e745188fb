"""Load a checkpoint's weights, packed on the way where the precision asks for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.utils import logging as transformers_logging

from engine.checkpoints.files import unreadable
from engine.hardware.device_map import CPU_ONLY, DeviceMap
from engine.model.load_config import LoadPlan
from engine.protocol.errors import FaultError, machine_fault, weights_broken
from engine.quantization import (
    hf_quantizer,  # noqa: F401 - registers the quantizer with the library
    packed_copy,
)
from engine.quantization.packed_config import PackedConfig
from engine.quantization.packed_copy import LoadSource

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
        self.device_map = device_map

    @staticmethod
    def _load_pretrained_model(
        model: Any, state_dict: Any, checkpoint_files: Any, load_config: Any, expected_keys: Any = None
    ) -> Any:
        """Private to the library. Its public device_map= asks for accelerate, which would put hooks of its
        own into the model; and its state_dict= takes no folder beside it.
        """
        quantizer = load_config.hf_quantizer
        if model.device_map.first.type != "cpu" or (quantizer and not quantizer.pre_quantized):
            state_dict = _unmapped(checkpoint_files)  # a processor runs what is not packed where it is mapped
        load_config = replace(load_config, device_map=model.device_map.by_path(model))
        return DiffusionGemmaForBlockDiffusion._load_pretrained_model(
            model, state_dict, checkpoint_files, load_config, expected_keys
        )

    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        """Private to the library, which looks for a decorator in the source file of the class."""
        return True


def _unmapped(checkpoint_files: Sequence[str]) -> dict[str, Any]:
    """The tensors, each read when it is asked for.

    The library maps the files, in a way that Linux refuses for one larger than the main memory.
    """
    files: list[Any] = [safe_open(path, framework="pt", backend="pread") for path in checkpoint_files]
    return {name: file.get_slice(name) for file in files for name in file.keys()}  # noqa: SIM118


@contextmanager
def _library_progress(on_progress: Callable[[float], None], packing: PackedConfig | None) -> Iterator[None]:
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
            share = begin + (end - begin) * number / len(parts)
            on_progress(share)
            if packing:
                packing.before_expert = partial(on_progress, share)
            yield part
            if packing and packing.fault:
                raise packing.fault

    former = transformers_logging.set_tqdm_hook(follow)
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(former)


def load(plan: LoadPlan, on_progress: Callable[[float], None]) -> tuple[Any, int]:
    """The model, and the bytes of its packed copy that could not be kept.

    on_progress: see DiffusionGemma. A packed copy that proves broken is deleted; one that cannot be read now
    stays. Either way the original is loaded then. Raises weights-broken, weights-missing, and what
    machine_fault() knows.
    """
    sources = packed_copy.load_sources(plan.checkpoint, plan.precision, plan.packed_models)
    for source in sources:
        try:
            model = _read_weights(source, plan, on_progress)
            break
        except FaultError as error:
            fault = error.fault
            if source is sources[-1] or fault.kind not in ("weights-broken", "weights-missing"):
                raise
        # Here the error is gone, and with its frames what was read: both at once would not fit.
        if fault.kind == "weights-broken":
            packed_copy.delete_packed_copy(source.folder, fault.details)
    if not (source.packing and plan.packed_models):
        return model, 0
    with _library_progress(on_progress, source.packing):
        return model, packed_copy.save_packed_copy(model, plan.checkpoint.folder, plan.packed_models)


def _read_weights(source: LoadSource, plan: LoadPlan, on_progress: Callable[[float], None]) -> Any:
    library: Any = TextModel
    try:
        with _library_progress(on_progress, source.packing):
            model, report = library.from_pretrained(
                source.folder,
                plan.device_map,
                quantization_config=source.packing,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32 if plan.precision == "fp32" else torch.bfloat16,
                attn_implementation="sdpa",
                experts_implementation="grouped_mm",
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        # An OSError without a number is the library's own word.
        if (isinstance(error, OSError) and error.errno) or "(os error " in str(error):
            raise machine_fault(error) or unreadable(source.folder, error) from error
        raise machine_fault(error) or _misfit(source.folder, str(error)) from error
    # The library's report leaves out what was to be packed.
    unread = {name for name, held in model.named_parameters() if held.is_meta} | report["missing_keys"]
    lacking = sorted(unread) + sorted(str(key) for key in report["mismatched_keys"])
    if lacking:
        raise _misfit(source.folder, "tensors missing or of another shape: " + ", ".join(lacking))
    return model


def _misfit(folder: Path, details: str) -> FaultError:
    return weights_broken(f"The model in {folder} is damaged: its files do not fit together.", details)
