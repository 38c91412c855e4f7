-- Work for single hosts, and what comes of it.

-- The archive's index; the files themselves are in the blob folder under their digest.
create table exports (
    id            text    not null primary key,
    host          text    not null references hosts (id),
    at            integer not null,
    blob          text    not null check (length(blob) = 64),
    size          integer not null check (size >= 0),
    audit_entries integer not null check (audit_entries >= 0),
    alert_entries integer not null check (alert_entries >= 0),
    status        text    not null check (status in ('ok', 'partial')),
    key_id        text    not null,
    reason        text    not null,
    rollout       integer, -- a host's word, so no foreign key: a wrong number must not lose an export
    -- A host sends again what it got no answer for; that is one export.
    constraint exports_blob_key unique (host, blob)
) strict;

-- Listings are newest first, of one host or of all.
create index exports_by_host on exports (host, at);
create index exports_by_time on exports (at);

create table tasks (
    id          text    not null primary key,
    host        text    not null references hosts (id),
    kind        text    not null check (json_valid(kind)),
    state       text    not null check (state in ('waiting', 'offered', 'done', 'failed', 'expired')),
    detail      text    not null,
    created_at  integer not null,
    deadline    integer not null,
    finished_at integer,
    export      text    references exports (id),
    health      text,
    constraint tasks_finished_at_check check ((state in ('done', 'failed', 'expired')) = (finished_at is not null))
) strict;

-- Open tasks are asked for at every session and every tick; ended ones only grow.
create index tasks_open on tasks (host, created_at) where finished_at is null;
create index tasks_deadline on tasks (deadline) where finished_at is null;

-- The newest report of each host; the history is in the audit log.
create table host_health (
    host    text    not null primary key references hosts (id),
    overall text    not null check (overall in ('healthy', 'degraded', 'unavailable')),
    at      integer not null,
    report  text    not null -- as the host sent it
) strict;
