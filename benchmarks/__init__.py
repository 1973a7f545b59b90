"""What is timed. Each script prints JSON and is run by hand on a quiet machine: see docs/performance.md."""
