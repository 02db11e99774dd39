"""One file a job. A file holds `JOB = Job(key, run)`; its name is the key."""
