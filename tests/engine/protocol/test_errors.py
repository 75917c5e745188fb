"""What torch and the driver say in words, as faults that a writer can do something about."""

from __future__ import annotations

import errno

import pytest
import torch

from engine.protocol.errors import machine_fault


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out-of-memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out-of-memory"),
        (RuntimeError("unable to mmap 9 bytes from file <a>: Cannot allocate memory (12)"), "out-of-memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "out-of-memory"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate"),
            "out-of-memory",
        ),
        (
            RuntimeError("level_zero backend failed: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
            "out-of-memory",
        ),
        (RuntimeError("could not create a primitive"), "out-of-memory"),
        (
            RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: 9 bytes"),
            "out-of-memory",
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9"), "out-of-memory"),
        (RuntimeError("std::bad_alloc"), "out-of-memory"),
        (OSError("The paging file is too small for this operation to complete."), "out-of-memory"),
        (MemoryError(), "out-of-memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "disk"),
        (OSError(errno.EIO, "Input/output error"), None),
        (RuntimeError("CUDA error: no kernel image is available for execution"), "device-missing"),
        (RuntimeError("HIP error: invalid device function"), "device-missing"),
        (RuntimeError("Native API returns: 20 (UR_RESULT_ERROR_DEVICE_LOST)"), "device-lost"),
        (RuntimeError("CUDA error: unspecified launch failure"), "device-lost"),
        (RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"), "device-lost"),
        (torch.AcceleratorError("HIP error: the device fell off the bus"), "device-lost"),
        (RuntimeError("shape mismatch"), None),
        (KeyError("weight"), None),
    ],
)
def test_a_fault_of_the_machine_is_told_from_one_of_ours(error: Exception, kind: str | None) -> None:
    fault = machine_fault(error)
    assert (fault and fault.fault.kind) == kind
    assert fault is None or (fault.fault.message and fault.fault.remedy)


@pytest.mark.parametrize(
    ("build", "advice"),
    [
        ("13.0", "set MEZZOTINT_TORCH=cuda126"),
        ("12.6", "update the card’s driver and run “python3 packaging/dev.py run”"),
        (None, ""),
    ],
)
def test_a_card_that_torch_has_no_code_for_needs_the_other_build(
    build: str | None, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", build)
    fault = machine_fault(RuntimeError("no kernel image is available"))
    assert fault
    assert advice in fault.fault.remedy
