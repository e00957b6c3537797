"""What a command starts, watches and ends: servers, workers, and the processes that belong to them."""
