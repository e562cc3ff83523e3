"""TuNAS in two stages: sizes with plain inverted bottlenecks, then depthwise convolutions for these sizes.

Source: MobileNetV4, arXiv:2404.10518, section 6.1 and Table 4.
Differs: it does not say how long each stage is, where the weights of the second one start, and when depths and
expansions are found; here each stage takes half of the steps, the second one starts from what the first one's weights
have learnt for these sizes, and depths and expansions are sizes.
"""

from collections.abc import Mapping
from dataclasses import replace

from ridgepoint.arch.choice import Assignment, Choice
from ridgepoint.arch.space import Space
from ridgepoint.errors import InputError
from ridgepoint.search.methods.tunas import Found, Job, member, tunas, within
from ridgepoint.search.one_shot import Row
from ridgepoint.search.policy import Policy
from ridgepoint.search.shared_weights import Weights
from ridgepoint.seeds import seed_for
from ridgepoint.train.loop import Bound

# The kernels of a plain inverted bottleneck, by key: 3x3 in the middle only.
PLAIN = {"start_kernel": 0, "middle_kernel": 3, "kernel": 3}


def two_stages(job: Job) -> Found:
    """Search sizes with plain inverted bottlenecks, then the depthwise convolutions of a network of these sizes.

    Raises:
        InputError: If the space has no choice of a depthwise convolution.
        DivergedError: If the weights diverge.
        RunError: If a checkpoint is that of another search.
    """
    plain = plain_kernels(job.space)
    if not plain:
        raise InputError(f"{job.space.name}: leaves no depthwise convolution open, so a second stage has nothing to do")
    made: list[Weights] = []
    make = job.weights

    def weights(part: Space) -> Weights:
        made.append(make(part))
        if len(made) > 1:
            made[1].start_from(made[0])
        return made[-1]

    job = replace(job, weights=weights)
    coarse = _stage(job, "coarse", plain, share=0.0)
    sizes = {name: option for name, option in coarse.assignments[0].items() if name not in plain}
    fine = _stage(job, "fine", sizes, share=0.5)
    # Where even the smallest kernels leave these sizes over the budget, sizes shrink after all.
    found = [within(each, job.budget_ms, job.latency_ms, Policy(job.space)) for each in fine.assignments]
    return replace(fine, assignments=tuple(found), history=coarse.history + fine.history)


def plain_kernels(space: Space) -> Assignment:
    """For every choice of a depthwise convolution the option nearest to a plain inverted bottleneck's."""
    kernels = [choice for choice in space.choices if space.keys[choice.name] in PLAIN]
    return {choice.name: _nearest(choice, PLAIN[space.keys[choice.name]]) for choice in kernels}


def _nearest(choice: Choice, kernel: int) -> int:
    """The option nearest to a kernel size, the larger of two."""
    return min(range(len(choice.options)), key=lambda at: (abs(choice.options[at] - kernel), -choice.options[at]))


def _stage(job: Job, name: str, taken: Mapping[str, int], *, share: float) -> Found:
    """Half of a job, from a share of it on: the search of what is open when some choices are taken."""

    def whole(assignment: Mapping[str, int]) -> Assignment:
        return member(job.space, {**taken, **assignment})

    def on_step(done: float, row: Row) -> None:
        job.on_step(share + done / 2, {"stage": name, **row})

    part = job.space.bound(taken)
    if not part.complete(lambda choice: 0):  # nothing is open
        return Found(assignments=(whole({}),), most_probable=whole({}), history=())
    found = tunas(
        replace(
            job,
            space=part,
            latency_ms=lambda assignment: job.latency_ms(whole(assignment)),
            seed=seed_for(job.seed, name),
            bound=_half(job.bound),
            folder=None if job.folder is None else job.folder / name,
            on_step=on_step,
        )
    )
    return Found(
        assignments=tuple(whole(each) for each in found.assignments),
        most_probable=whole(found.most_probable),
        history=tuple({"stage": name, **row} for row in found.history),
    )


def _half(bound: Bound) -> Bound:
    if bound.seconds is not None:
        return Bound(seconds=bound.seconds / 2)
    assert bound.epochs is not None
    return Bound(epochs=max(bound.epochs // 2, 1))
