"""Faults are one sentence, also after they have crossed a process."""

import pickle
from pathlib import Path

from inceptorch.errors import BundleError, DamagedImage, InceptorchError, NonFiniteOutputError, did_you_mean, within


def test_an_image_error_names_its_file_and_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(DamagedImage("a.jpg", "is damaged")))
    assert (type(error), str(error)) == (DamagedImage, "a.jpg is damaged.")
    assert str(DamagedImage(None, "is damaged")) == "An image is damaged."


def test_the_nearest_word_is_suggested_else_all() -> None:
    assert did_you_mean("epoch", ("epochs", "seed")) == "did you mean 'epochs'?"
    assert did_you_mean("BEAGLE", ("bagel", "beagle", "Beagle")) == "did you mean 'beagle'?"
    assert did_you_mean("xyz", [f"n{number}" for number in range(99)]).endswith(", n18, n19 and 79 more.")
    assert did_you_mean("xyz", ("epochs", "seed")) == "known are: epochs, seed."


def test_a_sentence_goes_on_behind_a_place_in_lower_case_but_for_names() -> None:
    assert within(Path("a.yaml"), InceptorchError("There is no x.")) == "a.yaml: there is no x."
    assert within("a", InceptorchError("Inception has no x.")) == "a: Inception has no x."


def test_an_output_that_is_not_finite_is_a_fault_of_the_bundle() -> None:
    assert isinstance(NonFiniteOutputError(), BundleError)
    assert "not finite" in str(NonFiniteOutputError())
