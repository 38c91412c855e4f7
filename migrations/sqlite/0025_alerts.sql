-- What people are told without asking. The document is the alert as the model has it; the columns are what is asked for.
create table alerts (
    id          integer not null primary key check (id >= 1),
    fingerprint text    not null check (length(fingerprint) = 16), -- of rule and subject
    state       text    not null check (state in ('quiet', 'pending', 'firing', 'ended')),
    revision    integer not null check (revision >= 1), -- whoever changes it must have read this one
    ended_at    integer,
    document    text    not null check (json_valid(document)),
    constraint alerts_ended_check check ((state = 'ended') = (ended_at is not null))
) strict;

-- The same thing is one alert.
create unique index alerts_open on alerts (fingerprint) where ended_at is null;
-- Those that ended lately are looked at with every look at the fleet, and only grow until they are forgotten.
create index alerts_ended on alerts (ended_at) where ended_at is not null;

-- What a receiver has to be told of a rule's alerts: their newest state, whatever happened in between.
create table alert_notices (
    receiver text    not null,
    rule     text    not null,
    revision integer not null check (revision >= 1), -- grows with each alert that fires or ends
    due_at   integer, -- none: it knows all there is to know
    told_at  integer,
    attempts integer not null check (attempts >= 0), -- that failed since it was told last
    failure  text,
    primary key (receiver, rule)
) strict;

create index alert_notices_due on alert_notices (due_at) where due_at is not null;

-- Maintenance: times in which no alert speaks of these hosts. One that is ended early ends then; none is ever removed.
create table silences (
    id         integer not null primary key check (id >= 1),
    selector   text    not null,
    rule       text, -- none: every rule
    starts_at  integer not null,
    ends_at    integer not null,
    reason     text    not null,
    created_by text    not null,
    constraint silences_order check (ends_at >= starts_at)
) strict;

create index silences_by_end on silences (ends_at);
