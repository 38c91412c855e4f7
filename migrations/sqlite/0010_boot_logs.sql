-- What firmware measured while a host started, so that a person can see which step of the start differs, and a baseline
-- can be taken from it. Hosts of one model have the same log: kept once, by its digest. Not without rowid: a log is far
-- larger than a page.
create table boot_logs (
    digest text not null primary key check (length(digest) = 64),
    bytes  blob not null
) strict;

-- No foreign keys: a digest is known before the log is asked for, and a log that is gone must not hinder a verdict.
alter table host_measurements add column baseline_log text check (length(baseline_log) = 64);
alter table host_measurements add column quoted_log text check (length(quoted_log) = 64);
