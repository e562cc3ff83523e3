"""The networks by which laws are shown stand for all of the zoo."""

from zoo_helpers import FAMILIES, FURTHER, forms

from ridgepoint.arch.zoo import list_models, load

TOO_LARGE = "mobilenetv5_300m"
"""Of mobilenetv5_base's blocks, with other padding."""


def test_no_form_of_a_classifiers_block_and_no_conventions_are_left_out():
    shown = set().union(*map(forms, (*FAMILIES, *FURTHER, TOO_LARGE)))
    for name in list_models():
        if load(name).head.answers != "classes":
            continue  # compared with others in test_nn_heads.py
        assert forms(name) <= shown, f"{name} has what no network of FAMILIES and FURTHER has: add it there"
