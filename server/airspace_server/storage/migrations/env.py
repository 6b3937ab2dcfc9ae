"""What Alembic runs: the steps, on the connection that storage/migrate.py hands over."""

from typing import Any, Literal

from alembic import context
from sqlmodel.sql.sqltypes import AutoString

from airspace_server.storage.tables import METADATA


def render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write SQLModel's own string type as SQLAlchemy's, which is what it is in the database."""
    if kind == "type" and isinstance(item, AutoString):
        length: Any = item.impl.length  # type: ignore[misc]
        return f"sa.String(length={length})"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter a table in place
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
