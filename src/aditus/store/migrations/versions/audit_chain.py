"""The audit entries of each organisation become a chain, and the database itself refuses to change them.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

from aditus.domain.audit_chain import NOTHING, digest, entry

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PAGE = 1_000

SQLITE_TRIGGERS = (
    """
    CREATE TRIGGER audit_events_update BEFORE UPDATE ON audit_events
    BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END
    """,
    """
    CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
    BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END
    """,
    # INSERT OR REPLACE deletes without asking the trigger above.
    """
    CREATE TRIGGER audit_events_replace BEFORE INSERT ON audit_events
    WHEN EXISTS (SELECT 1 FROM audit_events WHERE event_id = NEW.event_id)
      OR EXISTS (
        SELECT 1 FROM audit_events WHERE organization_id = NEW.organization_id AND sequence = NEW.sequence
      )
    BEGIN SELECT RAISE(ABORT, 'audit entries are never replaced'); END
    """,
)
POSTGRES_TRIGGERS = (
    """
    CREATE FUNCTION audit_events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit entries are never changed or deleted'; END $$
    """,
    """
    CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_stay()
    """,
)


def upgrade() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_audit_heads")),
    )
    op.add_column("audit_events", sa.Column("sequence", sa.BigInteger(), nullable=True))
    op.add_column("audit_events", sa.Column("previous_hash", sa.LargeBinary(), nullable=True))
    op.add_column("audit_events", sa.Column("hash", sa.LargeBinary(), nullable=True))
    _chain(op.get_bind())
    with op.batch_alter_table("audit_events") as events:
        for name, kind in (
            ("sequence", sa.BigInteger()),
            ("previous_hash", sa.LargeBinary()),
            ("hash", sa.LargeBinary()),
        ):
            events.alter_column(name, existing_type=kind, nullable=False)
        events.create_unique_constraint(
            op.f("uq_audit_events_organization_id_sequence"), ["organization_id", "sequence"]
        )
    for statement in SQLITE_TRIGGERS if _is_sqlite() else POSTGRES_TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    if _is_sqlite():
        for name in ("update", "delete", "replace"):
            op.execute(f"DROP TRIGGER audit_events_{name}")
    else:
        op.execute("DROP TRIGGER audit_events_stay ON audit_events")
        op.execute("DROP FUNCTION audit_events_stay()")
    with op.batch_alter_table("audit_events") as events:
        events.drop_constraint(op.f("uq_audit_events_organization_id_sequence"), type_="unique")
        for name in ("sequence", "previous_hash", "hash"):
            events.drop_column(name)
    op.drop_table("audit_heads")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _chain(tx: sa.Connection) -> None:
    """Chain the entries that there are, in the order of their ids."""
    texts = ("organization_id", "subscription_id", "region", "actor_id", "actor", "action")
    events = sa.table(
        "audit_events",
        sa.column("event_id", sa.BigInteger()),
        sa.column("at", sa.Double()),
        *(sa.column(name, sa.Text()) for name in (*texts, "object_id", "object_name")),
        sa.column("details", sa.JSON()),
    )
    chained = sa.table(
        "audit_events",
        sa.column("event_id", sa.BigInteger()),
        sa.column("sequence", sa.BigInteger()),
        sa.column("previous_hash", sa.LargeBinary()),
        sa.column("hash", sa.LargeBinary()),
    )
    ends = sa.table(
        "audit_heads",
        sa.column("organization_id", sa.Text()),
        sa.column("sequence", sa.BigInteger()),
        sa.column("hash", sa.LargeBinary()),
    )
    heads: dict[str, tuple[int, str]] = {}
    last = 0
    while True:
        query = sa.select(events).where(events.c.event_id > last).order_by(events.c.event_id).limit(PAGE)
        page = tx.execute(query).mappings().all()
        if not page:
            break
        last = page[-1]["event_id"]
        links = []
        for row in page:
            sequence, previous = heads.get(row["organization_id"], (0, NOTHING))
            new = digest(entry({**row, "sequence": sequence + 1}, previous))
            heads[row["organization_id"]] = (sequence + 1, new)
            links.append(
                {
                    "its_id": row["event_id"],
                    "sequence": sequence + 1,
                    "previous_hash": bytes.fromhex(previous),
                    "hash": bytes.fromhex(new),
                }
            )
        tx.execute(chained.update().where(chained.c.event_id == sa.bindparam("its_id")), links)
    new_heads = [
        {"organization_id": organization_id, "sequence": sequence, "hash": bytes.fromhex(new)}
        for organization_id, (sequence, new) in heads.items()
    ]
    if new_heads:
        tx.execute(ends.insert(), new_heads)
