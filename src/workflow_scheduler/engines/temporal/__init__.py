"""The engine `temporal`: a run is a Temporal workflow that follows our planner, its jobs are activities of our workers.

Temporal keeps how far a run has come: which jobs ended how, which attempt comes next, what is waited for. What jobs
read and write stays in our store: a worker reads a job's input there, and writes its output, its log lines and its
record there before Temporal hears that the job has ended. So histories stay small whatever jobs hand to each other,
no input or output is seen by the Temporal server, and `runs show` needs nothing but the store.
"""
