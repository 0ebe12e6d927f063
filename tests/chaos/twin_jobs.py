"""The twin's jobs: leases that lapse, as the services give them."""

from datetime import datetime, timedelta

from tests.chaos.rows import Job

from foedus.core.errors import Conflict

LEASE = timedelta(seconds=6)


class Leases:
    """At most one job at a time: to combine the open round."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._tokens = 0

    def claim(self, now: datetime) -> Job | None:
        """The lease of the job that is due, as a copy: its holder may lose it without noticing."""
        job = self.job
        if job is None or not self._is_due(job, now):
            return None
        self._tokens += 1
        job.attempts, job.token, job.lease_until, job.run_at = job.attempts + 1, self._tokens, now + LEASE, None
        return Job(job.round, job.attempts, None, job.token)

    def renew(self, lease: Job, now: datetime) -> None:
        if self._holds(lease):
            self.job.lease_until = now + LEASE

    def postpone(self, lease: Job, now: datetime) -> None:
        if self._holds(lease):
            self.job.run_at = now + timedelta(seconds=min(5.0, 0.25 * 2**lease.attempts))
            self.job.lease_until = None

    def _set_jobs_right(self, now: datetime) -> None:
        """The clock was set back: what is tried again later is due now."""
        if self.job is not None and self.job.attempts and self.job.run_at is not None and self.job.run_at > now:
            self.job.run_at = now

    def _is_due(self, job: Job, now: datetime) -> bool:
        if job.run_at is not None:
            return not job.attempts or not now < job.run_at <= now + timedelta(seconds=120)
        return not now <= job.lease_until <= now + 2 * LEASE

    def _holds(self, lease: Job) -> bool:
        return self.job is not None and self.job.token == lease.token and self.job.run_at is None

    def _complete(self, lease: Job) -> None:
        if self.job is None or self.job.token != lease.token:
            raise Conflict
        self.job = None
