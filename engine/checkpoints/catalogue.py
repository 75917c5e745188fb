"""The catalogue of known models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.precision import LOADABLE_PRECISIONS, Precision
from engine.installation import RESOURCES
from engine.protocol.errors import FaultError

BUNDLED = RESOURCES / "models"


@dataclass(frozen=True)
class KnownModel:
    """A model that Mezzotint offers."""

    name: str
    """What a load and the command line take."""
    label: str
    source: str
    """Where the weights come from."""
    licence: str
    good_at: str
    describes: Path
    """A folder that holds at least config.json."""
    precisions: tuple[Precision, ...]
    """Those worth choosing from, the largest first."""
    download_bytes: int
    """About; 0 if bundled."""
    bundled: bool

    @property
    def folder(self) -> Path:
        return self.describes if self.bundled else models_folder() / self.name

    @property
    def installed(self) -> bool:
        try:
            Checkpoint.open(self.folder)
        except FaultError:
            return False
        return True


STARTER = KnownModel(
    name="starter",
    label="Starter model",
    source="bundled",
    licence="Apache-2.0",
    good_at="Shows on any computer how drafting works; its everyday English is often clumsy.",
    describes=BUNDLED / "starter",
    precisions=("fp32", "bf16"),
    download_bytes=0,
    bundled=True,
)
GEMMA_26B = KnownModel(
    name="diffusiongemma-26b",
    label="DiffusionGemma 26B",
    source="google/diffusiongemma-26B-A4B-it",
    licence="Apache-2.0",
    good_at="Writes paragraphs that follow your text and your instruction; check every fact it states.",
    describes=BUNDLED / "diffusiongemma-26b",
    precisions=LOADABLE_PRECISIONS,
    download_bytes=51_700_000_000,
    bundled=False,
)
KNOWN_MODELS = (STARTER, GEMMA_26B)


def models_folder() -> Path:
    """Where models are that were downloaded or imported."""
    return platformdirs.user_data_path("mezzotint") / "models"


def packed_models_folder() -> Path:
    """Where packed copies of models are kept."""
    return platformdirs.user_data_path("mezzotint") / "packed"


def resolve_model(model: str) -> tuple[Path, str]:
    """The folder and the label of a catalogue name or a folder; its files are not looked at yet.

    Raises input.
    """
    for known in KNOWN_MODELS:
        if known.name == model:
            return known.folder, known.label
    if model != (shown := model.encode(errors="replace").decode()):
        raise FaultError("input", f"The name “{shown}” is not UTF-8.", "Rename the folder.")
    folder = Path(os.path.expanduser(model))  # noqa: PTH111 - Path's raises for a user who is not there
    if model and os.path.isdir(folder):
        return folder, folder.resolve().name
    names = ", ".join(known.name for known in KNOWN_MODELS)
    raise FaultError("input", f"There is no model “{model}”.", f"Give a folder, or one of: {names}.")
