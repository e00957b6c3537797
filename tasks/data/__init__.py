"""Read series from files, check them, and prepare them for the models."""
