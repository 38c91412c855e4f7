-- Verdicts, so that a person can see since when a host fails and why.
create table attestations (
    id      integer not null primary key,
    host    text    not null references hosts (id),
    at      integer not null,
    verdict text    not null check (verdict in ('pass', 'fail', 'retry')),
    reasons text    not null check (json_valid(reasons))
) strict;

-- A host's newest verdicts.
create index attestations_by_host on attestations (host, at);
