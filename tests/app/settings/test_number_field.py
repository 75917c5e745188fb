"""Numbers as writers write them, in whatever language."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QLocale, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.settings.number_field import NumberField, number_in

LOCALES = ["en_US", "de_DE", "de_CH", "fr_FR", "es_ES", "pl_PL", "tr_TR", "ar_EG", "fa_IR", "hi_IN", "C"]
NO_NUMBERS = ["1.2.3", "1,2,3", "abc", "1.25x", "0x1", "nan", "inf", "1/2", "²", "٫", "", "1 25", "1.25 1.25"]
OUT_OF_RANGE = ["--1", "-1", "99", "2.01", "0", "0.001", "0,001", "0.002", "0,002"]


@pytest.fixture(autouse=True)
def default_locale() -> Iterator[None]:
    before = QLocale()
    yield
    QLocale.setDefault(before)


def write(field: NumberField, text: str) -> list[object]:
    """→ what it says is written."""
    written: list[object] = []
    field.written.connect(written.append)
    field.setText(text)
    QTest.keyClick(field, Qt.Key.Key_Return)
    field.written.disconnect(written.append)
    return written


@pytest.fixture
def field(qtbot: QtBot) -> NumberField:
    return shown(qtbot, "t_max", 0.5)


def shown(qtbot: QtBot, name: str, value: float | None) -> NumberField:
    field = NumberField(name)
    qtbot.addWidget(field)
    qtbot.addWidget(field.problem)
    field.show_value(value)
    field.show()
    return field


@pytest.mark.parametrize(
    ("locale", "text", "number"),
    [
        ("de_DE", "1.25", 1.25),
        ("de_DE", "1,25", 1.25),
        ("de_DE", " 0,055 ", 0.055),
        ("de_DE", "0.055", 0.055),
        ("de_DE", ".055", 0.055),
        ("tr_TR", "0.125", 0.125),
        ("de_DE", ",5", 0.5),
        ("fr_FR", "1,25", 1.25),
        ("fr_FR", "1.25", 1.25),
        ("en_US", "1.25", 1.25),
        ("C", "1.25", 1.25),
        ("ar_EG", "١٫٢٥", 1.25),
        ("ar_EG", "1.25", 1.25),
        ("ar_EG", "1٫25", 1.25),
        ("ar_EG", "\u200f١٫٢٥", 1.25),
        ("de_DE", "١٫٢٥", 1.25),
        ("fa_IR", "۱٫۲۵", 1.25),
        ("hi_IN", "१.२५", 1.25),
        ("en_US", "１.２５", 1.25),
        ("en_US", "1e-1", 0.1),
    ],
)
def test_a_number_is_read_as_the_locale_and_as_english_write_it(
    qtbot: QtBot, locale: str, text: str, number: float
) -> None:
    QLocale.setDefault(QLocale(locale))
    field = shown(qtbot, "t_max", 0.7)
    assert write(field, text) == [number]
    assert field.problem.isHidden()
    assert number_in(field.text(), whole=False) == number


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("text", [*NO_NUMBERS, *OUT_OF_RANGE])
def test_what_is_no_number_here_stays_and_the_old_one_holds(qtbot: QtBot, locale: str, text: str) -> None:
    QLocale.setDefault(QLocale(locale))
    field = shown(qtbot, "t_max", 0.5)
    assert write(field, text) == []
    assert field.text() == text
    assert field.problem.isVisible()
    assert field.accessibleDescription() == field.problem.text()
    field.show_value(0.5)  # something else was changed
    assert (field.text(), field.problem.isVisible()) == (text, True)
    assert write(field, "1") == [1.0]
    assert field.problem.isHidden()
    assert field.accessibleDescription() == ""


@pytest.mark.parametrize(
    ("locale", "text", "seeds"),
    [
        ("de_DE", "1.250", [1250]),
        ("de_DE", "1,250", []),
        ("en_US", "1,250", [1250]),
        ("de_DE", "1.25", []),
        ("en_US", "1.250", []),
        ("fr_FR", "12 345", [12345]),
        ("fr_FR", "12\u202f345\u00a0678", [12345678]),
        ("pl_PL", "1 250", [1250]),
        ("de_CH", "1’250", [1250]),
        ("hi_IN", "12,34,567", [1234567]),
        ("ar_EG", "١٬٢٥٠", [1250]),
        ("de_DE", "١٫٢٥٠", []),
        ("en_US", "9223372036854775807", [2**63 - 1]),
        ("en_US", "9223372036854775808", []),
        ("en_US", "007", [7]),
        ("en_US", "-7", []),
        ("en_US", "", []),
    ],
)
def test_a_whole_number_is_never_rounded_or_cut(
    qtbot: QtBot, locale: str, text: str, seeds: list[int]
) -> None:
    QLocale.setDefault(QLocale(locale))
    assert write(shown(qtbot, "seed", 1), text) == seeds


@given(st.sampled_from(LOCALES), st.floats(0.01, 2.0))
def test_what_a_locale_writes_is_read_as_it_was(locale: str, number: float) -> None:
    QLocale.setDefault(QLocale(locale))
    digits = QLocale.FloatingPointPrecisionOption.FloatingPointShortest.value
    assert number_in(QLocale().toString(number, "f", digits), whole=False) == number


@given(st.sampled_from(LOCALES), st.integers(0, 2**63 - 1))
def test_a_whole_number_with_its_groups_is_read_as_it_was(locale: str, number: int) -> None:
    QLocale.setDefault(QLocale(locale))
    assert number_in(QLocale().toString(number), whole=True) == number


def test_a_number_holds_once_it_is_left(qtbot: QtBot, field: NumberField) -> None:
    field.setText("")
    with qtbot.assertNotEmitted(field.written):
        QTest.keyClicks(field, "1.2")
    with qtbot.waitSignal(field.written) as written:
        field.clearFocus()
    assert written.args == [1.2]


def test_nothing_means_the_models_own(field: NumberField) -> None:
    field.let_be_empty(None)
    assert write(field, "") == [None]
    assert field.placeholderText() == "own"
    field.let_be_empty(0.25)
    assert field.placeholderText() == QLocale().toString(0.25)
    QTest.keyClick(field, Qt.Key.Key_Up)
    assert number_in(field.text(), whole=False) == 0.3


def test_the_arrows_go_in_steps_and_stop_at_the_ends(field: NumberField) -> None:
    written: list[float] = []
    field.written.connect(written.append)
    for _ in range(12):
        QTest.keyClick(field, Qt.Key.Key_Down)
    assert (written[:2], written[-1]) == ([0.45, 0.4], 0.01)
