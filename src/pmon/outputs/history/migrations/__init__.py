"""How the tables came to be: one file of ``versions`` for each change, never changed afterwards."""
