-- A rollout is a frozen specification, an intent that operators change, and a chain of immutable plans. Which plan is
-- current is one column, moved by compare and swap; plans that lost are never written.
create table rollouts (
    id                integer not null primary key check (id >= 1),
    spec              text    not null check (json_valid(spec)),
    verb              text    not null check (verb in ('draft', 'run', 'pause', 'abort')),
    accepted_failures integer not null check (accepted_failures >= 0),
    -- Deferred: the swap is made first and the plan it names written after it, in one transaction.
    plan_id           text    references plans (id) deferrable initially deferred,
    started_at        integer,
    finished_at       integer
) strict;

-- The planner asks for these on every turn, and there are few; the finished ones only grow.
create index rollouts_active on rollouts (id) where finished_at is null;

create table plans (
    id       text    not null primary key check (length(id) = 64),
    rollout  integer not null references rollouts (id),
    revision integer not null check (revision >= 1),
    parent   text    references plans (id),
    -- A copy from the document, so that a change of state is seen without reading it.
    state    text    not null check (state in ('draft', 'running', 'paused', 'halted', 'aborting', 'aborted',
                                               'succeeded', 'succeeded_with_exceptions')),
    document text    not null check (json_valid(document)),
    made_at  integer not null,
    -- History has no forks: the compare and swap says so, and this would catch it if it were wrong.
    constraint plans_revision_key unique (rollout, revision)
) strict;

-- What is wanted of a host. Only the newest is kept: a generation is never reused, so older ones mean nothing.
create table host_desired (
    host       text    not null primary key references hosts (id),
    generation integer not null check (generation >= 1),
    goal       text    not null check (json_valid(goal)),
    rollout    integer not null references rollouts (id)
) strict;
