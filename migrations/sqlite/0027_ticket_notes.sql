-- What the ticket system is told of rollouts that name a ticket: that one started, and how it ended. Once each.
create table ticket_notes (
    rollout      integer not null references rollouts (id),
    event        text    not null check (event in ('started', 'ended')),
    ticket       text    not null, -- as it was named then
    state        text    not null check (state in ('waiting', 'recorded', 'failed')),
    attempts     integer not null check (attempts >= 0), -- that failed
    next_attempt integer,
    recorded_at  integer,
    reference    text, -- what the ticket system calls it
    failure      text, -- why the last attempt failed
    primary key (rollout, event),
    constraint ticket_notes_state_check check ((state = 'waiting') = (next_attempt is not null)
                                               and (state = 'recorded') = (recorded_at is not null)
                                               and (state = 'recorded') = (reference is not null))
) strict;

create index ticket_notes_due on ticket_notes (next_attempt) where state = 'waiting';
