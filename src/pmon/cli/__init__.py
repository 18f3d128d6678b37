"""The commands ``pmon-worker`` and ``pmon``."""
