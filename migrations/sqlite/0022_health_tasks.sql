-- Rollouts ask for the newest ended health check of every host, with every plan.
create index tasks_health_by_host on tasks (host, finished_at)
    where json_extract(kind, '$.kind') = 'health' and finished_at is not null;
