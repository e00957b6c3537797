"""What one step does: tasks that read, prepare, train, score, draw and record."""
