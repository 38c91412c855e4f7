-- What a person of the security role must look at and end, and whether the webhook has it. Kinds are words of the
-- controller and not checked here: a new one would mean to build the table anew.
create table escalations (
    id           text    not null primary key,
    kind         text    not null check (kind <> ''),
    host         text    not null references hosts (id),
    summary      text    not null,
    opened_at    integer not null,
    resolved_at  integer,
    resolved_by  text,
    resolution   text,
    delivery     text    not null check (delivery in ('waiting', 'delivered', 'failed')),
    attempts     integer not null check (attempts >= 0), -- that failed
    next_attempt integer,
    delivered_at integer,
    failure      text,
    constraint escalations_resolved_check check ((resolved_at is null) = (resolved_by is null)
                                                 and (resolved_at is null) = (resolution is null)),
    constraint escalations_delivery_check check ((delivery = 'waiting') = (next_attempt is not null)
                                                 and (delivery = 'delivered') = (delivered_at is not null)
                                                 and (delivery = 'failed') = (failure is not null))
) strict;

-- A host that fails every few minutes is one thing to look at.
create unique index escalations_open_kind on escalations (host, kind) where resolved_at is null;

-- Listings are newest first: the open ones, which are few, or all, which only grow.
create index escalations_open on escalations (opened_at) where resolved_at is null;
create index escalations_by_time on escalations (opened_at);

-- Asked for every few seconds.
create index escalations_undelivered on escalations (next_attempt) where delivery = 'waiting';
