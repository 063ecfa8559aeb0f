"""Finds, checks and builds what a run works on, from its config, in every process and again to resume."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from inceptorch.classifier.classifier import Classifier, copy_body, copy_weights
from inceptorch.classifier.hub import load, resolve_weights
from inceptorch.data import (
    Split,
    find_train_and_val,
    fingerprint,
    subsample_per_class,
    without_unreadable,
)
from inceptorch.data.augment import Transform
from inceptorch.data.augment_boxes import BoxDataset
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.locator import TORCHVISION, URL, absolute, ensure_outside
from inceptorch.data.sampler import steps_per_epoch
from inceptorch.data.sources.pairs import dataset_name, open_pairs
from inceptorch.errors import DataError, RecipeError, RunError, TableError
from inceptorch.evaluation import Evaluation, evaluation_from_logits
from inceptorch.images.crops import CENTER
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.detector import Detector
from inceptorch.models.init import init_dirac, whiten
from inceptorch.models.module import Model
from inceptorch.networks.detection import DetectionHead, canvas, default_levels
from inceptorch.networks.layers import Whitening, walk
from inceptorch.networks.zoo import get_network
from inceptorch.runtime.distributed import DistributedContext, init_distributed
from inceptorch.tasks import Classification, Detection, Task
from inceptorch.training.default_recipe import default_recipe
from inceptorch.training.distillation import Teacher, load_teacher
from inceptorch.training.loss import LossFunction
from inceptorch.training.memory import translate_oom
from inceptorch.training.network import check_head, choose_network
from inceptorch.training.optimizers import OptimizerFactory
from inceptorch.training.recipe import BOX_RECIPES, Recipe, get_recipe
from inceptorch.training.run import RUN_CONFIG, Run, TeacherFolder, next_run_dir
from inceptorch.training.step import precision
from inceptorch.utils.arrays import spread
from inceptorch.utils.files import ensure_empty
from inceptorch.utils.progress import Progress

WHITENED = 500  # images whose patches are whitened
SAMPLE = 8  # images by which the maps of a body are measured


@dataclass(frozen=True)
class Overrides:
    """Python objects that a caller gives in place of values of the recipe."""

    data: Any = None
    model: nn.Module | None = None
    loss: LossFunction | None = None
    transform: Transform | None = None
    optimizer: OptimizerFactory | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in fields(self) if getattr(self, each.name) is not None)


@dataclass(frozen=True)
class TrainRequest:
    """The arguments of `train`."""

    data: str | Path | None
    out: str | Path | None = None
    net: str | None = None
    weights: str | Path | None = None
    recipe: str | Recipe | None = None
    seed: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)  # of the recipe
    overrides: Overrides = field(default_factory=Overrides)
    teacher: str | Path | None = None


@dataclass
class TrainingContext:
    """The classifier that a run trains, its training and validation images, and its teacher, if it has one."""

    run: Run
    classifier: Classifier
    train: Split
    val: Split
    overrides: Overrides = field(default_factory=Overrides)
    teacher: Teacher | None = None

    @property
    def task(self) -> Task:
        model = cast(nn.Module, self.classifier.model)
        if isinstance(model, Detector):
            return Detection(self.classifier.classes, model)
        return Classification(self.classifier.classes)

    def evaluate(self, logits: Tensor) -> Evaluation:
        """The evaluation of logits [N, classes] of the validation images."""
        skipped, protocol = self.run.skipped or [], CENTER.describe(self.classifier.preprocessing)
        return evaluation_from_logits(logits.numpy(), self.classifier.classes, self.val, skipped, protocol)


def new_run(request: TrainRequest, world: DistributedContext) -> Run:
    """The config of a new run, checked as far as it can be without its data; nothing is written."""
    if request.data is None and request.overrides.data is None:
        raise DataError(
            "Cannot train on None: it is no data. Try a folder, a list, or a Dataset of (image, label) pairs."
        )
    given, overrides = resolve_weights(request.weights) if request.weights else None, request.overrides
    if not 0 <= request.seed < 2**63:
        raise RecipeError(
            f"Cannot use the seed {request.seed}: it must be a whole number from 0 to {2**63 - 1}. Try 0."
        )
    recipe = request.recipe if request.recipe is not None else _default_recipe(request, bool(given))
    recipe = (get_recipe(recipe) if isinstance(recipe, str) else recipe).replace(**request.values)
    check_head(recipe, bool(given))
    if recipe.optimization.linear_probe_steps and not given:
        raise RecipeError(
            f"Cannot train by recipe {recipe.name!r} without weights, which it begins from. Try --weights with a name "
            "of `inceptorch weights`."
        )
    if recipe.optimization.freeze and not given:
        raise RecipeError(
            "Cannot freeze layers without weights, which they would keep. Try --weights, or --set freeze=0."
        )
    if recipe.schedule.epochs and recipe.optimization.batch_size < 2 * world.count:
        raise RecipeError(
            f"A batch of {recipe.optimization.batch_size} is too small for {world.count} processes; "
            f"give each two images or more: --set batch_size={2 * world.count}."
        )
    _check_overrides(overrides, request, recipe)
    data = dataset_name(overrides.data) if request.data is None else absolute(request.data)
    folder = Path(request.out) if request.out else next_run_dir(data)
    ensure_empty(folder, besides=given)
    if request.data is not None:
        ensure_outside(folder, data)
    if request.teacher and not recipe.schedule.epochs:
        raise RecipeError(
            f"Cannot train with a teacher by recipe {recipe.name!r}, which trains the classifier alone. Try --recipe "
            "finetune."
        )
    teacher = TeacherFolder.of(request.teacher) if request.teacher else None
    recipe = recipe.replace(precision=precision(recipe, world.device))
    net = get_network(request.net) if request.net else None
    threads = torch.get_num_threads() if world.count == 1 and world.device.type == "cpu" else None
    return Run(folder, data, given, recipe, net, request.seed, overrides.names, threads, teacher=teacher)


def setup(run: Run, overrides: Overrides, progress: Progress, fetch: bool = True) -> TrainingContext:
    """The context of a run from its config, new or read. A new run gets its fingerprint here, and every image is
    decoded once. Without `fetch`, a run's file has named the data, and may come from a stranger: nothing is fetched or
    written for it. Raises RunError if the data changed."""
    missing = [name for name in run.from_python if getattr(overrides, name) is None]
    if missing:
        words = ", ".join(f"{name}=..." for name in missing)
        raise RunError(f"Cannot resume {run.folder} without {words}: they were Python objects. Give them again.")
    recipe = run.recipe
    if overrides.data is not None:
        splits = open_pairs(overrides.data, recipe.data.val_fraction, run.seed)
    else:
        if not fetch and (URL in run.data or run.data.startswith(f"{TORCHVISION}ImageNet")):
            raise RunError(_type_again(run))
        try:
            splits = find_train_and_val(
                run.data, recipe.data.val_fraction, run.seed, group_by=recipe.data.group_by, download=fetch
            )
        except DataError as error:
            if fetch or not run.data.startswith(TORCHVISION):
                raise
            raise DataError(f"{error} {_type_again(run)}") from None
    found = fingerprint(*splits)
    if run.fingerprint and found != run.fingerprint:
        raise RunError(f"{run.data} has changed since {run.folder} began; start a new run with inceptorch train.")
    train, val = (subsample_per_class(split, recipe.data.max_images_per_class, run.seed) for split in splits)
    if isinstance(train, BoxSplit):
        classifier = build_detector(run, overrides, train)
    elif recipe.name in BOX_RECIPES:
        raise DataError(
            f"Cannot train by recipe {recipe.name!r}: {train.where} has no boxes. Try another recipe for its "
            "classes, or inceptorch check DATA."
        )
    else:
        classifier = build_classifier(run, overrides.model, train.classes)
    if run.skipped is None:
        train, skipped = without_unreadable(train, progress)
        val, skipped_val = without_unreadable(val, progress)
        skipped += skipped_val
    else:
        skipped = run.skipped
        train, val = (_without(split, {one["file"] for one in skipped}) for split in (train, val))
    if not run.weights and overrides.model is None:
        whiten_stem(classifier, train)
    recipe = recipe.replace(net=classifier.config.architecture, lr=_base_rate(recipe, classifier.model, overrides))
    net = None if classifier.config.is_custom else classifier.config.network
    run = replace(run, recipe=recipe, net=net, fingerprint=found, skipped=skipped)
    teacher = load_teacher(run.teacher, classifier) if run.teacher else None
    return TrainingContext(run, classifier, train, val, overrides, teacher)


@contextmanager
def temporary_run(
    request: TrainRequest, progress: Progress, needs_steps: bool = True
) -> Iterator[tuple[TrainingContext, DistributedContext]]:
    """The context of a trial run in one process and a temporary folder. Raises RecipeError where steps are needed and
    the recipe has none."""
    with init_distributed(enabled=False) as world, tempfile.TemporaryDirectory() as folder:
        run = new_run(replace(request, out=Path(folder) / "run"), world)
        if needs_steps and not run.recipe.schedule.epochs:
            raise RecipeError(
                f"Recipe {run.recipe.name!r} trains the classifier alone, in no steps; name another --recipe."
            )
        context = setup(run, request.overrides, progress)
        with translate_oom(context.run.recipe):
            yield context, world


def _type_again(run: Run) -> str:
    return (
        f"Cannot fetch {run.data}, which {run.folder / RUN_CONFIG} names and nobody typed. If you trust it, try: "
        f"inceptorch train {shlex.quote(run.data)} --resume {shlex.quote(str(run.folder))}"
    )


def build_classifier(run: Run, module: nn.Module | None, classes: tuple[str, ...]) -> Classifier:
    """The classifier a run begins from: the caller's module, or the network for these classes, with fresh or given
    weights. Images of a size that is too small for it are refused here, before the first batch."""
    recipe = run.recipe
    if module is not None and not isinstance(module, Model):
        return _wrap(module, recipe, classes)
    given = load(run.weights) if run.weights else None
    if given and given.config.detection is not None:
        raise RecipeError(
            f"Cannot train a classifier from {run.weights}: it is a detector. Try the weights that it began from."
        )
    if module is not None and module.num_classes != len(classes):
        raise RunError(f"Cannot train this module: it has {module.num_classes} classes, the data {len(classes)}.")
    net, size = (run.net or module.net, module.size) if module is not None else (run.net, None)
    table, preprocessing, aux = choose_network(recipe, net, given.config if given else None, run.weights, size)
    torch.manual_seed(run.seed)
    model = module or Model(table, len(classes), preprocessing.in_chans, aux=aux, size=preprocessing.size)
    if given:
        copy_weights(given.model, model)
    elif module is None and recipe.optimization.dirac_init:
        init_dirac(model)
    frozen = recipe.optimization.frozen_layers(table)
    for layer in model.body[:frozen]:
        layer.requires_grad_(False)
    return Classifier.of(model.to(memory_format=torch.channels_last), preprocessing, classes)


def whiten_stem(classifier: Classifier, train: Split) -> None:
    """Set the filters of a network that begins by whitening, by training images from all over the split. Raises
    TableError for one that whitens further in, where its filters would stay random."""
    net = classifier.model.net
    layers = (*net.body.values(), *net.head.values(), *(net.aux_head or {}).values())
    whitening = [part for layer in layers for part in walk(layer) if isinstance(part, Whitening)]
    if not whitening:
        return
    name, first = next(iter(net.body.items()))
    if whitening != [first]:
        raise TableError(
            f"Cannot train {net.name}: training images set the filters of its first layer alone. Try whitening there, "
            "and conv elsewhere."
        )
    images = classifier.prepare([train.crop(index, classifier.preprocessing) for index in spread(len(train), WHITENED)])
    conv = classifier.model.body.get_submodule(f"{name}.conv")
    assert isinstance(conv, nn.Conv2d)
    whiten(conv, images)


def build_detector(run: Run, overrides: Overrides, train: BoxSplit) -> Classifier:
    """The detector a run begins from: the body with fresh or given weights, and a new head, or that of a detector of
    the same classes. Its images have the shape of most training images, and their longer side is `size`."""
    recipe = run.recipe
    if run.teacher:
        raise RunError("Cannot train on boxes with a teacher. Leave out --teacher.")
    for name in overrides.names:
        if name != "optimizer":
            raise RunError(f"Cannot train on boxes with {name} from Python. Leave it out.")
    if recipe.optimization.linear_probe_steps:
        raise RecipeError(
            f"Cannot train on boxes by recipe {recipe.name!r}, which fits a classifier of whole images. Try --recipe "
            "boxes-head, or boxes for the whole network."
        )
    given = load(run.weights) if run.weights else None
    table = run.net or (given.config.network if given else get_network(recipe.model.net))
    if given and table.name != given.config.network.name:
        raise RecipeError(
            f"{run.weights} holds the network {given.config.network.name!r}, not {table.name!r}; leave out --net."
        )
    pixels = given.preprocessing if given else default_preprocessing(table.size, recipe.model.channels)
    head = given.config.detection if given else None
    if head is None or recipe.model.size not in (0, max(head.width, head.height)):
        width, height = canvas(train.sizes.tolist(), recipe.model.size)
        head = DetectionHead(default_levels(table), width, height)
    longer = max(head.width, head.height)
    pixels = replace(pixels, size=longer, resize=longer)
    torch.manual_seed(run.seed)
    model = Detector(table, head, len(train.classes), pixels.in_chans)
    model.frozen_norm = given is not None
    if given:
        copy_body(given.model, model)
    for layer in model.body[: recipe.optimization.frozen_layers(table)]:
        layer.requires_grad_(False)
    detector = Classifier.of(cast(Model, model.to(memory_format=torch.channels_last)), pixels, train.classes)
    if not (given and given.config.detection):
        first = BoxDataset(train, head, pixels, recipe.augmentation, run.seed, augment=False)
        images = [first[index][0].permute(1, 2, 0).numpy() for index in range(min(SAMPLE, len(first)))]
        model.train()  # with the statistics that training has
        with torch.no_grad():
            model.scale_inputs(model.forward_maps(detector.prepare(images)))
    return detector


def _default_recipe(request: TrainRequest, weights: bool) -> Recipe:
    data = overrides.data if (overrides := request.overrides).data is not None else request.data
    if overrides.model is not None or overrides.transform is not None:
        data = None  # which decide on the network, or on the images
    return default_recipe(data, weights, {"net": request.net, **request.values})


def check_batches(recipe: Recipe, images: int, world: DistributedContext) -> None:
    """Raise where a process would get fewer than two images of some step, which batch normalization needs, and for
    `sync_bn` on CPUs, which torch lacks."""
    if recipe.runtime.sync_bn and world.count > 1 and world.device.type != "cuda":
        raise RecipeError(
            "Cannot synchronize batch normalization on CPUs: sync_bn needs CUDA. Try --set sync_bn=false."
        )
    batch_size = recipe.optimization.batch_size
    smallest = images // steps_per_epoch(images, batch_size)
    if recipe.schedule.epochs and smallest < 2 * world.count:
        enough = 2 * world.count * -(-batch_size // smallest)
        raise RunError(
            f"{images} images in batches of {batch_size} leave a step with {smallest}, too few for {world.count} "
            f"processes; give each two or more: --set batch_size={enough}, or fewer processes."
        )


def _wrap(module: nn.Module, recipe: Recipe, classes: tuple[str, ...]) -> Classifier:
    """The caller's own module as a classifier. Raises RunError if it gives no logits of these classes."""
    preprocessing = default_preprocessing(recipe.model.size or 224, recipe.model.channels)
    first = next(module.parameters(), torch.empty(0))
    images = first.new_zeros(2, preprocessing.in_chans, preprocessing.size, preprocessing.size)
    training = module.training
    with torch.no_grad():
        logits = module.eval()(images)
    module.train(training)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, len(classes)):
        name, wanted = type(module).__name__, (2, len(classes))
        raise RunError(f"Cannot train {name}: for two images it gives {shape}. Return logits {wanted}.")
    return Classifier.of(cast(Model, module.to(memory_format=torch.channels_last)), preprocessing, classes)


def _check_overrides(overrides: Overrides, request: TrainRequest, recipe: Recipe) -> None:
    """Raise RecipeError for values that exclude each other."""
    if overrides.model is not None:
        if request.net or request.weights:
            raise RecipeError(
                "Cannot take weights or a network's name together with a module. Load the weights into it."
            )
        if recipe.model.dropout >= 0:
            raise RecipeError("Cannot set the dropout of a module of your own. Set it in the module.")
        if recipe.optimization.layer_decay < 1 and not isinstance(overrides.model, Model):
            raise RecipeError(
                "Cannot order the layers of a module of your own: set layer_decay=1, or give an optimizer."
            )
    if overrides.transform is not None and {value for _, value in recipe.schedule.size_schedule} != {1.0}:
        raise RecipeError(
            "Cannot change the image size during training: your transform decides it. "
            "Try --set size_schedule=[[0,1],[1,1]]."
        )
    if overrides.loss is not None and recipe.optimization.class_weight_power:
        raise RecipeError(
            "Cannot weigh classes in a loss of your own. Weigh them there, with --set class_weight_power=0."
        )


def _base_rate(recipe: Recipe, model: nn.Module, overrides: Overrides) -> float:
    """The rate that the schedule's factors multiply: the recipe's, or that of an optimizer of the caller's own."""
    if overrides.optimizer is None:
        return recipe.optimization.lr
    groups = overrides.optimizer([each for each in model.parameters() if each.requires_grad]).param_groups
    rate = float(groups[0]["lr"])
    if rate <= 0:
        raise RecipeError(f"Cannot schedule a learning rate of {rate:g}. Give the optimizer one above 0.")
    return rate


def _without(split: Split, files: set[str]) -> Split:
    if not files:
        return split
    return split.select([index for index in range(len(split)) if split.file(index) not in files])
