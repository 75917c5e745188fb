"""The known models and what they need."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine import catalogue, model
from engine.errors import EngineError


def test_the_bundled_model_is_whole_and_called_what_it_is() -> None:
    folder, label = catalogue.find("starter")
    assert catalogue.check_files(folder) == [folder / "model.safetensors"]
    assert "stand-in" in label
    assert catalogue.STARTER.installed
    assert not catalogue.GEMMA_26B.installed


def test_a_folder_is_a_model_with_its_own_name(tmp_path: Path) -> None:
    assert catalogue.find(str(tmp_path)) == (tmp_path, tmp_path.name)


@pytest.mark.parametrize("name", ["", "nix", "/nowhere/at/all"])
def test_an_unknown_model_is_an_error_that_lists_the_known(name: str) -> None:
    with pytest.raises(EngineError) as caught:
        catalogue.find(name)
    assert caught.value.kind == "input"
    assert "starter" in caught.value.remedy


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(EngineError) as caught:
        catalogue.check_files(tmp_path)
    assert "llama" in caught.value.message


def test_the_real_model_is_counted_without_loading_it() -> None:
    """25.2 billion parameters with the vision tower's; the text model has all but 0.6 of them."""
    config, weights = model.describe(catalogue.GEMMA_26B.describes)
    assert weights == pytest.approx(50.5e9, rel=0.01)
    small, large = (model.working_bytes(config, tokens) for tokens in (2048, 32768))
    assert 1e9 < small < large < 3e9


def test_the_bundled_model_is_counted_as_it_loads(starter: model.Model) -> None:
    _config, weights = model.describe(catalogue.STARTER.describes)
    assert weights * 2 == starter.weights_bytes


def test_the_vision_tower_is_not_loaded(starter: model.Model) -> None:
    assert not any("vision" in name for name in starter.text_model.state_dict())
    assert starter.device == torch.device("cpu")
