-- Taking away what hosts are held to takes two people. What the first one asked for waits here for the second; a change
-- of the policy's state ends it.
create table policy_requests (
    policy        text    not null primary key references policies (digest),
    change        text    not null check (change in ('retire', 'rollback')),
    after_seconds integer not null check (after_seconds >= 0),
    author        text    not null,
    reason        text    not null,
    at            integer not null
) strict, without rowid;
