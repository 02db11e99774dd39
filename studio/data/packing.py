"""Several rows into one sequence: best fit, longest first. Lengths in, groups of indices out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def pack(lengths: npt.NDArray[np.int64], capacity: int) -> list[list[int]]:
    """Groups of row indices, each at most `capacity` tokens together; no row is split.

    Best fit decreasing (Johnson, 1974): the longest row first, each into the fullest group that it fits. Groups are
    kept by the room they have left, and the fullest one is found in a bit set, so a million rows take seconds.

    Args:
        lengths: (rows,) tokens a row, each at most `capacity`.
        capacity: tokens a group.
    """
    rooms: list[list[int]] = [[] for _ in range(capacity + 1)]  # room left -> groups with just that room
    open_rooms = 0  # bit r is set when a group has room r
    groups: list[list[int]] = []
    for row in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[row])
        fitting = open_rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            group = rooms[room].pop()
            if not rooms[room]:
                open_rooms ^= 1 << room
        else:
            room, group = capacity, len(groups)
            groups.append([])
        groups[group].append(row)
        rooms[room - length].append(group)
        open_rooms |= 1 << (room - length)
    return groups
