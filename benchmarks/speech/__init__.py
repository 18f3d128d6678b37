"""How well speech is found: labelled material of our own making, and a table of detectors."""
