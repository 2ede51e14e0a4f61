"""
What a run waited for, told by what was busy while it ran. Pure.

A stand-in that was busy all the time measures itself and not the product: then that is what stands beside the figure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL_BUT_BUSY = 0.85
"""From this share of a core on a process is what the others wait for."""
HALF_BUSY = 0.5
"""From this share of a core on a process is most of what was waited for, where nothing is the whole of it."""
DISTURBING = 0.25
"""From this share of all cores on others slow down what is measured."""
ALL_BUT_EMPTY = 0.90
"""From this share of its tokens on a bucket is."""


@dataclass(frozen=True, slots=True)
class Load:
    """Who was busy while something ran; shares of one core."""

    stand_in: float
    workers: tuple[float, ...] = ()
    """Of each worker process."""
    api: float = 0.0
    bench: float = 0.0
    """Of the benchmark's own process."""
    machine: float = 0.0
    """Of all cores together, whoever used them."""
    cores: int = 1
    use: Mapping[str, float] = field(default_factory=dict)
    """API to the share of its tokens that was used."""

    @property
    def others(self) -> float:
        """Tell how much was used by processes that are not of this benchmark."""
        return max(0.0, self.machine - self.stand_in - sum(self.workers) - self.api - self.bench)


def name_bottleneck(load: Load) -> str:
    """Name what a run waited for, and by what that is known."""
    return f"{_name(load)} ({_describe(load)})"


def _name(load: Load) -> str:
    scarce = [name.partition(".")[2] for name, share in load.use.items() if share >= ALL_BUT_EMPTY]
    if scarce:
        return f"the quota of {' and '.join(sorted(scarce))}"
    if load.stand_in >= ALL_BUT_BUSY:
        return "the stand-in"
    if max(load.workers, default=0.0) >= ALL_BUT_BUSY:
        return "a worker process"
    if load.machine >= ALL_BUT_BUSY * load.cores:
        shared = load.others >= DISTURBING * load.cores
        return "the machine's cores, which others used too" if shared else "the machine's cores"
    each = {"the stand-in": load.stand_in, "a worker process": max(load.workers, default=0.0), "the API": load.api}
    busiest = max(each, key=lambda name: each[name])
    if each[busiest] >= HALF_BUSY:
        return f"one after the other, most of the time {busiest}"
    return "nothing was busy: waits of prelaunch's own, or AWS's latency"


def _describe(load: Load) -> str:
    busy = [f"stand-in {load.stand_in:.0%} of a core"]
    if load.workers:
        busy.append(f"busiest of {len(load.workers)} worker processes {max(load.workers):.0%}")
    busy += [f"API {load.api:.0%}", f"others on the machine {load.others:.0%}, which has {load.cores} cores"]
    if load.use:
        fullest = max(load.use, key=lambda name: load.use[name])
        busy.append(f"fullest bucket {fullest.partition('.')[2]}, {load.use[fullest]:.0%} of its tokens used")
    return "; ".join(busy)
