"""Nothing here is collected where torch sees no card."""

import torch

collect_ignore_glob = [] if torch.cuda.is_available() else ["test_*.py"]
