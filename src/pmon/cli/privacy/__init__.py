"""``pmon privacy``: what pmon keeps of one participant."""
