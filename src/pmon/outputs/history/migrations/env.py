"""Run by Alembic: on the connection, and within the transaction, of whoever calls it."""

from alembic import context

from pmon.outputs.history.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
