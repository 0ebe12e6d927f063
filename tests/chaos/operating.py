"""Who runs a project under a drawn plan: other rules at some moments, a pause at others, and at last all goes on."""

CHECK_S = 30.0


class Operator:
    """Repeats what was not answered, as good operators do."""

    def __init__(self, world) -> None:
        self.world = world

    def start(self) -> None:
        plan = self.world.plan
        for at, policy, strategy in plan.changes:
            self.world.after(at, lambda policy=policy, strategy=strategy: self._insist("change", policy, strategy))
        for at, seconds in plan.pauses:
            self.world.after(at, lambda: self._insist("pause"))
            self.world.after(at + seconds, lambda: self._insist("resume"))
        self.world.after(plan.storm_s, self._look)

    def _look(self) -> None:
        """A pause that was repeated late, or rounds that were given up: somebody notices."""
        if self.world.service.state == "paused":
            self._insist("resume")
        self.world.after(CHECK_S, self._look)

    def _insist(self, name: str, *arguments) -> None:
        def again(_answer, error) -> None:
            if error is not None:
                self.world.after(1.0, lambda: self._insist(name, *arguments))

        self.world.call(name, *arguments, then=again)
