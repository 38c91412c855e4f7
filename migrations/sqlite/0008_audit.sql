-- Everything that an operator or the system does, one row each, chained by hashes: a changed or missing row shows when
-- the chain is verified.
create table audit (
    sequence integer not null primary key check (sequence >= 1), -- from one, without gaps
    at       integer not null,
    actor    text    not null,
    action   text    not null,
    object   text    not null,
    outcome  text    not null,
    details  text    not null check (json_valid(details)),
    previous text    not null check (length(previous) = 64),
    hash     text    not null check (length(hash) = 64)
) strict;

-- "What happened to this host?" is the question asked in an incident.
create index audit_by_object on audit (object, sequence);

-- The chain shows what was changed; these keep this program from changing it by mistake.
create trigger audit_no_update before update on audit
begin
    select raise(abort, 'the audit log is append-only');
end;

create trigger audit_no_delete before delete on audit
begin
    select raise(abort, 'the audit log is append-only');
end;
