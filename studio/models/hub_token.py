"""The person's Hub token, kept in the system's keyring and nowhere else: never in a project, a log or a setting."""

from __future__ import annotations

import re

from studio.errors import UserError

_SERVICE, _USER = "tunesmith", "huggingface-token"
_SHAPE = re.compile(r"hf_[A-Za-z0-9]{8,}")


def kept_token() -> str | None:
    """The kept token, None when there is none or no keyring."""
    import keyring  # heavy
    from keyring.errors import KeyringError

    try:
        found: str | None = keyring.get_password(_SERVICE, _USER)
    except (KeyringError, OSError):
        return None
    return found


def keep_token(token: str) -> None:
    """Keep a token.

    Raises:
        UserError: it is none, or this computer has no keyring to keep it in.
    """
    import keyring  # heavy
    from keyring.errors import KeyringError

    if not _SHAPE.fullmatch(token.strip()):
        raise UserError('This is no Hub token: one begins with "hf_".', "Copy it from your account's settings.")
    try:
        keyring.set_password(_SERVICE, _USER, token.strip())
    except (KeyringError, OSError) as error:
        raise UserError(
            "This computer has no keyring that could keep the token safely, so it was not kept.",
            "Set the variable HF_TOKEN before starting Tunesmith.",
        ) from error


def forget_token() -> None:
    """Remove the kept token; none being there is no error.

    Raises:
        UserError: the keyring does not let it go.
    """
    import keyring  # heavy
    from keyring.errors import KeyringError

    if kept_token() is None:
        return
    try:
        keyring.delete_password(_SERVICE, _USER)
    except (KeyringError, OSError) as error:
        raise UserError("The keyring does not let the token go.", "Remove it in the system's own keyring.") from error


def has_keyring() -> bool:
    """Whether this computer has somewhere safe to keep a token."""
    import keyring  # heavy

    return float(getattr(keyring.get_keyring(), "priority", 0)) > 0
