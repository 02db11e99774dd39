"""What can go wrong between here and the Hub, as sentences with the way out."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from studio.errors import UserError
from studio.models import hub_place


@contextlib.contextmanager
def translated(name: str, revision: str) -> Iterator[None]:
    """Turn the Hub library's errors into `UserError`; what is a bug passes through."""
    import httpx2  # heavy
    from huggingface_hub import errors  # heavy

    endpoint = hub_place.endpoint()
    try:
        yield
    except errors.GatedRepoError as error:
        raise UserError(
            f"The model {name} is gated: its owners want their terms accepted first.",
            f"Accept them at {endpoint}/{name}, then give your account's token (in Preferences, or HF_TOKEN).",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"There is no model {name}: no folder of that name here, and the Hub does not show one.",
            "Check the spelling; a private model needs your token (in Preferences, or HF_TOKEN).",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f'The model {name} has no revision "{revision}".', "Leave model.revision empty.") from error
    except errors.HFValidationError as error:
        raise UserError(f'"{name}" is neither a folder here nor a name on the Hub.', "Check the spelling.") from error
    except errors.HfHubHTTPError as error:
        code = error.response.status_code
        raise UserError(f"The Hub answered with error {code} for {name}.", "Try again in a while.") from error
    except (httpx2.TransportError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise UserError(
            f"The Hub ({endpoint}) cannot be reached, and {name} is not on this computer.",
            "Check the network, set HF_ENDPOINT to a mirror, or name a model folder. What came over so far is kept.",
        ) from error
    except errors.FileMetadataError as error:
        raise UserError(f"{endpoint} does not answer like a model hub.", "Check HF_ENDPOINT and your proxy.") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError("The disk is full.", "Free some space and start again; what came over is kept.") from error
        raise
