"""What is left on disk so that a run can go on after its process was killed, and the locks that guard it."""
