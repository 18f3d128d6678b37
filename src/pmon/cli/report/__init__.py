"""``pmon report``: who was where, and for how long they spoke."""
