"""The composition root: which parts there are and how they are wired."""
