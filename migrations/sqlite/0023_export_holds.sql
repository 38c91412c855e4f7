-- Legal holds: exports of the hosts that one selects are kept whatever the retention says. A hold is released, never removed.
create table export_holds (
    id          integer not null primary key check (id >= 1),
    selector    text    not null,
    reason      text    not null,
    created_by  text    not null,
    created_at  integer not null,
    released_by text,
    released_at integer,
    constraint export_holds_released_check check ((released_by is null) = (released_at is null))
) strict;
