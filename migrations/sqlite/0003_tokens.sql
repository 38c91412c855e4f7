-- Enrolment tokens admit one host each. Only the key derived from a token is kept, because a proof of it must be
-- checked; the token itself is never stored. `expired` is no state here: it follows from the time asked for.
create table tokens (
    id         text    not null primary key check (length(id) = 12),
    key        blob    not null check (length(key) = 32),
    host_name  text,
    labels     text    not null check (json_valid(labels)),
    state      text    not null check (state in ('open', 'used', 'revoked')),
    expires_at integer not null,
    created_by text    not null,
    created_at integer not null,
    used_by    text    references hosts (id),
    constraint tokens_used_by_check check ((state = 'used') = (used_by is not null))
) strict;

-- A new token's name is looked for among the open ones. Not unique: one that nobody used in time blocks no name.
create index tokens_open_name on tokens (host_name) where state = 'open';
