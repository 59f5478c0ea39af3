"""What every engine that runs our jobs does alike: preparing a job, what it sees, and how its ends are recorded."""
