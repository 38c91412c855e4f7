-- Without it every export that is removed would be looked for in all tasks.
create index tasks_by_export on tasks (export) where export is not null;

-- Rollouts ask for the health check that was asked for last, of those that asked for every check.
drop index tasks_health_by_host;
create index tasks_health_by_host on tasks (host, created_at)
    where json_extract(kind, '$.kind') = 'health' and json_array_length(kind, '$.checks') = 0 and finished_at is not null;
