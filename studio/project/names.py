"""Names that become folders: what is allowed on every system we run on."""

from __future__ import annotations

import re

from studio.errors import UserError

# Reserved by Windows whatever their extension; a project made on Linux must open there too.
RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
_NAME = re.compile(r"[\w][\w .()+-]{0,79}")


def check_name(name: str) -> str:
    """`name`, if it can be a folder's name everywhere.

    Raises:
        UserError: it cannot; the hint says what can.
    """
    is_reserved = name.split(".")[0].strip().lower() in RESERVED
    if not _NAME.fullmatch(name) or name[-1] in " ." or is_reserved:
        raise UserError(
            f'"{name}" cannot be a name.',
            "Use up to 80 letters, digits, spaces, dots, dashes and underscores, beginning with a letter or digit.",
        )
    return name
