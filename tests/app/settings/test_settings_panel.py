from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.settings.number_field import NumberField
from app.settings.panel import SettingsPanel
from app.settings.schema import Settings
from app.settings.store import SettingsStore
from app.widgets import resources, theme
from app.widgets.combo_box import SETTLE_MS, ComboBox
from app.widgets.panel import SHORT_TEXT
from engine.hardware.device_groups import combined_device
from engine.protocol.events import Device, Ready
from tests.app.timers import let_pass, timer_of

CPU = Device(id="cpu", name="Intel Xeon", total_bytes=24 << 30, free_bytes=int(20.1 * 2**30))
GPU = Device(id="cuda:0", name="NVIDIA GeForce RTX 4090 Laptop GPU", total_bytes=16 << 30, free_bytes=0)
READY = Ready(
    request_id="1",
    model="starter",
    label="Starter",
    device=CPU,
    precision="bf16",
    memory_bytes=1,
    canvas_tokens=256,
    context_tokens=4096,
    max_steps=96,
    t_min=0.3,
    t_max=0.5,
    entropy_bound=0.05,
)


@pytest.fixture
def store(tmp_path: Path) -> SettingsStore:
    return SettingsStore(tmp_path / "settings.json")


@pytest.fixture
def panel(qtbot: QtBot, store: SettingsStore) -> Iterator[SettingsPanel]:
    window = QWidget()
    qtbot.addWidget(window)
    panel = SettingsPanel(store, window)
    panel.resize(panel.width(), 900)
    window.resize(340, 900)
    window.show()
    yield panel
    window.close()


def combo(panel: SettingsPanel, name: str) -> QComboBox:
    return next(box for box in panel.findChildren(QComboBox) if box.accessibleName() == name)


def slider(panel: SettingsPanel, name: str) -> QSlider:
    return next(box for box in panel.findChildren(QSlider) if box.accessibleName() == name)


def number(panel: SettingsPanel, name: str) -> NumberField:
    return next(field for field in panel.findChildren(NumberField) if field.accessibleName() == name)


def write(field: QLineEdit, text: str) -> None:
    field.setFocus()
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Backspace)
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def check(panel: SettingsPanel, text: str) -> QCheckBox:
    return next(box for box in panel.findChildren(QCheckBox) if box.text().startswith(text))


def button(panel: SettingsPanel, text: str) -> QPushButton:
    return next(button for button in panel.findChildren(QPushButton) if button.text().startswith(text))


def seed_number(panel: SettingsPanel) -> QLineEdit:
    return next(edit for edit in panel.findChildren(QLineEdit) if edit.accessibleName() == "Seed number")


def captions(panel: SettingsPanel) -> list[str]:
    return [caption.text() for caption in panel.findChildren(QLabel) if not caption.isHidden()]


def choose(box: QComboBox, index: int) -> None:
    box.setCurrentIndex(index)
    box.activated.emit(index)
    assert isinstance(box, ComboBox)
    box.settle()


def test_every_control_changes_its_setting_at_once(panel: SettingsPanel, store: SettingsStore) -> None:
    panel.show_devices((CPU, GPU), None)
    choose(combo(panel, "Device"), 2)
    choose(combo(panel, "Theme"), combo(panel, "Theme").findData("sepia"))
    choose(combo(panel, "Reduced motion"), combo(panel, "Reduced motion").findData("on"))
    choose(combo(panel, "Font"), combo(panel, "Font").findData("DejaVu Serif"))
    slider(panel, "Steps").setValue(12)
    slider(panel, "Length").setValue(3)
    slider(panel, "Context").setValue(0)
    slider(panel, "Size").setValue(24)
    write(number(panel, "Temperature at the start"), "0.9")
    write(number(panel, "Temperature at the end"), "0.2")
    write(number(panel, "Boldness"), "0.1")
    check(panel, "Stop once").setChecked(False)
    check(panel, "Read along").setChecked(False)
    choose(combo(panel, "Free the memory when idle"), 2)
    choose(combo(panel, "Seed"), 1)
    assert store.current == Settings(
        device="cuda:0",
        max_steps=12,
        length=3,
        context_tokens=256,
        seed=1,
        t_max=0.9,
        t_min=0.2,
        entropy_bound=0.1,
        early_stop=False,
        read_ahead=False,
        unload_after_minutes=15,
        theme="sepia",
        font_family="DejaVu Serif",
        font_size_px=24,
        reduced_motion="on",
    )


def test_each_length_is_told_by_name(panel: SettingsPanel, store: SettingsStore) -> None:
    told = set()
    for length in range(5):
        store.change(length=length)
        told |= {caption for caption in captions(panel) if caption.startswith("Length")}
    assert len(told) == 5
    assert {"Length: a sentence", "Length: a paragraph"} < told


def test_a_change_from_elsewhere_is_shown(panel: SettingsPanel, store: SettingsStore) -> None:
    store.change(
        max_steps=7, length=2, font_size_px=31, theme="dark", seed=99, early_stop=False, read_ahead=False
    )
    assert slider(panel, "Steps").value() == 7
    assert {"Steps: up to 7", "Length: several paragraphs, up to 400 words", "Size: 31 px"} <= set(
        captions(panel)
    )
    assert combo(panel, "Theme").currentText() == "Dark"
    assert seed_number(panel).text() == "99"
    assert not seed_number(panel).isHidden()
    assert not check(panel, "Stop once").isChecked()
    assert not check(panel, "Read along").isChecked()


def test_auto_says_what_it_chose(panel: SettingsPanel) -> None:
    assert combo(panel, "Device").currentText() == "Auto"
    panel.show_devices((CPU, GPU), CPU)
    assert combo(panel, "Device").currentText() == "Auto · Intel Xeon"
    assert "20.1 of 24 GB free" in captions(panel)


def test_a_gpu_is_chosen_by_its_uuid(panel: SettingsPanel, store: SettingsStore) -> None:
    with_uuid = Device(id="cuda:0", name="RTX 4090", total_bytes=1 << 30, free_bytes=0, uuid="GPU-1")
    store.change(device="cuda:0")
    panel.show_devices((with_uuid, CPU), None)
    assert combo(panel, "Device").currentText() == "RTX 4090 · 1 GB"
    choose(combo(panel, "Device"), 1)
    assert store.current.device == "GPU-1"


def test_keys_on_the_closed_list_of_devices_change_nothing_until_they_rest(
    qtbot: QtBot, panel: SettingsPanel, store: SettingsStore
) -> None:
    changes: list[str] = []
    store.changed.connect(lambda settings: changes.append(settings.device))
    panel.show_devices((GPU, CPU), None)
    box = combo(panel, "Device")
    assert isinstance(box, ComboBox)
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Down):
        QTest.keyClick(box, key)
    panel.show_devices((GPU, CPU), None)  # a moment later there is other news of the memory
    assert box.currentData() == "cpu"
    assert changes == []
    assert timer_of(box, SETTLE_MS).isActive()
    let_pass(box, SETTLE_MS)
    assert changes == ["cpu"]
    store.change(device="auto")
    assert box.currentData() == "auto"


def test_a_device_chosen_by_key_holds_when_the_list_is_left(
    panel: SettingsPanel, store: SettingsStore
) -> None:
    panel.show_devices((GPU, CPU), None)
    box = combo(panel, "Device")
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert store.current.device == "auto"
    combo(panel, "Theme").setFocus()
    assert store.current.device == "cuda:0"


def test_the_closed_box_has_room_for_cards_together(panel: SettingsPanel) -> None:
    panel.show_devices(combined_device((GPU, GPU)), None)
    assert combo(panel, "Device").itemData(1, SHORT_TEXT) == "2 × RTX 4090 Laptop GPU"


def test_the_memory_is_never_freed_unless_asked_and_an_own_number_stays(
    panel: SettingsPanel, store: SettingsStore
) -> None:
    idle = combo(panel, "Free the memory when idle")
    assert (idle.currentText(), idle.count()) == ("Never", 4)
    store.change(unload_after_minutes=7)
    assert idle.currentText() == "After 7 minutes"
    choose(idle, 0)
    assert store.current.unload_after_minutes is None


def test_a_page_of_models_takes_the_settings_place_and_gives_it_back(
    qtbot: QtBot, panel: SettingsPanel
) -> None:
    panel.show_model(READY)
    models = button(panel, "Starter  ›")
    with qtbot.waitSignal(panel.models_asked):
        models.click()
    page = QWidget()
    panel.show_page(page)
    assert page.isVisible()
    assert not models.isVisible()
    panel.show_settings()
    assert models.isVisible()


def test_a_device_that_is_not_there_is_never_replaced(panel: SettingsPanel, store: SettingsStore) -> None:
    store.change(device="cuda:7")
    assert combo(panel, "Device").currentText() == "cuda:7"
    panel.show_devices((CPU, GPU), CPU)
    assert combo(panel, "Device").currentText() == "cuda:7 (not found)"
    assert store.current.device == "cuda:7"
    store.change(device="cpu")
    assert combo(panel, "Device").findData("cuda:7") == -1
    assert combo(panel, "Device").currentText() == "Intel Xeon · 20.1 of 24 GB free"


def test_all_faces_are_offered_and_a_missing_one_is_told(panel: SettingsPanel, store: SettingsStore) -> None:
    faces = combo(panel, "Font")
    assert faces.findText("DejaVu Sans") >= 0
    store.change(font_family="DejaVu Sans")
    assert faces.currentText() == "DejaVu Sans"
    store.change(font_family="No Such Face")
    assert faces.currentText() == "No Such Face (not found)"


def test_the_bundled_face_is_among_them(qtbot: QtBot, store: SettingsStore) -> None:
    resources.load_fonts()
    window = QWidget()
    qtbot.addWidget(window)
    panel = SettingsPanel(store, window)
    window.show()
    assert combo(panel, "Font").currentText() == "Vollkorn"


def test_the_models_own_values_are_shown_and_come_back(panel: SettingsPanel, store: SettingsStore) -> None:
    assert "Steps: the model’s own" in captions(panel)
    assert number(panel, "Boldness").placeholderText() == "own"
    panel.show_model(READY)
    assert "Steps: up to 96" in captions(panel)
    assert number(panel, "Boldness").placeholderText() == "0.05"
    assert store.current == Settings()
    slider(panel, "Steps").setValue(12)
    write(number(panel, "Temperature at the start"), "0.9")
    write(number(panel, "Boldness"), "eleven")
    assert number(panel, "Boldness").text() == "eleven"
    button(panel, "Use the model").click()
    assert [field.text() for field in panel.findChildren(NumberField)] == [""] * 4
    assert store.current == Settings()
    assert "Steps: up to 96" in captions(panel)


def test_context_is_told_in_words_and_never_more_than_the_model_reads(
    panel: SettingsPanel, store: SettingsStore
) -> None:
    assert "Context: about 1,500 words before" in captions(panel)
    store.change(context_tokens=32768)
    panel.show_model(READY)
    assert "Context: 3,000 words, all it can read" in captions(panel)


@pytest.mark.parametrize("name", ["Steps", "Length", "Context", "Temperature at the start", "Boldness"])
def test_what_a_label_does_not_say_is_in_the_tooltip(panel: SettingsPanel, name: str) -> None:
    control = next(part for part in panel.findChildren(QWidget) if part.accessibleName() == name)
    assert control.toolTip().endswith(".")
    assert check(panel, "Stop once").toolTip().endswith(".")


def test_advanced_opens_on_demand(panel: SettingsPanel) -> None:
    assert not number(panel, "Boldness").isVisible()
    button(panel, "Advanced").click()
    assert number(panel, "Boldness").isVisible()


def test_close_and_escape_ask_to_close(qtbot: QtBot, panel: SettingsPanel) -> None:
    with qtbot.waitSignal(panel.closed):
        panel.findChildren(QToolButton)[0].click()
    with qtbot.waitSignal(panel.closed):
        QTest.keyClick(slider(panel, "Steps"), Qt.Key.Key_Escape)


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_return_presses_every_button(qtbot: QtBot, panel: SettingsPanel, key: Qt.Key) -> None:
    QTest.keyClick(button(panel, "Advanced"), key)
    assert number(panel, "Boldness").isVisible()
    assert all(button.autoDefault() for button in panel.findChildren(QPushButton))
    with qtbot.waitSignal(panel.closed):
        QTest.keyClick(panel.findChildren(QToolButton)[0], key)


def test_every_control_has_a_name_and_can_be_reached_by_key(panel: SettingsPanel) -> None:
    button(panel, "Advanced").click()
    kinds = (QComboBox, QSlider, NumberField, QCheckBox, QPushButton, QToolButton)
    controls = [control for kind in kinds for control in panel.findChildren(kind)]
    for control in controls:
        name = control.accessibleName() or (control.text() if hasattr(control, "text") else "")
        assert name
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, name


def test_the_wheel_scrolls_and_changes_nothing(panel: SettingsPanel, store: SettingsStore) -> None:
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    for control in (slider(panel, "Steps"), combo(panel, "Theme")):
        QApplication.sendEvent(control, event)
        assert not event.isAccepted()
    assert store.current == Settings()


@pytest.mark.parametrize("name", ["light", "dark", "sepia"])
def test_nothing_is_wider_than_the_panel(panel: SettingsPanel, qapp: QApplication, name: str) -> None:
    panel.show_devices((CPU, GPU), GPU)
    panel.window().setStyleSheet(theme.stylesheet(theme.theme_named(name, False)))
    button(panel, "Advanced").click()
    qapp.processEvents()
    right = panel.width()
    for child in panel.findChildren(QWidget):
        if child.isVisible() and not child.inherits("QLineEdit"):
            assert child.mapTo(panel, QPoint(child.width(), 0)).x() <= right
            assert child.width() >= child.minimumSizeHint().width() or isinstance(child, QComboBox)
