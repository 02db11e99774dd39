"""Forms read from declarations: a setting is declared once, and its row, bounds, help and check follow from that."""

from studio.gui.forms.form import Form
from studio.gui.forms.spec_form import SpecForm

__all__ = ["Form", "SpecForm"]
