-- Times in which nothing of the fleet, or of a part of it, is changed. One that is ended early ends then; none is ever removed.
create table freezes (
    id         integer not null primary key check (id >= 1),
    selector   text    not null,
    starts_at  integer not null,
    ends_at    integer not null,
    reason     text    not null,
    created_by text    not null,
    constraint freezes_order check (ends_at >= starts_at)
) strict;

-- The planner asks for those that have not ended; the others only grow.
create index freezes_by_end on freezes (ends_at);
