"""Who looks for jobs while lanes are asleep: one thread for each subject of wake-ups, instead of one for each lane."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db import close_old_connections

from foedus.ports import Ports
from foedus.ports.bus import Subscription
from foedus.server.lanes import WAITS, Lane, idle_s, subscribed, wait

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Watch:
    """Wakes lanes of one subject that are asleep, as soon as there is a job for them."""

    ports: Ports
    stop: threading.Event
    lanes: Sequence[Lane]

    @classmethod
    def over(cls, lanes: Sequence[Lane]) -> "list[Watch]":
        """One for each subject of those that are ever asleep."""
        sleepers = [lane for lane in lanes if not lane.spec.least]
        subjects = dict.fromkeys(lane.spec.subject for lane in sleepers)
        of = {subject: [lane for lane in sleepers if lane.spec.subject == subject] for subject in subjects}
        return [cls(some[0].ports, some[0].stop, some) for some in of.values()]

    def start(self) -> None:
        threading.Thread(target=self.run, name=f"watch-{self.lanes[0].spec.subject}", daemon=True).start()

    def run(self) -> None:
        """Look whenever there may be something, and now and then in any case, until all are to stop."""
        subscription: Subscription | None = None
        while not self.stop.is_set():
            try:
                subscription = subscription or subscribed(self.ports, self.lanes[0].spec.subject)
                for lane in self.lanes:
                    if lane.is_due():
                        lane.wake()
                asleep = [lane for lane in self.lanes if lane.is_asleep]  # the others look by themselves
                if subscription is None:
                    self.stop.wait(1.0)
                else:
                    wait(subscription, self.stop, idle_s(asleep), self._concerns)
            except WAITS as exc:
                log.warning("worker.waits", error=str(exc))
                close_old_connections()
                self.stop.wait(1.0)
            except Exception:  # as in a lane
                log.exception("worker.stumbled", lane="watch")
                self.stop.wait(1.0)
        if subscription is not None:
            subscription.close()
        close_old_connections()

    def _concerns(self, subject: str) -> bool:
        return any(lane.concerns(subject) for lane in self.lanes)
