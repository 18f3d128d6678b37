"""The history: meetings, sessions, visits, turns and issues in SQLite or PostgreSQL.

It needs the extra ``history``; nothing but what is asked for a history imports it.
"""
