-- Who agreed to which specification. When a rollout is amended its digest changes, and these no longer count; they stay, for
-- auditors. One person agrees once to one specification.
create table rollout_approvals (
    rollout  integer not null references rollouts (id),
    spec     text    not null check (length(spec) = 64),
    approver text    not null,
    at       integer not null,
    reason   text    not null,
    primary key (rollout, spec, approver)
) strict;
