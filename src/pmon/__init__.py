"""pmon: a participant monitor for LiveKit.

This file stays empty of imports, so that ``import pmon._dsp`` loads nothing else.
"""
