"""What the jobs of the simulation do. The world that is being simulated watches every execution."""

from workflow_scheduler.jobs.current import current_job

PATH = "sim.recorder:work"
watching = []


async def work(kind="ok", count=0):
    """Succeed (`ok`), take some time (`slow`), fail `count` times (`fail`), or end the process `count` times."""
    job = current_job()
    return await watching[-1].execute(job.run_id, job.job_id, kind, count)
