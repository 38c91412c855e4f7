-- Policies say what a quote must show. A document is frozen and has its digest for a name; only its state changes. Never
-- deleted: verdicts name the policy they were given by.
create table policies (
    digest       text    not null primary key check (length(digest) = 64),
    name         text    not null,
    version      integer not null check (version >= 1),
    state        text    not null check (state in ('draft', 'approved', 'staged', 'active', 'retiring', 'retired')),
    document     text    not null check (json_valid(document)),
    author       text    not null,
    note         text    not null,
    created_at   integer not null,
    activated_at integer,
    valid_from   integer,
    valid_until  integer,
    -- People say name@version; that must be one document.
    constraint policies_version_key unique (name, version),
    -- A window without an end would be a second active policy.
    constraint policies_window_check check ((state = 'staged') = (valid_from is not null)
                                            and (state in ('staged', 'retiring')) = (valid_until is not null)),
    constraint policies_activated_at_check check (state <> 'active' or activated_at is not null)
) strict;

-- Two active ones of a name would judge by chance. The activation sees to it; this would catch it if it were wrong.
create unique index policies_active on policies (name) where state = 'active';

-- Who approved what. A person approves once.
create table policy_approvals (
    policy   text    not null references policies (digest),
    approver text    not null,
    at       integer not null,
    primary key (policy, approver)
) strict, without rowid;
