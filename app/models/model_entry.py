"""The entries of the list of models: those here, those to be had, those on their way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.models import library
from app.models.download_job import DownloadJob
from app.models.library import LocalModel
from app.models.transfer import installation
from app.models.transfer.file_names import name_of
from engine.checkpoints.catalogue import KNOWN_MODELS, KnownModel
from engine.checkpoints.model_shape import ModelShape, read_shape
from engine.checkpoints.precision import LOADABLE_PRECISIONS, Precision
from engine.installation import ROOT
from engine.protocol.errors import FaultError

HUB = "https://huggingface.co/"
_ANY: tuple[Precision, ...] = ("fp32", *LOADABLE_PRECISIONS)
_LICENCE_TEXTS = {"apache-2.0": ROOT / "LICENSE"}


@dataclass(frozen=True)
class ModelEntry:
    """One model."""

    known: KnownModel | None = None
    """Of the catalogue."""
    local: LocalModel | None = None
    """Of this computer."""
    download: DownloadJob | None = None
    """On its way."""
    is_added: bool = False
    """Its folder is one of the writer's own."""

    @property
    def folder(self) -> Path:
        return (self.local or self.known or self._on_its_way).folder

    @property
    def model(self) -> str:
        """What a load takes."""
        return self.local.model if self.local else self.known.name if self.known else str(self.folder)

    @property
    def label(self) -> str:
        if self.known:
            return self.known.label
        if self.local:
            return self.local.label
        coming = self._on_its_way
        return Path(coming.name).name if coming.is_import else coming.name

    @property
    def good_at(self) -> str:
        if self.known:
            return self.known.good_at
        return "A model of your own choice; Mezzotint knows nothing about how it writes."

    @property
    def size_bytes(self) -> int:
        """On the disk, once it is whole; 0 while nobody knows."""
        if self.is_here and self.local:
            return self.local.size_bytes
        if self.download and self.download.total_bytes:
            return self.download.total_bytes
        return self.known.download_bytes if self.known else 0

    @property
    def is_here(self) -> bool:
        return self.local is not None and not self.local.problem

    def is_meant(self, model: str) -> bool:
        """By a catalogue name, or a folder, however it is written."""
        if model == self.model or any(model == known.name for known in KNOWN_MODELS):
            return model == self.model
        return bool(model) and library.real_path(model) == library.real_path(str(self.folder))

    @property
    def repo(self) -> str:
        """Where it can be downloaded from; empty if nowhere."""
        if self.known:
            return "" if self.known.bundled else self.known.source
        if self.download:
            return "" if self.download.is_import else self.download.name
        return self.local.repo if self.local else ""

    @property
    def source(self) -> str:
        """Its page, or where it lies."""
        return f"{HUB}{self.repo}" if self.repo else str(self.folder)

    @property
    def licence(self) -> str:
        """Its short name; empty where nobody tells."""
        tellers = (self.known, self.local, self.download)
        return next((teller.licence for teller in tellers if teller and teller.licence), "")

    @property
    def licence_file(self) -> Path | None:
        """Its text: the model's own, or, for a licence whose text is the same everywhere, ours."""
        own = self.local.licence_file if self.local else library.licence_in(installation.partial(self.folder))
        common = _LICENCE_TEXTS.get(self.licence.casefold())
        return own or (common if common and common.is_file() else None)

    @cached_property
    def shape(self) -> ModelShape | None:
        """None while nobody knows."""
        if self.known is None and self.local and self.local.shape:
            return self.local.shape
        try:
            return read_shape(self.known.describes if self.known else installation.partial(self.folder))
        except FaultError:
            return None

    @property
    def precisions(self) -> Sequence[Precision]:
        if self.local and self.local.packed:
            return (self.local.packed,)
        return self.known.precisions if self.known else _ANY

    @property
    def _on_its_way(self) -> DownloadJob:
        assert self.download is not None
        return self.download


def model_entries(
    models: Iterable[LocalModel] | None, added: Iterable[str], downloads: Iterable[DownloadJob]
) -> list[ModelEntry]:
    """Those of the catalogue first. models: those here, None while nobody knows; added: the writer's own
    folders.
    """
    folders = [Path(folder) for folder in added]
    moving = {item.folder: item for item in downloads}
    known = {known.folder: known for known in KNOWN_MODELS if models is not None or known.folder in moving}
    local = {
        model.folder: model
        for model in models or ()
        if model.removable or model.folder in known or model.folder in folders  # not taken off the list since
    }
    return [
        ModelEntry(known.get(folder), local.get(folder), moving.get(folder), folder in folders)
        for folder in dict.fromkeys((*known, *local, *moving))
    ]


def catalogue_name(source: Path) -> str:
    """The catalogue's name of the model in that folder, going by where it says it comes from, or empty."""
    record = installation.read_record(source)
    for known in KNOWN_MODELS:
        names = (known.name, known.source.replace("/", "--"), known.source.rpartition("/")[2])
        if not known.bundled and (name_of(source) in names or (record and record.repo == known.source)):
            return known.name
    return ""
