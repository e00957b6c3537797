"""`python -m models.kernels` compiles the kernels now rather than in the first training."""

import logging

from models.kernels import load_kernels

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    load_kernels()
