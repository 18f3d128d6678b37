"""Whom to hear and whom to see: a budget of decoded audio and video, planned without any I/O."""

from pmon.monitor.listening.changes import Change, Reason
from pmon.monitor.listening.load import Mode
from pmon.monitor.listening.plan import Listening
from pmon.monitor.listening.status import Status

__all__ = ["Change", "Listening", "Mode", "Reason", "Status"]
