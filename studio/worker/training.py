"""Puts a training run together from its folder: device, model, rows, checkpoints; then the loop takes over."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil

from studio import __version__
from studio.data.batches import Batch, Batches
from studio.data.training_data import TrainingData
from studio.engine.checkpoint import Checkpoints, load_tensors, seal
from studio.engine.device import make_accelerator
from studio.engine.loop import Loop, Plan, Progress
from studio.engine.lm_loss import LmLoss
from studio.engine.memory import MemorySampler
from studio.engine.prepared import Base, Prepared
from studio.engine.samples import Prompt, answer_all, pick_prompts
from studio.errors import UserError
from studio.methods import METHODS
from studio.objectives import OBJECTIVES
from studio.paths import write_text
from studio.project.runs import Run
from studio.protocol import commands, events
from studio.worker.run_context import RunContext, open_run
