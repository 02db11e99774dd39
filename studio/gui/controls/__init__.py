"""The parts every page is made of. Each is the real Qt class with painting of ours."""

from studio.gui.controls.bars import MemoryBar, Progress, Spark
from studio.gui.controls.buttons import Button, IconButton
from studio.gui.controls.dialogs import Dialog, ask, confirm
from studio.gui.controls.fields import Choice, Decimal, Field, Number, TextBox
from studio.gui.controls.menu import Menu
from studio.gui.controls.messages import Banner, BusyState, EmptyState, ErrorState, Skeleton, States
from studio.gui.controls.pick import PickButton
from studio.gui.controls.scroll import ThinScrollBar, thin_scroll_bars
from studio.gui.controls.surfaces import Badge, Card, Hairline, ScrollColumn
from studio.gui.controls.table import RowDelegate, Table
from studio.gui.controls.text import Elided, Text
from studio.gui.controls.toggles import Check, Radio, Segment, Switch

__all__ = [
    "Badge",
    "Banner",
    "BusyState",
    "Button",
    "Card",
    "Check",
    "Choice",
    "Decimal",
    "Dialog",
    "Elided",
    "EmptyState",
    "ErrorState",
    "Field",
    "Hairline",
    "IconButton",
    "MemoryBar",
    "Menu",
    "Number",
    "PickButton",
    "Progress",
    "Radio",
    "RowDelegate",
    "ScrollColumn",
    "Segment",
    "Skeleton",
    "Spark",
    "States",
    "Switch",
    "Table",
    "Text",
    "TextBox",
    "ThinScrollBar",
    "ask",
    "confirm",
    "thin_scroll_bars",
]
