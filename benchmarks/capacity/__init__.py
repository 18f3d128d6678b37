"""What watching costs, on a real server with real speech: ``make bench-capacity``."""
