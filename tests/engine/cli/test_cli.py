"""The command line as a process: what is printed where, and the exit codes."""

from __future__ import annotations

import argparse
import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from engine.cli import listing
from engine.hardware import nvidia, torch_devices
from engine.hardware.device_groups import combined_device
from engine.model import link_speed
from engine.protocol.codec import decode_event
from engine.protocol.events import Device, Finished, Frame, Loading, Prefilled, Ready
from tests.fakes import nvidia_card

ENGINE = [sys.executable, "-m", "engine"]
ROOT = Path(__file__).parents[3]
FP32 = ("--device", "cpu", "--precision", "fp32")  # bf16 is slow on a processor that has no arithmetic for it


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*ENGINE, *arguments], input=stdin, capture_output=True, cwd=ROOT, timeout=120)


@pytest.mark.both_worlds
def test_draft_prints_events_and_nothing_else(tmp_path: Path) -> None:
    before = tmp_path / "before.txt"
    before.write_text("Dear Anna,\n\nThank you for your letter. ")
    done = run("draft", "--before", str(before), "--seed", "7", "--steps", "4", "--events")
    assert done.returncode == 0, done.stderr
    events = [decode_event(line) for line in done.stdout.splitlines()]
    kinds = [type(event) for event in events]
    assert kinds[0] is Loading
    assert kinds.index(Ready) < kinds.index(Prefilled) < kinds.index(Frame)
    assert isinstance(events[-1], Finished)


def test_draft_prints_the_paragraph_alone_and_reads_standard_input() -> None:
    done = run("draft", "--before", "-", "--steps", "6", *FP32, stdin="Dear Émile,\n\n".encode())
    assert done.returncode == 0
    assert done.stdout.strip()
    assert b"step" not in done.stdout
    assert b"\x1b" not in done.stdout
    assert "Starter model" in done.stderr.decode()


def test_a_draft_sharpens_in_place_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*ENGINE, "draft", "--steps", "3", *FP32], stdout=theirs, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:  # Linux tells the end of a terminal so
            pass
        assert process.wait(60) == 0
    os.close(ours)
    assert b"step 0 of up to 3" in shown
    last = shown.rpartition(b"\x1b[J")[2].decode()
    assert "step" not in last
    assert last.strip()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["draft", "--before", "/nowhere.txt"], "/nowhere.txt"),
        (["draft", "--steps", "0"], "0"),
        (["draft", "--steps", "129"], "129"),
        (["draft", "--steps", "many"], "many"),
        (["draft", "--seed", "-1"], "-1"),
        (["draft", "--canvases", "9"], "9"),
        (["draft", "--model", "nix"], "nix"),
        (["draft", "--device", "cuda:99"], "cuda:99"),
        (["paint"], "paint"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage_and_input_exit_with_2_and_a_plain_message(arguments: list[str], named: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert named in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_file_that_is_not_utf8_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("Émile".encode("latin-1"))
    done = run("draft", "--before", str(tmp_path / "latin.txt"))
    assert done.returncode == 2
    assert "UTF-8" in done.stderr.decode()


def test_a_model_that_is_not_there_exits_with_1() -> None:
    done = run("draft", "--model", "diffusiongemma-26b")
    assert done.returncode == 1
    assert "config.json" in done.stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full")
def test_results_that_cannot_be_written_are_told() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*ENGINE, "models"], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, timeout=120)
    assert done.returncode == 1
    assert b"cannot be written: No space left on device." in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell that closes a standard stream")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("models >&-", 1),
        ("devices --json >&-", 1),
        ("draft --steps 2 >&-", 1),
        ("draft --before - <&-", 2),
        ("serve <&-", 2),
        ("serve >&-", 2),
    ],
)
def test_a_standard_stream_that_is_closed_is_told_in_one_line(command: str, code: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m engine {command}', sys.executable],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=ROOT,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (code, b"")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a shell that closes a standard stream")
def test_results_come_where_nobody_reads_the_diagnostics() -> None:
    shell = ["sh", "-c", 'exec "$0" -m engine devices --json 2>&-', sys.executable]
    done = subprocess.run(shell, stdout=subprocess.PIPE, cwd=ROOT, timeout=120)
    assert done.returncode == 0
    assert json.loads(done.stdout)[-1]["id"] == "cpu"


def test_an_interrupt_exits_with_130() -> None:
    command = [*ENGINE, "draft", "--events", "--no-early-stop", "--steps", "128", "--canvases", "4", *FP32]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if isinstance(decode_event(line), Frame):
                break
        process.send_signal(signal.SIGINT)
        rest, _errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert json.loads(rest.splitlines()[-1])["type"] == "cancelled"


def test_devices() -> None:
    rows = json.loads(run("devices", "--json").stdout)
    assert set(rows[-1]) == {"id", "name", "total_bytes", "free_bytes"}
    assert rows[-1]["id"] == "cpu"
    assert run("devices").stdout.decode().splitlines()[-1].startswith("cpu\t")


def test_a_build_for_the_processor_beside_a_card_is_told_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch_devices, "nvidia_gpus", lambda: (nvidia_card("RTX 4090", "GPU-1", 0, 0),))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    out = io.StringIO()
    assert listing.list_devices(argparse.Namespace(json=True), out) == 0
    assert json.loads(out.getvalue())[-1]["id"] == "cpu"
    told = capfd.readouterr().err
    assert "RTX 4090" in told
    assert "python3 packaging/dev.py run" in told


def test_devices_have_their_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Device(id="cuda:0", name="RTX 4090", total_bytes=24, free_bytes=20, uuid="GPU-1")
    monkeypatch.setattr(torch_devices, "devices", lambda: (card,))
    out = io.StringIO()
    listing.list_devices(argparse.Namespace(json=True), out)
    assert json.loads(out.getvalue()) == [
        {"id": "cuda:0", "name": "RTX 4090", "total_bytes": 24, "free_bytes": 20, "uuid": "GPU-1"}
    ]


def models(**options: Any) -> str:
    out = io.StringIO()
    listing.list_models(argparse.Namespace(**options), out)
    return out.getvalue()


SMALL = Device(
    id="cuda:0",
    name="RTX 4060",
    total_bytes=8 << 30,
    free_bytes=int(7.8 * 2**30),
    main_free_bytes=24 << 30,
    pcie_generation=4,
    pcie_lanes=8,
)


def test_a_plan_that_streams_tells_how_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_devices, "devices", lambda: (SMALL,))
    monkeypatch.setattr(link_speed, "measure_card", lambda card: 12 << 30 if card == SMALL else 0)
    starter, real = json.loads(models(json=True, memory=None))
    assert not any(plan["speed"] for plan in starter["plans"])
    told = {(plan["precision"], plan["context_tokens"]): plan for plan in real["plans"]}
    assert told["bf16", 2048]["speed"] is None
    tight = told["4-bit-tight", 2048]
    step_s = tight["streamed_bytes"] / (12 << 30)
    assert tight["speed"] == {
        "pcie_generation": 4,
        "pcie_lanes": 8,
        "link_bytes_per_s": 12 << 30,
        "step_bytes": tight["streamed_bytes"],
        "weights_bytes": tight["weights_bytes"],
        "step_s": pytest.approx(step_s),
        "paragraph_s": pytest.approx([14 * step_s, 24 * step_s]),
        "words": tight["speed"]["words"],
    }
    line = next(
        line for line in models(json=False, memory=None).splitlines() if "tight, context 2048" in line
    )
    assert line.endswith(f", which is slower: {tight['speed']['words']}")


def test_where_nothing_streams_no_link_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_speed, "measure_card", lambda _: pytest.fail("measured"))
    for card in (
        msgspec.structs.replace(SMALL, free_bytes=60 << 30),
        msgspec.structs.replace(SMALL, id="cpu", main_free_bytes=0),
    ):
        monkeypatch.setattr(torch_devices, "devices", lambda card=card: (card,))
        assert "a paragraph" not in models(json=False, memory=None)
    monkeypatch.setattr(torch_devices, "devices", lambda: (SMALL,))
    assert "a paragraph" not in models(json=False, memory=8 << 30)


def test_a_link_that_cannot_be_measured_leaves_the_plans(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(_: Device) -> int:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(torch_devices, "devices", lambda: (SMALL,))
    monkeypatch.setattr(link_speed, "measure_card", full)
    _, real = json.loads(models(json=True, memory=None))
    assert [plan["speed"] for plan in real["plans"] if plan["streamed_bytes"]] != []
    assert not any(plan["speed"] for plan in real["plans"])
    assert "RTX 4060" in capfd.readouterr().err


@pytest.mark.parametrize("fp8", [False, True])
def test_fp8_is_planned_where_its_kernels_are(fp8: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Device(id="cuda:0", name="RTX 5090", total_bytes=32 << 30, free_bytes=32 << 30, fp8=fp8)
    monkeypatch.setattr(torch_devices, "devices", lambda: (card,))
    monkeypatch.setattr(listing, "has_fp8_kernels", lambda _capability: fp8)
    for memory in (None, 32 << 30):
        _, real = json.loads(models(json=True, memory=memory))
        told = {plan["precision"]: plan["fits"] for plan in real["plans"] if plan["context_tokens"] == 8192}
        assert told == {"bf16": False} | ({"fp8": True} if fp8 else {}) | {"4-bit": True, "4-bit-tight": True}


def test_models_plans_for_a_card_of_a_given_size() -> None:
    rows = json.loads(run("models", "--json", "--memory", "24000000000").stdout)
    fp8 = ["fp8"] if nvidia.has_fp8_kernels(nvidia.ADA) else []
    starter, real = rows
    assert [row["name"] for row in rows] == ["starter", "diffusiongemma-26b"]
    assert [row["installed"] for row in rows] == [True, False]
    for row, precisions in ((starter, ["bf16"]), (real, ["bf16", *fp8, "4-bit", "4-bit-tight"])):
        assert {"name", "source", "installed", "plans"} <= set(row)
        assert [(plan["precision"], plan["context_tokens"]) for plan in row["plans"]] == [
            (precision, context) for precision in precisions for context in (2048, 8192, 32768)
        ]
        for plan in row["plans"]:
            assert {
                "precision", "context_tokens", "weights_bytes", "total_bytes", "fits", "verdict"
            } <= set(plan)  # fmt: skip
            assert plan["fits"] is (row is starter or plan["precision"].startswith("4-bit"))
            assert plan["verdict"].startswith("fits" if plan["fits"] else "needs")
    assert real["disk_bytes"] > 50e9
    assert real["free_disk_bytes"] > 0


def test_verdicts_name_what_helps() -> None:
    _, real = json.loads(models(json=True, memory=18_700_000_000))
    told = {(plan["precision"], plan["context_tokens"]): plan["verdict"] for plan in real["plans"]}
    assert told["4-bit-tight", 2048].startswith("fits with ")
    assert told["4-bit", 32768].endswith(
        " more than this card has free: choose 4-bit-tight and a smaller context"
    )
    assert told["bf16", 2048].endswith(" more than this card has free: choose 4-bit-tight")


def test_models_plans_for_this_machine() -> None:
    told = run("models").stdout.decode()
    assert "DiffusionGemma 26B\tgoogle/diffusiongemma-26B-A4B-it\tApache-2.0\t51.7 GB to download" in told
    assert "fp32, context 2048" in told


def test_what_one_card_takes_alone_is_not_told_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [
        Device(id=f"cuda:{n}", name="", total_bytes=size << 30, free_bytes=size << 30, fp8=not n)
        for n, size in enumerate((24, 12))
    ]
    monkeypatch.setattr(torch_devices, "devices", lambda: (*cards, *combined_device(cards)))
    told = models(json=False, memory=None)
    assert "fp8, context" in told
    assert "together" not in told


def test_models_plans_for_all_cards_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [
        Device(id=f"cuda:{n}", name="RTX 3060", total_bytes=12 << 30, free_bytes=12 << 30) for n in (0, 1)
    ]
    monkeypatch.setattr(torch_devices, "devices", lambda: (*cards, *combined_device(cards)))
    for row in json.loads(models(json=True, memory=None)):
        alone, both = row["plans"], row["together"]
        assert [set(plan) for plan in both] == [set(plan) for plan in alone]
        assert all(two["total_bytes"] > one["total_bytes"] for one, two in zip(alone, both, strict=True))
    assert not any(plan["fits"] for plan in alone)
    assert [plan["precision"] for plan in both if plan["fits"]] == ["4-bit"] * 2 + ["4-bit-tight"] * 3
    told = models(json=False, memory=None)
    assert told.count("together") == 1
    assert "\tall cards together take 4-bit at 2048, 4-bit at 8192, 4-bit-tight" in told


@pytest.mark.parametrize("memory", [None, 24 * 10**9])
def test_one_card_is_never_together_with_itself(memory: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Device(id="cuda:0", name="RTX 3060", total_bytes=12 << 30, free_bytes=12 << 30)
    monkeypatch.setattr(torch_devices, "devices", lambda: (card,))
    for as_json in (True, False):
        out = io.StringIO()
        listing.list_models(argparse.Namespace(json=as_json, memory=memory), out)
        assert "together" not in out.getvalue()


@pytest.mark.parametrize(("memory", "named"), [("-5", "-5"), ("much", "much")])
def test_a_memory_that_cannot_be_exits_with_2(memory: str, named: str) -> None:
    done = run("models", "--memory", memory)
    assert done.returncode == 2
    assert named in done.stderr.decode()


def test_no_memory_at_all_fits_nothing() -> None:
    rows = json.loads(run("models", "--json", "--memory", "0").stdout)
    assert not any(plan["fits"] for row in rows for plan in row["plans"])
