"""How `train.py --minutes` divides its time among training, the flow, judging and figures."""

import time

from keras_vae.runs import report

# Seconds of what takes as long as it takes, on the machine of the table in training/recipes.py.
MEASURING = 12  # test metrics, codes of the training images, mixture
FIGURES = 10
JUDGES = 125  # training the two classifiers that judge edits, unless they are cached
JUDGING = 30  # choosing the methods of edits and measuring one
JUDGED_SHARE = 0.3  # of the time after reading the data: edits are judged if it is enough for that
FLOW_SHARE, LONGEST_FLOW = 0.25, 120  # of the time for training the model and the flow; seconds
LEAST = 0.05  # of the time after reading the data: training takes so long even if time is short
FASTEST = 0.5  # least `slowness`: not everything runs on an accelerator


class Timetable:
    """The time of a run, and what is left of it.

    Args:
        end: When the run ends, a time of `time.monotonic`.
        data: The `keras_vae.datasets.Dataset`.
        judges: The `keras_vae.evaluate.judges.Judges` of these data.

    Attributes:
        slowness: How many times slower this machine is than the one of the estimates.
        speed: How many times faster it trains.
    """

    def __init__(self, end, data, judges):
        self.end, self.speed = end, 1.0
        self.total = max(1.0, self.left)
        self.judging = 0
        if data.attribute_names and len(data.train) >= report.MIN_TRAINING_IMAGES:
            self.judging = JUDGING + (0 if judges.cached else JUDGES)

    @property
    def left(self):
        return self.end - time.monotonic()

    @property
    def slowness(self):
        return max(FASTEST, 1 / self.speed)

    @property
    def judged(self):
        """Whether there is time to judge edits."""
        return 0 < self.slowness * self.judging < JUDGED_SHARE * self.total

    @property
    def minutes(self):
        """Minutes of training that the machine of the estimates would need for the same."""
        return self.for_training() * self.speed / 60

    def for_training(self):
        """Returns the seconds from now until training should end."""
        rest = MEASURING + FIGURES + self.judged * self.judging
        both = self.left - self.slowness * rest
        flow = min(FLOW_SHARE * both, self.slowness * LONGEST_FLOW)
        return max(LEAST * self.total, both - flow)

    def start_training(self, before=None):
        """Returns the plan, a dict for JSON; of a run that continues it is the one from `before`.

        Returns:
            ``speed``; ``training_seconds``, from `for_training`; and ``seconds_after``, for all
            that follows.
        """
        seconds = self.for_training()
        after = self.left - seconds
        new = {"speed": self.speed, "training_seconds": seconds, "seconds_after": after}
        self.plan = before or new
        self.speed = self.plan["speed"]
        return self.plan

    def continue_after_training(self):
        """Sets the end of a run that was continued: what follows takes as long as planned."""
        self.end = time.monotonic() + self.plan["seconds_after"]

    def for_flow(self):
        """Returns the seconds from now until the flow should be fitted; the judges are trained."""
        rest = FIGURES + self.judged * JUDGING
        return max(LEAST * self.total, self.left - self.slowness * rest)
