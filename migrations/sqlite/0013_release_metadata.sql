-- Signed metadata of releases (TUF), as operators uploaded them: every root, and the newest of the other roles. The
-- controller hands them to hosts and cannot make them.
create table release_metadata (
    name     text not null primary key check (length(name) <= 40),
    contents blob not null
) strict;
