-- What is known of a host, apart by how often it changes: a heartbeat must not rewrite labels, and a listing must not
-- read key material and event logs. Times are microseconds since 1970 UTC, everywhere.

-- Inventory: changes when an operator or a verdict says so.
create table hosts (
    id           text    not null primary key check (length(id) = 16),
    name         text    not null,
    labels       text    not null check (json_valid(labels)),
    trust        text    not null check (trust in ('pending', 'unattested', 'trusted', 'stale', 'drifted', 'untrusted',
                                                   'quarantined', 'retired')),
    trust_reason text    not null,
    enrolled_at  integer not null,
    -- People and change tickets know a host by its name; two of one name would be a mix-up waiting to happen.
    constraint hosts_name_key unique (name)
) strict;

-- Keys proven at enrolment: read when a session begins, written at enrolment and renewal.
create table host_keys (
    host                   text    not null primary key references hosts (id),
    ek_spki_sha256         text    not null check (length(ek_spki_sha256) = 64),
    ek_public              blob    not null,
    ak_public              blob    not null,
    tls_public             blob    not null,
    tpm_manufacturer       text    not null,
    certificate_expires_at integer not null
) strict;

-- What the next quote is compared with, rewritten by each genuine quote. Documents of the verifier, opaque here; empty
-- where there is none yet.
create table host_measurements (
    host     text not null primary key references hosts (id),
    baseline text not null,
    clock    text not null,
    quoted   text not null
) strict;

-- Rewritten by each heartbeat. Without rowid: one b-tree to touch, not two.
create table host_liveness (
    host          text    not null primary key references hosts (id),
    last_seen     integer,
    agent_version text    not null
) strict, without rowid;

-- What the host said last. A claim.
create table host_reports (
    host       text    not null primary key references hosts (id),
    sequence   integer not null check (sequence >= 0),
    generation integer check (generation >= 1),
    phase      text    not null check (phase in ('committed', 'offered', 'preflight', 'downloading', 'staged',
                                                 'exporting', 'armed', 'switching', 'probation', 'rolling_back',
                                                 'rolled_back', 'refused', 'safe_hold')),
    running    text    check (length(running) = 64),
    version    text    not null,
    detail     text    not null
) strict;

-- What a quote last confirmed of those claims.
create table host_confirmed (
    host       text    not null primary key references hosts (id),
    running    text    check (length(running) = 64),
    generation integer check (generation >= 1),
    at         integer not null
) strict;
