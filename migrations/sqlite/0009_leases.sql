-- What a host needs to be given work, besides trust: a lease that its last pass began, a key that is worth something, and
-- a person's approval where its token asked for one. And by what it was judged: the policy, and what it says of its OEM
-- evidence. Hosts that are there have a TPM, and were let in by their token; they get a lease with their next pass.
alter table hosts add column lease_until integer;
alter table hosts add column key_storage text not null default 'tpm' check (key_storage in ('tpm', 'file'));
alter table hosts add column awaits_approval integer not null default 0 check (awaits_approval in (0, 1));
alter table hosts add column policy text not null default ''; -- name@version; empty: its own first quote
alter table hosts add column oem_evidence text not null default ''
    check (oem_evidence in ('', 'ok', 'mismatch', 'expired', 'unverified', 'invalid', 'missing'));
alter table hosts add column oem_licence text not null default ''
    check (oem_licence in ('', 'ok', 'mismatch', 'expired', 'unverified', 'invalid', 'missing'));

-- Whom a token admits. A token that is there was made for a host with a TPM.
alter table tokens add column approval integer not null default 0 check (approval in (0, 1));
alter table tokens add column key_storage text not null default 'tpm' check (key_storage in ('tpm', 'file'));
