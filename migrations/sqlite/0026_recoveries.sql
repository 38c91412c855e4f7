-- Recoveries of hosts. The document is the recovery as the model has it; the columns are what is asked for. By name: a new
-- machine has another id.
create table recoveries (
    id       integer not null primary key check (id >= 1),
    host     text    not null,
    revision integer not null check (revision >= 1), -- whoever changes it must have read this one
    is_open  integer not null check (is_open in (0, 1)),
    document text    not null check (json_valid(document))
) strict;

-- A host is recovered once at a time.
create unique index recoveries_open on recoveries (host) where is_open = 1;
create index recoveries_by_host on recoveries (host, id);
