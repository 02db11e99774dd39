"""Reads rows with llama.cpp and writes their logits: one npy file and one `result` event a row. A child of exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from studio.errors import Cancelled
from studio.protocol.events import Result
from studio.worker.job import Context, Job


def run(context: Context, arguments: dict[str, Any]) -> None:
    """Arguments: `file` (GGUF), `folder`, where rows.json lies ([text, ids] pairs) and the logits go, and `adapter`."""
    from studio.chat.llama import open_llama

    folder = Path(arguments["folder"])
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    longest = max(len(ids) for _, ids in rows)
    adapter = Path(arguments["adapter"]) if arguments.get("adapter") else None
    model = open_llama(Path(arguments["file"]), adapter=adapter, context_length=longest, keeps_all_logits=True)
    for number, (text, ids) in enumerate(rows):
        if context.cancelled.is_set():
            raise Cancelled
        model.reset()
        model.eval(ids)
        np.save(folder / f"{number}.npy", model.scores[: len(ids)])
        own = model.tokenize(text.encode("utf-8"), add_bos=False, special=True)
        context.emit(Result(value={"row": number, "ids": own, "logits": f"{number}.npy"}))


JOB = Job("logits", run)
