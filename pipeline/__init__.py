"""The engine: config, stages, store, runner, executors, progress, errors. Knows rows, shards and folders only."""
