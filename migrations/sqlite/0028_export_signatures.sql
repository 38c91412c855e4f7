-- What the controller found when it checked an export with the host's key, where it was given that.
alter table exports add column signature text not null default 'not_checked'
    check (signature in ('not_checked', 'valid', 'mismatch', 'unknown_key'));
