"""Being here puts this folder on the import path of the tests, for `from fakes import ...`."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; subprocesses inherit it

import torch

torch.set_num_threads(1)  # test tensors are too small to share out, and waiting threads would only spin
