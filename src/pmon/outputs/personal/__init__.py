"""What is kept of one participant: to hand it out, or to have it gone.

Erased is who it was. What they did stays under a name that was drawn by lot, so that the totals of
a room do not change.
"""
