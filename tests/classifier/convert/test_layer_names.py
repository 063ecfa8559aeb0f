"""Our layers under other libraries' names."""

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import googlenet, inception_v3

from inceptorch.classifier.convert.layer_names import NAMES, tensor_names
from inceptorch.models.module import Model
from inceptorch.networks.zoo import NETS
from tests.classifier.convert.helpers import randomised, without_dropout


@pytest.mark.parametrize(
    ("make", "size", "rows", "pick"),
    [
        (googlenet, 224, ["aux.4a", "aux.4d"], lambda out: [out.aux_logits1, out.aux_logits2]),
        (inception_v3, 299, ["aux.6e"], lambda out: [out.aux_logits]),
        (lambda **_: timm.create_model("inception_v3", aux_logits=True), 299, ["aux.6e"], lambda out: [out[1]]),
    ],
    ids=["torchvision googlenet", "torchvision inception_v3", "timm inception_v3"],
)
def test_auxiliary_logits_in_training_are_theirs(
    make: Callable[..., nn.Module], size: int, rows: list[str], pick: Callable[..., list[Tensor]]
) -> None:
    theirs = without_dropout(randomised(make(weights=None, aux_logits=True, init_weights=False))).train()
    names = next(names for names in NAMES.values() if rows[0] in names.layers and names.library != "Caffe")
    ours = Model(NETS[names.nets[0]], aux=True, initialize=False)
    state = theirs.state_dict()
    ours.load_state_dict({mine: state[other] for mine, other in tensor_names(ours, names).items()})
    without_dropout(ours).train()
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        final, taps = ours.forward_intermediates(x, rows)
        logits = ours.forward_head(final)
        out = theirs(x)
    for mine, other in zip([logits, *taps], [out[0], *pick(out)], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))
