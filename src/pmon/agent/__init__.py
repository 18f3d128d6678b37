"""How jobs come: the agent-worker protocol of livekit-server and its websocket."""
