"""``pmon analyze``: what pmon makes of recordings, and of traces of its own inputs."""
