-- Releases are packages that were checked. A version names one package for ever: what ran as 4.2.0 on one host must be
-- what runs as 4.2.0 on every other.
create table releases (
    digest       text    not null primary key check (length(digest) = 64),
    id           text    not null,
    version      text    not null,
    size         integer not null check (size >= 0),
    platform     text    not null,
    runtime      text    not null,
    published_at integer not null,
    published_by text    not null,
    constraint releases_version_key unique (id, version)
) strict;
