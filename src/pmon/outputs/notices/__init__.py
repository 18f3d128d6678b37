"""In-room notices: which data packets a room's participants get, and when. Sans-IO."""

from pmon.outputs.notices.planner import PER_S, SENDS, TOPIC, WELCOME, Notices, Packet

__all__ = ["PER_S", "SENDS", "TOPIC", "WELCOME", "Notices", "Packet"]
