"""Save, find and check the packed copy of a model."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.files import INDEX, packed_copy_folder
from engine.checkpoints.precision import PACKED_PRECISIONS, Precision
from engine.checkpoints.units import PRECISION_NAMES
from engine.protocol.errors import FaultError
from engine.quantization.packed_config import FORMAT, PackedConfig, needs_bitsandbytes

SHARD = "500MB"  # of which one at a time is copied from the device; no thread can run while it is written
SEAL = "fingerprint"
UNFINISHED = ".part"
ABANDONED_S = 600  # without a change; a save changes its folder every few seconds
SAMPLES, SAMPLE_BYTES = 64, 4096

log = logging.getLogger(__name__)


class LoadSource(NamedTuple):
    """A folder to load a model from."""

    folder: Path
    packing: PackedConfig | None
    """The quantization_config to load it with; None if there is nothing to pack."""


def load_sources(checkpoint: Checkpoint, precision: Precision, cache: Path | None = None) -> list[LoadSource]:
    """Where the model can be loaded from: its packed copy, if the cache has one, and the original.

    What saves that were cut short have left in the cache is deleted. Raises input where the folder is itself
    a packed copy, in another precision, or nothing can be packed.
    """
    if cache:
        _delete_unfinished(cache)
    folder, packed = checkpoint.folder, checkpoint.shape.packed
    if needs_bitsandbytes(precision) and not find_spec("bitsandbytes"):
        message = (
            f"The precision {PRECISION_NAMES[precision]} needs bitsandbytes, which is not installed here."
        )
        raise FaultError("input", message, f"Choose {PRECISION_NAMES['bf16']}, or install bitsandbytes.")
    if packed and packed != precision:
        raise FaultError(
            "input",
            f"The model in {folder} is packed as {PRECISION_NAMES[packed]}: "
            f"it cannot be loaded as {PRECISION_NAMES[precision]}.",
            f"Choose {PRECISION_NAMES[packed]}, or the folder of the original model.",
        )
    if packed or precision not in PACKED_PRECISIONS:
        return [LoadSource(folder, None)]
    config = PackedConfig(precision, fingerprint(checkpoint, dated=True))
    original = LoadSource(folder, config)
    if cache and _is_whole(copy := packed_copy_folder(folder, precision, cache), config):
        return [LoadSource(copy, None), original]
    return [original]


def save_packed_copy(model: Any, folder: Path, cache: Path) -> int:
    """Keep the packed model, complete with what else the folder holds, in place of a copy that is not whole
    → the bytes that could not be kept; why is logged. A newer version's copy stays.

    The library's progress hook may end it.
    """
    config: PackedConfig = model.config.quantization_config
    copy = packed_copy_folder(folder, config.precision, cache)
    needed: int = sum(parameter.nbytes for parameter in model.parameters())
    try:
        if _is_whole(copy, config) or _is_newer(copy):  # another process has packed it too
            return 0
        shutil.rmtree(copy, ignore_errors=True)
        _delete_unfinished(cache)
        cache.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(cache).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryDirectory(
            UNFINISHED, f"{copy.name}-", cache, ignore_cleanup_errors=True
        ) as unfinished:
            _write(model, folder, Path(unfinished))
            Path(unfinished).rename(copy)
    except (OSError, SafetensorError, RuntimeError, MemoryError, FaultError) as error:
        if _is_whole(copy, config):  # it was the first to finish
            return 0
        log.warning("The packed model was not saved in %s; the next start packs it again: %s", cache, error)
        return needed
    return 0


def _write(model: Any, folder: Path, unfinished: Path) -> None:
    model.save_pretrained(unfinished, max_shard_size=SHARD, save_original_format=False)
    for path in folder.iterdir():
        if path.is_file() and path.suffix != ".safetensors" and path.name not in ("config.json", INDEX):
            shutil.copy2(path, unfinished)
    (unfinished / SEAL).write_text(fingerprint(Checkpoint.open(unfinished)))
    for path in unfinished.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def delete_packed_copy(copy: Path, fault: str) -> None:
    """A whole copy that the library cannot load: another version of it has saved it, say."""
    log.warning("The packed copy in %s cannot be loaded and is deleted: %s", copy, fault)
    shutil.rmtree(copy, ignore_errors=True)


def _delete_unfinished(cache: Path) -> None:
    for left in cache.glob("*" + UNFINISHED):
        with contextlib.suppress(OSError):  # another process has just deleted or renamed it
            changed = max(path.stat().st_mtime for path in (left, *left.iterdir()))
            if time.time() - changed > ABANDONED_S:
                shutil.rmtree(left)


def fingerprint(checkpoint: Checkpoint, *, dated: bool = False) -> str:
    """sha256 over the configuration and each weight file's name, size, header and evenly spread samples.

    The header alone would not tell a model that was trained further. dated: and over when each weight file
    was changed last, which tells a change between the samples; a packed copy may be moved.
    """
    digest = hashlib.sha256(checkpoint.config_json)
    if (defaults := checkpoint.folder / "generation_config.json").is_file():
        digest.update(defaults.read_bytes())
    for path in checkpoint.weight_files:
        size = path.stat().st_size
        changed = path.stat().st_mtime_ns if dated else ""
        digest.update(f"\n{path.name} {size} {changed}\n".encode())
        with path.open("rb") as file:
            length = file.read(8)
            digest.update(length + file.read(int.from_bytes(length, "little")))
            for index in range(SAMPLES):
                file.seek((size - SAMPLE_BYTES) * index // (SAMPLES - 1) if size > SAMPLE_BYTES else 0)
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _is_newer(copy: Path) -> bool:
    """Whether a newer version of Mezzotint has packed it."""
    try:
        packed = json.loads((copy / "config.json").read_bytes())["quantization_config"]
        return int(packed["format"]) > FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_whole(copy: Path, config: PackedConfig) -> bool:
    if not copy.is_dir():
        return False
    try:
        packed = Checkpoint.open(copy)
        if json.loads(packed.config_json).get("quantization_config") != config.to_dict():
            return False
        return (copy / SEAL).read_text() == fingerprint(packed)
    except (OSError, ValueError, FaultError) as error:
        log.info("The packed copy in %s is damaged and will be made again: %s", copy, error)
        return False
