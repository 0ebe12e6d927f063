"""Twins with one mistake each, of the kinds that are made: the laws must find every one of them."""

import random
from datetime import timedelta

from tests.chaos.rows import Update
from tests.chaos.twin import Twin, combined

from foedus.core.rounds import Phase


class CountsRepetitions(Twin):
    """A repeated update is another update."""

    def _accept(self, member, number, digest, now):
        known = [u for r in self.rounds for u in r.updates if (u.member, u.digest) == (member, digest)]
        if known and (current := self._open_round()) is not None and current.phase is not Phase.COMBINING:
            current.updates.append(Update(member, number, digest))
        super()._accept(member, number, digest, now)


class ForgetsWhatItAcknowledged(Twin):
    """The receipt is sent before the update is committed; now and then the process dies in between."""

    def _accept(self, member, number, digest, now):
        if digest[0] in "0123" and self._admitting(member, number, 0, now):
            return
        super()._accept(member, number, digest, now)


class TakesUpdatesWhileCombining(Twin):
    """The phase is looked at before the project is locked."""

    def _admitting(self, member, number, sequence, now):
        current = self._open_round()
        if current is not None and current.phase is Phase.COMBINING and current.number == number and not sequence:
            return current
        return super()._admitting(member, number, sequence, now)


class PublishesTwice(Twin):
    """A worker that lost its lease switches all the same."""

    def _complete(self, lease):
        lease.round.phase = Phase.COMBINING
        self.job = None


class NeverLapses(Twin):
    """The job of a worker that died stays with it."""

    def _is_due(self, job, now):
        return job.run_at is not None and super()._is_due(job, now)


class BelievesItsClock(Twin):
    """A clock that is set back makes jobs and rounds wait for the moments at which they were written."""

    def _is_due(self, job, now):
        return job.run_at <= now if job.run_at is not None else job.lease_until < now

    def _set_right(self, now):
        pass


class SetsNoAlarm(Twin):
    """Nobody looks at a round at its deadline or when somebody has gone."""

    def tick(self, now):
        pass


class OffersTheSameTaskTwice(Twin):
    """Who trains by rote hands in the same bytes again, which are nothing new, and is asked once more, for ever."""

    def view(self, current, now):
        reported = [i for i in self.invitations if i.round is current and i.state == "reported"]
        for invitation in reported:
            invitation.state = "closed"
        view = super().view(current, now)
        for invitation in reported:
            invitation.state = "reported"
        return view


class CombinesAtOnce(Twin):
    """The model depends on the moment at which it was computed."""

    def compute(self, lease):
        model = super().compute(lease)
        return model and combined("", model, [str(random.Random(lease.attempts).random())])


class SaysNothing(Twin):
    """It waits without saying why."""

    def _reasons(self, now):
        return () if self._open_round() else super()._reasons(now)


class InvitesIntoClosedRounds(Twin):
    """A round that is over begins anew."""

    def _open(self, now):
        if self.rounds and self.rounds[-1].phase is Phase.INVALID:
            self.rounds[-1].phase = Phase.WAITING
            self.rounds[-1].opened_at = now
            self._emit("round.opened", len(self.rounds))
            return self.rounds[-1]
        return super()._open(now)


class LeavesTheGone(Twin):
    """Whoever is silent is waited for."""

    def _mark_absent(self, current, now):
        super()._mark_absent(current, now - timedelta(days=1))


class ForgetsTheNextRound(Twin):
    """The switch closes a round and opens none."""

    def switch(self, lease, model, now):
        state, self.state = self.state, "paused"
        super().switch(lease, model, now)
        self.state = state if self.state == "paused" else self.state

    def next(self, name, anew, now):
        self._member(name)
        return super().next(name, anew, now) if self._open_round() else ("wait", ("between_rounds",), 1.0)


class GivesWorkByTheNextRules(Twin):
    """Whether a round invites is asked of the rules of the round after it."""

    def next(self, name, anew, now):
        current = self._open_round()
        if current is None or current.policy.invites or not self.policy.invites:
            return super().next(name, anew, now)
        return "wait", ("members_missing",), 1.0


MISTAKES = [
    CountsRepetitions, ForgetsWhatItAcknowledged, TakesUpdatesWhileCombining, PublishesTwice, NeverLapses,
    BelievesItsClock, SetsNoAlarm, OffersTheSameTaskTwice, CombinesAtOnce, SaysNothing, InvitesIntoClosedRounds,
    LeavesTheGone, ForgetsTheNextRound, GivesWorkByTheNextRules,
]  # fmt: skip
