"""One process a contestant: reads a job as JSON, prints its figures as JSON on the last line."""
