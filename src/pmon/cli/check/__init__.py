"""``pmon check``: whether a worker can work here, each line ok or what to do."""
