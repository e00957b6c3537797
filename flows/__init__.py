"""What happens, in which order: one Prefect flow a file, and the command line."""
