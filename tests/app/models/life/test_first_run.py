"""The first run offers the real model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QToolButton

from app.window.main_window import MainWindow
from engine.protocol.events import Loading
from tests.app.models.desk import CPU, RTX_4090
from tests.app.models.life.conftest import offers, stand
from tests.app.window.conftest import Lose, Open


def test_the_real_model_is_offered_to_a_new_writer(window: MainWindow) -> None:
    window.start(None)
    assert window.welcome.isHidden()
    stand(window, RTX_4090, CPU)
    assert window.welcome.isVisible()
    assert "Your RTX 4090 can run DiffusionGemma 26B in 4-bit" in window.welcome.text
    assert offers(window.welcome) == ["See models", "Not now"]


def close_it(window: MainWindow) -> None:
    buttons = window.welcome.findChildren(QToolButton)
    assert len(buttons) == 1
    buttons[0].click()


def not_now(window: MainWindow) -> None:
    window.welcome.buttons[1].click()


def see_models(window: MainWindow) -> None:
    window.welcome.buttons[0].click()


@pytest.mark.parametrize("answer", [close_it, not_now, see_models])
def test_once_answered_it_never_comes_back(open_window: Open, answer: Callable[[MainWindow], None]) -> None:
    window = open_window()
    window.start(None)
    stand(window, RTX_4090, CPU)
    answer(window)
    assert window.welcome.isHidden()
    assert ("models_page" in vars(window.side_panel)) == (answer is see_models)
    later = open_window()
    later.start(None)
    stand(later, RTX_4090, CPU)
    assert later.welcome.isHidden()


def test_unanswered_it_does_not_come_again_either(open_window: Open) -> None:
    window = open_window()
    window.start(None)
    stand(window, RTX_4090, CPU)
    assert window.welcome.isVisible()
    window.welcome.hide()
    stand(window, RTX_4090, CPU)
    assert window.welcome.isHidden()
    later = open_window()
    later.start(None)
    stand(later, RTX_4090, CPU)
    assert later.welcome.isHidden()


def test_behind_another_message_it_is_not_used_up(open_window: Open) -> None:
    window = open_window()
    window.start(None)
    window.notice.show_message("A fault.")
    stand(window, RTX_4090, CPU)
    assert not window.welcome.isVisible()
    later = open_window()
    later.start(None)
    later.notice.show_message("A fault.")
    stand(later, RTX_4090, CPU)
    later.notice.hide()
    assert later.welcome.isVisible()
    last = open_window()
    last.start(None)
    stand(last, RTX_4090, CPU)
    assert last.welcome.isHidden()


def test_it_goes_when_the_models_are_seen_in_any_way(window: MainWindow) -> None:
    window.start(None)
    stand(window, RTX_4090, CPU)
    assert window.welcome.isVisible()
    window.side_panel.open_models()
    assert window.welcome.isHidden()


def test_it_does_not_come_once_the_models_were_seen(window: MainWindow) -> None:
    window.start(None)
    window.side_panel.open_models()
    stand(window, RTX_4090, CPU)
    assert window.welcome.isHidden()


def test_it_waits_for_another_start_when_an_unsaved_text_is_offered(open_window: Open, lose: Lose) -> None:
    first = open_window()
    first.view.page.insertPlainText("Not saved.")
    lose(first)
    later = open_window()
    later.start(None)
    stand(later, RTX_4090, CPU)
    assert later.offer.isVisible()
    assert later.welcome.isHidden()
    last = open_window()
    last.start(None)
    assert not last.offer.isHidden()
    stand_beside_an_idle_card(last)


def stand_beside_an_idle_card(window: MainWindow) -> None:
    window.model.note(
        Loading(request_id="", stage="", fraction=0.0, devices=(CPU,), idle_card="It cannot be used.")
    )
    window.model.loading = None
    stand(window, CPU)
    assert window.notice.text == "It cannot be used."
    assert window.welcome.isHidden()


def test_an_idle_card_is_told_instead(window: MainWindow) -> None:
    window.start(None)
    stand_beside_an_idle_card(window)
    window.notice.hide()
    stand(window, CPU)
    assert window.notice.isHidden()
