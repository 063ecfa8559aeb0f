"""A network as a paper prints it: a table of named layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from inceptorch.errors import TableError
from inceptorch.networks.layers import FLATTEN, BatchNorm, Dropout, Fork, Layer, Layers, Linear, Residual, walk

# Names that torch's containers use themselves, besides those that begin with an underscore.
RESERVED = frozenset(
    [
        "T_destination",
        "add_module",
        "append",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "clear",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extend",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "insert",
        "ipu",
        "items",
        "keys",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "pop",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "update",
        "values",
        "xpu",
        "zero_grad",
    ]
)


@dataclass(frozen=True)
class NetworkSpec:
    """A paper's table.

    body      layers in order, named as the paper names them
    head      layers after the body; the linear layer to the classes is added behind them as layer "linear"
    aux       layers of the body that carry an auxiliary classifier during training
    aux_head  the layers of each auxiliary classifier, before its own linear layer to the classes
    size      the height and width in pixels of the paper's input
    norm      None: convolutions have biases and nothing is normalized
    """

    name: str
    title: str
    source: str
    size: int
    body: Layers
    head: Layers
    aux: tuple[str, ...] = ()
    aux_head: Layers | None = None
    norm: BatchNorm | None = None

    def __post_init__(self) -> None:
        here = f"Network {self.name!r}"
        if not self.body:
            raise TableError(f"{here} has no layers in its body.")
        if not 1 <= self.size <= 4096:
            raise TableError(f"{here}: size {self.size} is not from 1 to 4096 pixels.")
        for layer in (*self.body, *self.head, *(self.aux_head or {})):
            if not layer or "." in layer:
                raise TableError(
                    f"{here}: a layer cannot be called {layer!r}; layer names are not empty and have no dots."
                )
            if layer in RESERVED or layer.startswith(("_", FLATTEN)):
                raise TableError(f"{here}: a layer cannot be called {layer!r}; torch uses that name itself.")
        for layer in self.head:
            if layer in self.body:
                raise TableError(
                    f"{here}: the head has a layer {layer!r}, and so has the body; activations go by name."
                )
        if any("linear" in layers for layers in (self.body, self.head, self.aux_head or {})):
            raise TableError(f"{here}: layer 'linear' is the layer to the classes, which is added by itself.")
        for layer in self.aux:
            if layer not in self.body:
                raise TableError(
                    f"{here}: there is an auxiliary head on layer {layer!r}, but the body has no such layer."
                )
        if len(set(self.aux)) < len(self.aux):
            raise TableError(f"{here}: a layer carries two auxiliary heads: {', '.join(self.aux)}.")
        if self.aux and self.aux_head is None:
            raise TableError(f"{here}: layers {', '.join(self.aux)} carry auxiliary heads but aux_head is not given.")


def stem(net: NetworkSpec) -> int:
    """How many layers of the body stand before the first module with branches; 0 where there is none."""
    module = Fork | Residual
    return next(
        (number for number, layer in enumerate(net.body.values()) if any(isinstance(x, module) for x in walk(layer))), 0
    )


def with_dropout(net: NetworkSpec, rate: float) -> NetworkSpec:
    """The network with `rate` for every dropout of its main head; one that has none gets one before the classifier."""
    if not any(isinstance(layer, Dropout) for layer in net.head.values()):
        return replace(net, head={**net.head, "dropout": Dropout(rate)})
    head = {name: Dropout(rate) if isinstance(layer, Dropout) else layer for name, layer in net.head.items()}
    return replace(net, head=head)


def with_classifier(layers: Layers, num_classes: int) -> dict[str, Layer]:
    """The layers of a head with the linear layer to the classes behind them, as layer "linear"."""
    return {**layers, "linear": Linear(num_classes, relu=False)}
