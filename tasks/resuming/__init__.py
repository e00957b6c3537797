"""What lets a flow run be resumed after its process was killed: its state on disk, and the locks that guard it."""
