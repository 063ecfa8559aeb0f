from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json, printable


def evaluate(
    model: Annotated[str, typer.Argument(help="A run, a bundle, or published weights by name.")],
    data: Annotated[str, typer.Argument(help="As for train: its test or val part if it has one.", metavar="DATA")],
    split: Annotated[str | None, typer.Option(help="train, val or test.")] = None,
    json: Json = False,
) -> None:
    """Judge a classifier on labelled pictures: top-1, top-5, loss, and every class.

    inceptorch eval runs/flowers flowers/
    """
    from inceptorch.data.verify import report_skipped
    from inceptorch.evaluation import evaluate as judge
    from inceptorch.progress import Progress

    progress = Progress()
    evaluation = judge(model, data, split, progress)
    report_skipped(evaluation.skipped, progress.say)
    if json:
        print_json(evaluation.to_dict())
        return
    print(f"{'class':<24}{'pictures':>9}{'top-1':>9}{'top-5':>9}")
    for name, one in evaluation.per_class.items():
        print(f"{printable(name):<24}{one['n']:>9}{one['top1']:>9.2%}{one['top5']:>9.2%}")
    print(f"{'all':<24}{evaluation.n:>9}{evaluation.top1:>9.2%}{evaluation.top5:>9.2%}   loss {evaluation.loss:.4f}")
    print(f"protocol: {evaluation.protocol}")
