"""When a run will be done, by the pace of what it has done so far."""

from __future__ import annotations

from inceptorch.recipes import Recipe
from inceptorch.training.schedule import side

WARM = 3  # first steps of a process, slower than all others, that say nothing about the pace
JUDGING = 0.5  # of the seconds that a picture takes in training, until the first judging has been measured


class Estimate:
    """Counts steps and judgings. A step's work is the area of its pictures: squares may grow in the course of a run."""

    def __init__(self, recipe: Recipe, size: int, pictures: int, held_out: int, steps: int):
        self.recipe = recipe
        self.size = size
        self.held_out_share = held_out / pictures
        self.steps = steps
        self.seen = 0
        self.done = 0.0
        self.seconds = 0.0
        self.waited = 0.0
        self.judgings: list[float] = []

    def stepped(self, epoch: int, seconds: float, waited: float = 0.0) -> None:
        """One step of `epoch` took so long, waiting for its pictures included."""
        self.seen += 1
        if self.seen > WARM:
            self.done += self._work(epoch)
            self.seconds += seconds
            self.waited += waited

    @property
    def step_seconds(self) -> float | None:
        """Seconds of a step, the waiting for its pictures included; None before there is a pace."""
        return self.seconds / (self.seen - WARM) if self.done else None

    @property
    def computing(self) -> float | None:
        """Seconds of a step without the waiting for its pictures; None before there is a pace."""
        return (self.seconds - self.waited) / (self.seen - WARM) if self.done else None

    def judged(self, seconds: float) -> None:
        """Judging the held-out pictures took so long."""
        self.judgings.append(seconds)

    def left(self, epoch: int, step: int) -> float | None:
        """Seconds from this step of this epoch to the end of the run; None before there is a pace."""
        if not self.done:
            return None
        pace = self.seconds / self.done
        work = self._work(epoch) * (self.steps - step)
        work += self.steps * sum(self._work(later) for later in range(epoch + 1, self.recipe.epochs))
        judging = self.judgings[-1] if self.judgings else JUDGING * pace * self.steps * self.held_out_share
        return pace * work + judging * (self.recipe.epochs - epoch)

    def _work(self, epoch: int) -> float:
        return float((side(self.recipe, self.size, epoch) / self.size) ** 2)


def as_people_say(seconds: float) -> str:
    """A length of time as people say it."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}" if seconds < 10 * length else f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
