-- Rollouts can wait for approvals, stop for want of data, expire, and be superseded. The words of a check cannot be changed
-- in place, so the table is made anew; the version before runs against it, since it writes a subset of the words.
pragma defer_foreign_keys = on;

create table plans_kept as select id, rollout, revision, parent, state, document, made_at from plans;

drop table plans;

create table plans (
    id       text    not null primary key check (length(id) = 64),
    rollout  integer not null references rollouts (id),
    revision integer not null check (revision >= 1),
    parent   text    references plans (id),
    -- A copy from the document, so that a change of state is seen without reading it.
    state    text    not null check (state in ('draft', 'awaiting_approval', 'running', 'paused', 'inconclusive', 'halted',
                                               'aborting', 'aborted', 'superseded', 'expired', 'succeeded',
                                               'succeeded_with_exceptions')),
    document text    not null check (json_valid(document)),
    made_at  integer not null,
    -- History has no forks: the compare and swap says so, and this would catch it if it were wrong.
    constraint plans_revision_key unique (rollout, revision)
) strict;

insert into plans (id, rollout, revision, parent, state, document, made_at)
    select id, rollout, revision, parent, state, document, made_at from plans_kept order by rollout, revision;

drop table plans_kept;
