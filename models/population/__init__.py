"""K recurrent networks of one shape, trained in lockstep in PyTorch: the reference for the compiled kernels."""
