-- The number that the next rollout has at least. A controller that returns from a backup leaves out the numbers that it may
-- have given away since: two rollouts of one name in the records of hosts and auditors would be a lie.
create table rollout_numbers (
    only_row integer not null primary key check (only_row = 1),
    floor    integer not null check (floor >= 1)
) strict;

insert into rollout_numbers (only_row, floor) values (1, 1);
