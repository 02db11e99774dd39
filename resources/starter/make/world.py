"""All kinds of question of the small world, in one place."""

from . import dates, facts, numbers, spelling, stories, talk
from .kinds import Kind

KINDS: tuple[Kind, ...] = (*talk.KINDS, *numbers.KINDS, *facts.KINDS, *dates.KINDS, *spelling.KINDS, *stories.KINDS)
BY_NAME = {kind.name: kind for kind in KINDS}
