"""How results leave, one module an output."""
