"""What a row of the list of models shows: its texts, what can be pressed, how far it is."""

from __future__ import annotations

from dataclasses import dataclass

from app.models.download_job import MOVING, RESUMABLE, DownloadState
from app.models.fit_verdict import PRECISION_LABELS, FitVerdict, device_taken, judge
from app.models.model_entry import ModelEntry
from app.models.progress_text import disk_room_text, has_room, progress_text, unbroken
from app.widgets.device_label import device_label
from engine.checkpoints.precision import PACKED_PRECISIONS, Precision, suitable_precisions
from engine.checkpoints.units import disk_text
from engine.protocol.errors import Fault
from engine.protocol.events import Device, Loading, Ready


@dataclass(frozen=True)
class ModelUse:
    """How the model that the settings name stands."""

    precision: str
    ready: Ready | None
    loading: Loading | None
    fault: Fault | None


@dataclass(frozen=True)
class LoadConditions:
    """What a load would find."""

    devices: tuple[Device, ...]
    """To choose from, without what the model in use holds."""
    context_tokens: int
    variants: int
    instead: bool
    """It would take the place of the model in use."""
    free_disk_bytes: int
    """Where models are kept."""


@dataclass(frozen=True)
class RowState:
    """What a row shows. An empty text is not shown, nor the button that has it."""

    size: str
    licence: str
    source: str
    precisions: dict[object, str]
    """Precision → label."""
    chosen: str
    plans: bool
    """The precision can be chosen, and the verdict is told."""
    verdict: str
    unmeasured: Device | None
    """The card that experts are copied to, at a speed that nobody knows yet."""
    acts: dict[str, str]
    """By the names of ModelRow's buttons."""
    asks_token: bool
    fault: str
    progress: str
    """Of a download or a load."""
    warns: bool
    """There is too little room on the disk."""
    moves: bool
    """A line shows the share."""
    share: float


def row_state(
    entry: ModelEntry,
    use: ModelUse | None,
    conditions: LoadConditions,
    choice: str,
    explained: Fault | None = None,
) -> RowState:
    """use: None for a model that the settings do not name. choice: the precision that this row has for it.
    explained: the failure of a load after which a scan has found a problem, which is told in its place.
    """
    download, chosen = entry.download, use.precision if use else choice
    state = download.state if download else None
    moving, resumable = state in MOVING, state in RESUMABLE
    probed, failed = state is DownloadState.PROBED, state is DownloadState.FAILED
    problem = entry.local.problem if entry.local else ""
    loading, ready = (use.loading, use.ready) if use else (None, None)
    budget = conditions.context_tokens, conditions.variants
    device = device_taken("auto", conditions.devices, entry.shape, chosen, *budget)
    offered = suitable_precisions(entry.precisions, device)
    verdict = _judged(entry, device, chosen if offered else entry.precisions[0], conditions)
    plan = verdict.plan if verdict else None
    fits = plan is None or plan.fits
    size = disk_text(entry.size_bytes) if entry.size_bytes else ""
    fault = download.fault if download else _fault_of_load(entry, use, chosen, problem, explained)
    told = f"{fault.message} {fault.remedy}".strip() if fault else "" if download else problem
    can_use = entry.is_here and not (ready or loading)
    can_download = not entry.is_here and (download is None or probed) and bool(entry.repo)
    can_remove = bool(entry.local and entry.local.removable) and use is None and download is None
    is_probe = bool(download and download.is_probe)
    measured = not (device and plan and plan.streamed_bytes) or device.link_bytes_per_s
    packed_bytes = plan.weights_bytes if plan and plan.precision in PACKED_PRECISIONS else 0
    progress, share, warns = _progress(entry, use, packed_bytes, conditions.free_disk_bytes)
    return RowState(
        size=size or ("Size not known yet" if download else ""),
        licence=f"{entry.licence} licence" if entry.licence and entry.licence_file else "",
        source=_source(entry),
        precisions={each: PRECISION_LABELS[each] for each in ("auto", *offered, chosen)},
        chosen=chosen,
        plans=entry.shape is not None and not (problem and not download),
        verdict=unbroken(verdict.words) if verdict else "Whether it fits is not known yet.",
        unmeasured=None if measured else device,
        acts={
            "use": (("Load it now" if use else "Use") if fits else "Try anyway") if can_use else "",
            "download": (f"Download {size}".strip() if fits else "Download anyway") if can_download else "",
            "resume": ("Try again" if failed else "Resume") if resumable and not probed else "",
            "pause": "Pause" if moving and not is_probe else "",
            "free": "Stop loading" if loading else "Free the memory now" if ready else "",
            "cancel": ("Remove" if is_probe and not moving else "Cancel") if moving or resumable else "",
            "remove": "Remove…" if can_remove else "",
            "forget": "Take off the list" if entry.is_added and use is None else "",
        },
        asks_token=bool(failed and fault and fault.kind == "access"),
        fault=unbroken(told),
        progress=unbroken(progress),
        warns=warns,
        moves=moving or loading is not None,
        share=share,
    )


def _progress(
    entry: ModelEntry, use: ModelUse | None, packed_bytes: int, free_disk_bytes: int
) -> tuple[str, float, bool]:
    """How far it is, in words and as a share, and whether there is too little room for it."""
    download = entry.download
    if download and download.state is not DownloadState.PROBED:
        share = download.done_bytes / download.total_bytes if download.total_bytes else 0.0
        return progress_text(download), share, False
    if use and use.loading:
        return f"{use.loading.stage} · {use.loading.fraction:.0%}", use.loading.fraction, False
    if use and use.ready:
        precision = PRECISION_LABELS.get(use.ready.precision, use.ready.precision)
        return f"In use on {device_label(use.ready.device)} · {precision}", 1.0, False
    if entry.is_here:
        idle = "Not loaded" if use and use.fault else "Not loaded · the next draft loads it"
        return idle if use else "On this computer", 0.0, False
    if entry.repo:
        text = disk_room_text(entry.size_bytes, free_disk_bytes, packed_bytes)
        return text, 0.0, not has_room(entry.size_bytes, free_disk_bytes)
    return "", 0.0, False


def _judged(
    entry: ModelEntry, device: Device | None, chosen: Precision | str, conditions: LoadConditions
) -> FitVerdict | None:
    if entry.shape is None or device is None:
        return None
    tokens, variants, instead = conditions.context_tokens, conditions.variants, conditions.instead
    return judge(entry.shape, entry.precisions, chosen, tokens, device, variants, instead=instead)


def _source(entry: ModelEntry) -> str:
    """Its page, or where it lies, after what is known of a licence that cannot be read here."""
    if entry.known and not entry.repo:
        return ""
    unread = not (entry.licence and entry.licence_file)
    if entry.download and not entry.download.total_bytes:
        unread = False  # nobody has looked yet
    return f"Licence: {entry.licence or 'not stated here'}.\n" * unread + entry.source


def _fault_of_load(
    entry: ModelEntry, use: ModelUse | None, chosen: str, problem: str, explained: Fault | None
) -> Fault | None:
    """None where a scan knows better: it has found a problem, or what was missed is there."""
    fault = use.fault if use else None
    if fault is None or problem or fault is explained:
        return None
    there = entry.is_here and chosen in ("auto", *entry.precisions)
    return None if there and fault.kind in ("input", "weights-missing") else fault
