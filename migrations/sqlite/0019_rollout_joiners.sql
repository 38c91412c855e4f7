-- Hosts that came after a rollout was created and were added to it, where it says that such hosts are. Beside the
-- specification and not in it: approvals are bound to that.
create table rollout_joiners (
    rollout   integer not null references rollouts (id),
    host      text    not null references hosts (id),
    target    text    not null check (json_valid(target)),
    joined_at integer not null,
    primary key (rollout, host)
) strict;
