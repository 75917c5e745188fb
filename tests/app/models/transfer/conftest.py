"""A hub, and tries to download from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.models.transfer import installation
from app.models.transfer.hub_download import HubDownload
from app.models.transfer.messages import Done, HubOrder, Report
from engine.protocol.errors import Fault, FaultError
from tests.app.models.hub_server import (
    COMMIT,
    REPO,
    WEIGHTS,
    Hub,
)


class Try:
    """One try of an order: what it told, and how long it waited."""

    def __init__(self, order: HubOrder, endpoint: str) -> None:
        self.reports: list[Report] = []
        self.waits_s: list[float] = []
        self.fault: Fault | None = None
        try:
            HubDownload(order, self.reports.append, endpoint=endpoint, wait=self.waits_s.append).run()
        except FaultError as error:
            self.fault = error.fault

    @property
    def done(self) -> bool:
        return self.reports[-1:] == [Done()]


@pytest.fixture
def begun(folder: Path, hub: Hub) -> Path:
    """The weights, of which an earlier try has brought 700,000 bytes."""
    partial = installation.partial(folder)
    partial.mkdir(parents=True)
    installation.write_record(partial, installation.InstallRecord(repo=REPO, revision=COMMIT))
    (partial / WEIGHTS).write_bytes(hub.files[WEIGHTS][:700_000])
    return partial / WEIGHTS
