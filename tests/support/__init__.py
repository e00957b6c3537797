"""What the tests share: real servers, browsers, files that are broken on purpose, and trainings that are killed."""
