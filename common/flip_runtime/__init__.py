"""What both daemons need to run: errors, configuration, logs, supervised services, child processes."""
