"""The one door to MLflow. The flow opens a run and passes its id on; no code relies on an active run."""
