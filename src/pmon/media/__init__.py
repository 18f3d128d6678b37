"""How audio and video come in: the only package that imports ``livekit.rtc``."""
