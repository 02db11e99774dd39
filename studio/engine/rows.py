"""Batches as the loss wants them: rows laid end to end without padding, as torch tensors on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from studio.data.batches import Batch


@dataclass(frozen=True)
class Rows:
    """One micro-batch, ready for `LmLoss`. Shapes as its forward says."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    index: torch.Tensor
    targets: torch.Tensor
    row_lengths: tuple[int, ...]
    num_tokens: int

    @property
    def num_trained(self) -> int:
        """Tokens that count in the loss."""
        return len(self.targets)


def lay_out(batch: Batch, device: torch.device) -> Rows:
    """Take the padding out and find what is trained: position i predicts the label at i + 1 of the same row."""
    keep = batch.attention_mask
    ids, labels, positions = batch.input_ids[keep], batch.labels[keep], batch.position_ids[keep]
    starts = np.flatnonzero(positions == 0)
    lengths = np.diff(np.append(starts, len(ids)))
    ahead = np.append(labels[1:], -100)
    index = np.flatnonzero(ahead != -100)  # a row's first label is -100, so nothing predicts across rows
    return Rows(
        input_ids=_tensor(ids, device)[None],
        position_ids=_tensor(positions, device)[None],
        index=_tensor(index, device),
        targets=_tensor(ahead[index], device),
        row_lengths=tuple(lengths.tolist()),
        num_tokens=len(ids),
    )


def _tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64)).to(device, non_blocking=True)
