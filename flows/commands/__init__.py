"""The commands of `tidecast`, one a file."""
