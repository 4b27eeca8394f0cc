"""The ask panel in a page: words arrive as they come, boxes land, errors stay in place."""

from collections.abc import Callable
from typing import Any

from stage import Stage

import nbvision as nv
from nbvision.widgets.ask_panel import AskPanel

Put = Callable[[Callable[[], Any]], Stage]


def test_a_question_streams_and_ends_in_words_and_boxes(put: Put) -> None:
    practice = nv.connect("practice", words_per_second=200)
    stage = put(lambda: AskPanel(nv.samples.photo, "the red bowl", task="locate", backend=practice))
    stage.sees("to send")
    stage.until(lambda: stage.root.get_by_role("img").count() > 0)
    stage.root.get_by_role("button", name="Ask").click()
    stage.until(lambda: stage.panel.result is not None)
    stage.sees("practice answer")
    assert stage.violations() == []
    assert stage.root.locator("svg rect").count() == 2
