"""Taking a model for the open project: one edit. Without a project, Home is asked to begin one with it."""

from __future__ import annotations

from studio.errors import UserError
from studio.gui.context import Context
from studio.spec.fields import assignment
from studio.spec.fresh import place_model


def use_model(context: Context, source: str) -> bool:
    """Put a model into the open draft; can be undone.

    Returns:
        Whether it could be.
    """
    session = context.session
    if session.project is None or session.spec is None:
        context.navigate("home", model=source)
        return False
    place = place_model(source, session.project.folder)
    try:
        session.edit(assignment("model.source", place), assignment("model.revision", ""), label="Model")
    except UserError as error:
        context.notify(error.message, error.hint, "danger")
        return False
    context.notify("Another model is chosen.", source, "good", ("Undo", session.undo_stack.undo))
    return True
