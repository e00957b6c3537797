"""What a forecaster is: NumPy and PyTorch, usable from a notebook."""
