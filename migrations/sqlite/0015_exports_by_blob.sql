-- Whose a blob is, is asked whenever a host sends one.
create index exports_by_blob on exports (blob);
