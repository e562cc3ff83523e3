"""The studies, in the order in which they are run and shown."""

from ridgepoint.probe.studies import (
    activations,
    attention,
    branches,
    groups,
    h_swish,
    key_value_stride,
    mixers,
    norms,
    reshapes,
    skips,
    stems,
    uib,
)

STUDIES = {
    module.STUDY.name: module.STUDY
    for module in (
        activations,
        h_swish,
        skips,
        branches,
        stems,
        mixers,
        reshapes,
        norms,
        attention,
        key_value_stride,
        groups,
        uib,
    )
}
