"""Every rule by which a network is chosen, with its reason: `result.json` has them under `policy`.

`fit` reads its numbers here and nowhere else.
"""

from typing import Annotated, get_type_hints

import msgspec

from ridgepoint.run.result import Rule


def _why(reason: str) -> msgspec.Meta:
    return msgspec.Meta(description=reason)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Rules of thumb: none of them is a measured border. Times are in seconds, shares between 0 and 1."""

    margin: Annotated[float, _why("of the budget, for the search: the trained file is clocked again later")] = 0.97
    long_s: Annotated[float, _why("in less, weights that a whole space shares cannot be taught")] = 3600.0
    long_evaluations: Annotated[int, _why("the same, where the search is bounded by count")] = 100
    rivals_until: Annotated[float, _why("of the time: then no further zoo network is looked for")] = 0.25
    kept_share: Annotated[float, _why("of the time, at most: what export, clock and report keep from all else")] = 0.5
    search_share: Annotated[float, _why("of what is left, for the search; trainings of what it found need more")] = 0.4
    shortest_s: Annotated[float, _why("of a candidate's training: less does not rank candidates")] = 0.5
    longest_s: Annotated[float, _why("of a candidate's training: beyond, more candidates are better")] = 20.0
    finalists: Annotated[int, _why("are trained in full, for a short training ranks only roughly")] = 2
    clocked_together: Annotated[int, _why("candidates, the best first, until enough meet the budget by the clock")] = 6
    hedge: Annotated[float, _why("times the best one's latency: a finalist that a short training may misjudge")] = 1.5
    disagree: Annotated[float, _why("a table that is off by factors so far apart is not to be relied on")] = 2.0
    aims: Annotated[int, _why("searches at most, each after one that the clock refuted")] = 3
    further: Annotated[float, _why("of the first search's candidates, for each of the others")] = 0.25
    further_overtime: Annotated[float, _why("times what such a search should take, where its trainings are slow")] = 1.5
    opening_clocked: Annotated[int, _why("networks with published weights, the best published first")] = 6
    opening_clocked_s: Annotated[float, _why("to write files for that, at most: some runtimes take long to")] = 20.0
    opening_looked: Annotated[int, _why("of these at a size, through frozen features: a second or two each")] = 5
    opening_images: Annotated[int, _why("that are looked at: with fewer, chance decides between networks")] = 400
    opening_s: Annotated[float, _why("then no further one looks: a slow machine still has its first file soon")] = 25.0
    opening_fetched: Annotated[int, _why("networks whose weights the hub is asked for: each may take a while")] = 2
    opening_enlarged: Annotated[float, _why("times the images' own size: larger inputs show weights nothing more")] = (
        1.4
    )
    opening_close: Annotated[float, _why("times the budget, reckoned from another size: is clocked all the same")] = (
        1.02
    )
    opening_larger: Annotated[float, _why("times the budget, reckoned from a smaller size: is clocked, too")] = 1.3
    few_images: Annotated[int, _why("of validation: fewer do not choose alone")] = 100
    unequal: Annotated[float, _why("times the smallest class's images: then classes that weigh alike are tried")] = 3.0
    frozen_images: Annotated[int, _why("whose frozen features a classifier learns from: more take minutes")] = 5000
    frozen_val: Annotated[int, _why("of validation that choose such a classifier: more take minutes")] = 2000
    early_tests: Annotated[int, _why("test images that a file is checked on before the last: more take minutes")] = 1000
    finetuning_share: Annotated[float, _why("of what is left, for fine-tuning weights where a search follows")] = 0.6
    finetuned: Annotated[int, _why("networks with weights, where there is time for the recipe's epochs of each")] = 3
    opening_near: Annotated[float, _why("of the images, frozen features may tell fewer for a network to be one")] = 0.05
    finetuned_next_s: Annotated[float, _why("in less, no further network is fine-tuned")] = 45.0
    finetuning_steps: Annotated[int, _why("at least: where a size leaves no time for them, a smaller one learns")] = 150
    located_images: Annotated[int, _why("seen at least where boxes or maps are learnt, else a smaller input is")] = 1500
    located_share: Annotated[float, _why("of what is left, for boxes or maps from weights: others learn, too")] = 0.4
    shown_between: Annotated[float, _why("times what a file takes: then it is made before another learns")] = 4.0
    located_whole: Annotated[float, _why("of these images, where weights are those of a whole detector")] = 0.25
    finetuning_fewest: Annotated[float, _why("of these, else none: they would tell less than frozen features do")] = 0.5
    finetuning_crop: Annotated[float, _why("of an image's area, at least: few epochs of small crops teach less")] = 0.6
    few_epochs: Annotated[int, _why("of fine-tuning at most, where validation has few images")] = 20
    fold_images: Annotated[int, _why("of training: fewer are not parted to tell whether fine-tuning is worth it")] = 12
    smaller_inputs: Annotated[int, _why("at most, each after one whose file the clock refused")] = 3
    search_least_s: Annotated[float, _why("in less, nothing that is learnt from nothing comes near weights")] = 1800.0
    search_asked_s: Annotated[float, _why("in less, not even a search that the user asked for finds anything")] = 180.0
    finetuning_least_s: Annotated[float, _why("in less, fine-tuning only spoils what a classifier has learnt")] = 5.0

    def rules(self) -> dict[str, Rule]:
        """Every rule's value and reason, by its name."""
        hints = get_type_hints(type(self), include_extras=True)
        return {
            name: Rule(value=getattr(self, name), reason=hints[name].__metadata__[0].description or "")
            for name in self.__struct_fields__
        }


POLICY = Policy()
