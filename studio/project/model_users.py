"""Which known projects name a model: what one asks before a model is deleted."""

from __future__ import annotations

from studio.errors import UserError
from studio.project.folder import Project
from studio.project.recent import recent_projects


def projects_using(source: str) -> list[str]:
    """Names of recent projects whose draft has this model; projects that cannot be read are left out."""
    names = []
    for recent in recent_projects():
        try:
            project = Project.open(recent.folder)
            names += [project.name] if project.draft().model.source == source else []
        except (UserError, OSError):
            continue
    return names
