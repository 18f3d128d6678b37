"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "issues",
        sa.Column("id", sa.Text(), nullable=False, comment="Id of the event issue_raised"),
        sa.Column(
            "revision",
            sa.Integer(),
            nullable=False,
            comment="Rises when the row changes; an older one changes nothing",
        ),
        sa.Column("session", sa.Text(), nullable=False, comment="The session it belongs to"),
        sa.Column("issue", sa.Text(), nullable=False, comment="Its kind, such as connection_poor"),
        sa.Column(
            "severity",
            sa.Text(),
            nullable=False,
            comment="As it was last: info, warning or critical",
        ),
        sa.Column(
            "track_sid",
            sa.Text(),
            nullable=True,
            comment="The track it is about, if it is about one",
        ),
        sa.Column(
            "since", sa.DateTime(timezone=True), nullable=False, comment="When the trouble began"
        ),
        sa.Column(
            "raised_at", sa.DateTime(timezone=True), nullable=False, comment="When it was raised"
        ),
        sa.Column(
            "resolved_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was over; null while it is not",
        ),
        sa.Column(
            "duration_s",
            sa.Float(),
            nullable=True,
            comment="From since until it was over, in seconds",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it is over"),
        sa.Column(
            "evidence",
            sa.JSON(),
            nullable=True,
            comment="What it was raised on, at its last change of severity",
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="Something that was wrong, from its raising to its end",
    )
    op.create_index("issues_raised_at", "issues", ["raised_at"], unique=False)
    op.create_index("issues_session", "issues", ["session"], unique=False)
    op.create_table(
        "meetings",
        sa.Column("room", sa.Text(), nullable=False, comment="Name of the room, or a pseudonym"),
        sa.Column(
            "room_sid", sa.Text(), nullable=False, comment="One life of the room on the server"
        ),
        sa.Column(
            "began_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the first sign of it was seen",
        ),
        sa.Column(
            "last_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the last sign of it was seen",
        ),
        sa.Column(
            "observed_s",
            sa.Float(),
            nullable=True,
            comment="Time in which somebody was there who was listened to, in seconds",
        ),
        sa.Column(
            "talk_s", sa.Float(), nullable=True, comment="Time in which anybody spoke, in seconds"
        ),
        sa.Column(
            "overlap_s",
            sa.Float(),
            nullable=True,
            comment="Time in which two or more spoke, in seconds",
        ),
        sa.Column(
            "longest_silence_s",
            sa.Float(),
            nullable=True,
            comment="While somebody was there who was listened to, in seconds",
        ),
        sa.Column(
            "turns", sa.Integer(), nullable=True, comment="Number of turns, of all participants"
        ),
        sa.Column(
            "interruptions",
            sa.Integer(),
            nullable=True,
            comment="How often somebody interrupted somebody",
        ),
        sa.Column(
            "partial",
            sa.Boolean(),
            nullable=True,
            comment="Somebody was there for a while who may have spoken and was not listened to",
        ),
        sa.PrimaryKeyConstraint("room", "room_sid"),
        comment="A room from its creation to its end on the server, as the workers saw it",
    )
    op.create_index("meetings_last_at", "meetings", ["last_at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("session", sa.Text(), nullable=False, comment="Id of the session, as in events"),
        sa.Column(
            "revision",
            sa.Integer(),
            nullable=False,
            comment="Rises when the row changes; an older one changes nothing",
        ),
        sa.Column("room", sa.Text(), nullable=False, comment="Its meeting, with room_sid"),
        sa.Column(
            "room_sid", sa.Text(), nullable=False, comment="Empty if the room was never joined"
        ),
        sa.Column("participant", sa.Text(), nullable=False, comment="Identity, or a pseudonym"),
        sa.Column("participant_sid", sa.Text(), nullable=False, comment="Of their last connection"),
        sa.Column(
            "participant_kind",
            sa.Text(),
            nullable=False,
            comment="standard, sip, ingress and others",
        ),
        sa.Column("dispatch", sa.Text(), nullable=False, comment="Dispatch that asked for it"),
        sa.Column(
            "job",
            sa.Text(),
            nullable=True,
            comment="Job it stood for last; null where the worker had none",
        ),
        sa.Column(
            "monitoring_type", sa.Text(), nullable=False, comment="full, audio, video or connection"
        ),
        sa.Column("labels", sa.JSON(), nullable=False, comment="Labels of the dispatch"),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="When watching began"
        ),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When watching ended; null while it goes on or is cut off",
        ),
        sa.Column("end_reason", sa.Text(), nullable=True, comment="Why it ended"),
        sa.Column(
            "microphone_s",
            sa.Float(),
            nullable=True,
            comment="Microphones published and not muted, in seconds",
        ),
        sa.Column(
            "duration_s", sa.Float(), nullable=True, comment="Length of the session, in seconds"
        ),
        sa.Column(
            "present_s",
            sa.Float(),
            nullable=True,
            comment="Time the participant was in the room, as far as it was observed, in seconds",
        ),
        sa.Column(
            "talk_time_s",
            sa.Float(),
            nullable=True,
            comment="Time the participant spoke, in seconds",
        ),
        sa.Column(
            "turns",
            sa.Integer(),
            nullable=True,
            comment="Number of turns; pauses under 0.3 s belong to a turn",
        ),
        sa.Column(
            "mean_turn_s",
            sa.Float(),
            nullable=True,
            comment="Talk time of a turn, in seconds; null without turns",
        ),
        sa.Column(
            "talk_share",
            sa.Float(),
            nullable=True,
            comment="Part of the talk time of all watched in the room, 0 to 1; null if unknown",
        ),
        sa.Column(
            "overlap_s",
            sa.Float(),
            nullable=True,
            comment="Time in which somebody else spoke, too, in seconds",
        ),
        sa.Column(
            "interruptions",
            sa.Integer(),
            nullable=True,
            comment="How often the participant interrupted somebody",
        ),
        sa.Column(
            "interrupted",
            sa.Integer(),
            nullable=True,
            comment="How often somebody interrupted the participant",
        ),
        sa.Column(
            "partial",
            sa.Boolean(),
            nullable=True,
            comment="Share, overlap and interruptions leave out people who were not listened to",
        ),
        sa.Column(
            "level_dbov",
            sa.Float(),
            nullable=True,
            comment="Mean power of the audio inside speech, in dBov; null without speech",
        ),
        sa.Column(
            "heard",
            sa.Text(),
            nullable=True,
            comment="What talk time rests on: pcm, server or sampled",
        ),
        sa.Column(
            "observed_s", sa.Float(), nullable=True, comment="Connected to the room, in seconds"
        ),
        sa.Column(
            "unobserved_s",
            sa.Float(),
            nullable=True,
            comment="Not connected: before the first join and while reconnecting, in seconds",
        ),
        sa.Column(
            "heard_s",
            sa.Float(),
            nullable=True,
            comment="Decoded audio of the participant's microphones, in seconds",
        ),
        sa.Column(
            "server_word_s",
            sa.Float(),
            nullable=True,
            comment="Unmuted microphone of which only the server's word was known, in seconds",
        ),
        sa.Column(
            "sampled_s",
            sa.Float(),
            nullable=True,
            comment="Unmuted microphone that the server did not hear, between looks, in seconds",
        ),
        sa.Column(
            "quality_excellent_s",
            sa.Float(),
            nullable=True,
            comment="Connection quality excellent, in seconds",
        ),
        sa.Column(
            "quality_good_s",
            sa.Float(),
            nullable=True,
            comment="Connection quality good, in seconds",
        ),
        sa.Column(
            "quality_poor_s",
            sa.Float(),
            nullable=True,
            comment="Connection quality poor, in seconds",
        ),
        sa.Column(
            "quality_lost_s",
            sa.Float(),
            nullable=True,
            comment="Connection quality lost, in seconds",
        ),
        sa.Column(
            "quality_unknown_s",
            sa.Float(),
            nullable=True,
            comment="Connection quality unknown, in seconds",
        ),
        sa.Column(
            "link_measured_s",
            sa.Float(),
            nullable=True,
            comment="Audio whose way here was measured, in seconds",
        ),
        sa.Column(
            "link_packets",
            sa.Integer(),
            nullable=True,
            comment="Number of packets that should have come",
        ),
        sa.Column(
            "link_loss", sa.Float(), nullable=True, comment="Part of them that did not, 0 to 1"
        ),
        sa.Column(
            "link_jitter_s",
            sa.Float(),
            nullable=True,
            comment="Jitter of their arrival, in seconds",
        ),
        sa.Column(
            "link_concealment",
            sa.Float(),
            nullable=True,
            comment="Part of the sound that was made up, audibly, 0 to 1",
        ),
        sa.Column(
            "link_mos",
            sa.Float(),
            nullable=True,
            comment="Estimate of the quality of speech, 1 to 4.5 (ITU-T G.107)",
        ),
        sa.Column(
            "tracks",
            sa.JSON(),
            nullable=True,
            comment="The published tracks, as in the summary of the event",
        ),
        sa.PrimaryKeyConstraint("session"),
        comment="A participant watched for a dispatch; what it amounts to is known at its end",
    )
    op.create_index("sessions_meeting", "sessions", ["room", "room_sid"], unique=False)
    op.create_index("sessions_participant", "sessions", ["participant"], unique=False)
    op.create_table(
        "turns",
        sa.Column("id", sa.Text(), nullable=False, comment="Id of the event speaking_stopped"),
        sa.Column("session", sa.Text(), nullable=False, comment="The session it belongs to"),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="When speech began"
        ),
        sa.Column(
            "ended_at", sa.DateTime(timezone=True), nullable=False, comment="When speech ended"
        ),
        sa.Column("turn_s", sa.Float(), nullable=False, comment="Its length, in seconds"),
        sa.Column(
            "heard", sa.Text(), nullable=True, comment="What it rests on: pcm, server or sampled"
        ),
        sa.Column(
            "track_sid",
            sa.Text(),
            nullable=True,
            comment="The microphone; null on the server's word",
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="Speech without a pause; those less than 0.3 s apart are one turn in the summary",
    )
    op.create_index("turns_ended_at", "turns", ["ended_at"], unique=False)
    op.create_index("turns_session", "turns", ["session"], unique=False)
    op.create_table(
        "visits",
        sa.Column("id", sa.Text(), nullable=False, comment="Id of the event participant_connected"),
        sa.Column(
            "revision",
            sa.Integer(),
            nullable=False,
            comment="Rises when the row changes; an older one changes nothing",
        ),
        sa.Column("session", sa.Text(), nullable=False, comment="The session it belongs to"),
        sa.Column(
            "joined_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When they came, or were found there",
        ),
        sa.Column(
            "left_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When they left, or watching ended; null until then",
        ),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="Why they left, or why watching ended"
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="A participant in the room, from joining to leaving",
    )
    op.create_index("visits_joined_at", "visits", ["joined_at"], unique=False)
    op.create_index("visits_session", "visits", ["session"], unique=False)
