"""What a page is: one file in `pages` that names it, and a widget that is built when it is first shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls import Elided, Text
from studio.gui.icons import Icon
from studio.gui.tokens import CARD_GAP, CONTROL_GAP, PAGE_MARGIN
from studio.units import Registry

if TYPE_CHECKING:
    from studio.gui.context import Context


@dataclass(frozen=True)
class Command:
    """Something that can be done: it is in the palette, and has a key where one is given.

    Attributes:
        title: verb and object.
        slot: does it.
        key: as Qt writes keys ("Ctrl+S"); a bare letter acts only while no text field has the focus.
        group: shown beside it in the palette.
    """

    title: str
    slot: Callable[[], object]
    key: str = ""
    group: str = ""


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        key: the file's name.
        title: in the rail.
        icon: in the rail.
        order: place in the rail; Home is 0, the journey 10 to 60, what stands at the foot from 90.
        build: makes its widget; imports what it needs inside.
        fact: the one live fact at the right of its place in the rail.
        is_in_rail: False for pages that others lead to.
        needs_project: shown only while a project is open.
    """

    key: str
    title: str
    icon: Icon
    order: int
    build: Callable[[Context], PageWidget]
    fact: Callable[[Context], str] = lambda context: ""
    is_in_rail: bool = True
    needs_project: bool = True


PAGES: Registry[Page] = Registry("studio.gui.pages", "PAGE", "page")


class PageWidget(QWidget):
    """Base of all pages: a header that stays, and a body.

    Attributes:
        context: what is open and what can be asked.
        title: the page's name; `facts` the line below it, `facts_row` its layout for badges.
        action_row: layout at the header's right; the primary button goes last.
        body: layout for the content.
    """

    def __init__(self, context: Context, title: str) -> None:
        super().__init__()
        self.context = context
        outer = QVBoxLayout(self)
        outer.setContentsMargins(PAGE_MARGIN, 20, PAGE_MARGIN, 18)
        outer.setSpacing(CARD_GAP)
        self.header = QHBoxLayout()
        self.header.setSpacing(CONTROL_GAP)
        words = QVBoxLayout()
        words.setSpacing(3)
        self.title = Text(title, "title")
        words.addWidget(self.title)
        self.facts_row = QHBoxLayout()
        self.facts_row.setSpacing(10)
        self.facts = Elided("", "small", "text2")
        self.facts.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)  # as wide as its words
        self.facts_row.addWidget(self.facts)
        self.facts_row.addStretch(1)
        words.addLayout(self.facts_row)
        self.header.addLayout(words, 1)
        self.action_row = QHBoxLayout()
        self.action_row.setSpacing(CONTROL_GAP)
        self.header.addLayout(self.action_row)
        outer.addLayout(self.header)
        self.body = QVBoxLayout()
        self.body.setSpacing(CARD_GAP)
        outer.addLayout(self.body, 1)
        self.setAccessibleName(title)

    def enter(self, **arguments: object) -> None:
        """The page is shown; `arguments` come from whoever led here."""

    def prepare(self) -> Iterator[None]:
        """Make what the first opening would have to make, a piece at a time, while another page is shown."""
        yield from ()

    def leave(self) -> None:
        """Another page is shown: stop timers, let go of memory."""

    def commands(self) -> list[Command]:
        """What can be done on this page."""
        return []
