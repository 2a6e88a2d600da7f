"""Whom chats refer to: departments, agents and contacts, inserted before the chats and brought up to date after them.

Here belongs which of several tellings of one of them wins. Not here: the chats. New rows come first, because chats
refer to them; changes to stored rows come last in the transaction, because many loads share those rows and would wait
for each other through the whole load. Both steps work on the same staged rows.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple

from b2chat_pipeline.ingest.batch import ContactTold, DayWrite, Mentioned
from b2chat_pipeline.ingest.mapping import Parents
from b2chat_pipeline.ingest.people import agent_id, department_code, department_id, stub_hash, stub_row
from b2chat_pipeline.ingest.rows import AgentRow, DepartmentRow
from b2chat_pipeline.warehouse.write import insert_staged, stage_rows, stored_ids

# What tells two of them apart at the source.
_KEYS = {"departments": "name", "agents": "b2chat_id", "contacts": "b2chat_id"}

# Each statement locks just the rows it will change, in the order of their keys: the plan of an UPDATE alone might take
# them in any order, and two loads would deadlock.
_UPDATE_DEPARTMENTS = """
    with news as (
        select d.id, s.last_seen_at, s.last_sync_at
          from departments d join stage_departments s on s.name = d.name
         where d.last_seen_at is null or s.last_seen_at > d.last_seen_at
         order by d.name for no key update of d
    )
    update departments d set last_seen_at = n.last_seen_at, last_sync_at = n.last_sync_at
      from news n where d.id = n.id
    returning d.name
"""
# An answer that tells somebody as stored writes nothing. So where one differs, the chats are asked that are stored as
# theirs: whether any was told by a newer answer. That is seldom, and costs nothing where nobody differs.
_TOLD_SINCE = """
    exists (select from chats h
              left join window_reads r on r.endpoint = '/chats/export' and r.hour_start <= h.created_at
                   and r.hour_start > h.created_at - interval '1 hour'
              left join lateral (select max(told_at) as told_at from chat_absences where chat_id = h.id) b on true
             where h.somebody and greatest(h.read_at, coalesce(b.told_at, r.applied_read_at)) > s.read_at)
"""
# What took the department or the agent out of a chat says when that chat was last told with both.
_PLACED_UNTIL = """
    (select c.seen_before from chats h
      cross join lateral (
          select min(seen_before) as seen_before,
                 array_agg(old order by seen_at) filter (where field = 'agent') as agents,
                 array_agg(old order by seen_at) filter (where field = 'department') as departments
            from ops.chat_history where chat_id = h.id and seen_before >= a.department_read_at) c
      where h.created_at = a.department_seen_at
        and case when c.agents is null then h.agent_id else c.agents[1] end = a.id
        and case when c.departments is null then h.department_id else c.departments[1] end = a.department_id
      limit 1)
"""
# The newest chat that was told with a department decides it, as it was read last; an answer without one tells nothing.
# A chat that is stored with one knows which is the last; one that no longer has it goes by when each was read.
_UPDATE_AGENTS = """
    with news as (
        select s.*, a.id as stored_id, j.renamed, j.moved
          from agents a join stage_agents s on s.b2chat_id = a.b2chat_id
          cross join lateral (
              select case when s.read_at > a.read_at and (a.name, a.email) is distinct from (s.name, s.email)
                          then not told_since else false end as renamed,
                     case when s.department_seen_at is null then false
                          when s.department_seen_at > coalesce(a.department_seen_at, '-infinity') then true
                          when s.department_seen_at < a.department_seen_at then false
                          else coalesce(
                              (select h.department_id = s.department_id and s.department_id <> a.department_id
                                 from chats h
                                where h.agent_id = a.id and h.created_at = s.department_seen_at
                                  and h.department_id is not null limit 1),
                              s.department_read_at > coalesce(placed_until, a.department_read_at))
                          end as moved
          ) j
         where j.renamed or j.moved or s.last_seen_at > coalesce(a.last_seen_at, '-infinity')
         order by a.b2chat_id for no key update of a
    )
    update agents a
       set name = case when n.renamed then n.name else a.name end,
           email = case when n.renamed then n.email else a.email end,
           read_at = case when n.renamed then n.read_at else a.read_at end,
           department_id = case when n.moved then n.department_id else a.department_id end,
           department_seen_at = case when n.moved then n.department_seen_at else a.department_seen_at end,
           department_read_at = case when n.moved then n.department_read_at else a.department_read_at end,
           updated_at = case when n.renamed or n.moved then n.last_sync_at else a.updated_at end,
           last_seen_at = greatest(a.last_seen_at, n.last_seen_at),
           last_sync_at = n.last_sync_at
      from news n where a.id = n.stored_id
    returning a.b2chat_id
""".replace("told_since", _TOLD_SINCE.replace("h.somebody", "h.agent_id = a.id")).replace("placed_until", _PLACED_UNTIL)
# A short form never overwrites what the contact's own endpoint told.
_UPDATE_CONTACTS = """
    with news as (
        select s.*, c.id as stored_id, j.changed
          from contacts c join stage_contacts s on s.b2chat_id = c.b2chat_id
          cross join lateral (
              select case when not c.is_full and s.read_at > c.read_at and s.row_hash <> c.row_hash
                          then not told_since else false end as changed
          ) j
         where j.changed or s.last_seen_at > coalesce(c.last_seen_at, '-infinity')
         order by c.b2chat_id for no key update of c
    )
    update contacts c
       set full_name = case when n.changed then n.full_name else c.full_name end,
           mobile = case when n.changed then n.mobile else c.mobile end,
           raw_mobile = case when n.changed then n.raw_mobile else c.raw_mobile end,
           phone_number = case when n.changed then n.phone_number else c.phone_number end,
           email = case when n.changed then n.email else c.email end,
           identification = case when n.changed then n.identification else c.identification end,
           custom_attributes = case when n.changed then n.custom_attributes else c.custom_attributes end,
           tags = case when n.changed then n.tags else c.tags end,
           row_hash = case when n.changed then n.row_hash else c.row_hash end,
           read_at = case when n.changed then n.read_at else c.read_at end,
           updated_at = case when n.changed then n.last_sync_at else c.updated_at end,
           last_seen_at = greatest(c.last_seen_at, n.last_seen_at),
           last_sync_at = n.last_sync_at
      from news n where c.id = n.stored_id
    returning c.b2chat_id
""".replace("told_since", _TOLD_SINCE.replace("h.somebody", "h.contact_id = c.id"))


def insert_parents(write: DayWrite) -> Parents:
    """Insert the parents that are not stored yet, and return the keys of all that the batch refers to."""
    departments = _insert_departments(write)
    return Parents(departments, _insert_agents(write, departments), _insert_contacts(write))


def update_parents(write: DayWrite) -> None:
    """Bring stored parents up to date where the batch knows newer things of them."""
    _update(write, "departments", _UPDATE_DEPARTMENTS, write.batch.departments)
    _update(write, "agents", _UPDATE_AGENTS, write.batch.agents)
    _update(write, "contacts", _UPDATE_CONTACTS, write.batch.contacts)


def _update(write: DayWrite, entity: str, statement: LiteralString, told: Mapping[str, Mentioned]) -> None:
    stored = [key for key in told if key not in write.inserted[entity]]
    if not stored:
        return
    updated = {row[0] for row in write.connection.execute(statement)} if entity in write.staged else set()
    for key in stored:
        counts = write.tally[entity, told[key].hour]
        if key in updated:
            counts.updated += 1
        else:
            counts.unchanged += 1


def _insert(write: DayWrite, entity: str, rows: Sequence[NamedTuple], told: Mapping[str, Mentioned]) -> None:
    """Stage the rows, and insert those that are not stored."""
    key = _KEYS[entity]
    if rows:
        stage_rows(write.connection, entity, rows)
        write.staged.add(entity)
        write.inserted[entity] = insert_staged(write.connection, entity, rows[0]._fields, key)
    for inserted in write.inserted[entity]:
        write.tally[entity, told[inserted].hour].inserted += 1


def _ids(write: DayWrite, entity: str, keys: Collection[str]) -> dict[str, str]:
    return stored_ids(write.connection, entity, _KEYS[entity], keys)


def _insert_departments(write: DayWrite) -> dict[str, str]:
    told = write.batch.departments
    known = _department_codes(write)
    if told.keys() - known.keys():
        # Which code a new department gets depends on those that exist: one load at a time may give them out.
        write.connection.execute("select pg_advisory_xact_lock(hashtextextended('b2chat departments', 0))")
        known = _department_codes(write)
    rows = []
    for name in sorted(told):
        known[name] = known.get(name) or department_code(name, set(known.values()))
        rows.append(
            DepartmentRow(
                id=department_id(name),
                b2chat_code=known[name],
                name=name,
                is_leaf=True,
                last_seen_at=told[name].seen_at,
                last_sync_at=write.synced_at,
            )
        )
    _insert(write, "departments", rows, told)
    return _ids(write, "departments", told)


def _department_codes(write: DayWrite) -> dict[str, str]:
    return dict(write.connection.execute("select name, b2chat_code from departments").fetchall())


def _insert_agents(write: DayWrite, departments: Mapping[str, str]) -> dict[str, str]:
    rows = [
        AgentRow(
            id=agent_id(username),
            b2chat_id=username,
            username=username,
            name=told.agent.name or "",
            email=told.agent.email or None,
            department_id=departments[told.department] if told.department else None,
            department_seen_at=told.placed_by.created_at if told.placed_by else None,
            department_read_at=told.placed_by.read_at if told.placed_by else None,
            last_seen_at=told.seen_at,
            read_at=told.told_by.read_at,
            last_sync_at=write.synced_at,
        )
        for username, told in sorted(write.batch.agents.items())
    ]
    _insert(write, "agents", rows, write.batch.agents)
    return _ids(write, "agents", write.batch.agents)


def _insert_contacts(write: DayWrite) -> dict[str, str]:
    """Most contacts of most batches are stored and the same: only the others are worth a row."""
    told = write.batch.contacts
    stored = write.connection.execute(_STORED_CONTACTS, (list(told),)).fetchall()
    ids = {key: contact_id for key, contact_id, *_ in stored}
    same = {key for key, _, *columns in stored if not _is_news(told[key], *columns)}
    rows = [
        stub_row(contact.stub, read_at=contact.told_by.read_at, seen_at=contact.seen_at, synced_at=write.synced_at)
        for key, contact in sorted(told.items())
        if key not in same
    ]
    _insert(write, "contacts", rows, told)
    return ids | _ids(write, "contacts", told.keys() - ids.keys())


_STORED_CONTACTS = "select b2chat_id, id, last_seen_at, row_hash, is_full from contacts where b2chat_id = any(%b)"


def _is_news(told: ContactTold, last_seen_at: datetime | None, row_hash: bytes, is_full: bool) -> bool:  # noqa: FBT001
    """Whether a contact is told otherwise than its row has it; a short form tells a full row nothing."""
    if last_seen_at is None or told.seen_at > last_seen_at:
        return True
    return not is_full and row_hash != stub_hash(told.stub)
