-- What operators want of a rollout beside its verb: single hosts to try again or to leave out, waves to let pass. Compared
-- and swapped as a whole with the verb.
alter table rollouts add column wishes text not null default '{}' check (json_valid(wishes));
