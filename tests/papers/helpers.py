"""The evaluated papers and their tables, for several test modules."""

from dataclasses import replace

from inceptorch.networks.layers import Fork, Layer
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
from inceptorch.papers.claims import evaluated_papers
from inceptorch.papers.quantities import Nets
from inceptorch.papers.verdicts import Row, Table

GOOGLENET = NETS["googlenet"]
MODULES = [name for name, row in GOOGLENET.body.items() if isinstance(row, Fork)]
GOOGLENET_PAPER, BATCH_NORM, V3, V4 = "arXiv:1409.4842", "arXiv:1502.03167", "arXiv:1512.00567", "arXiv:1602.07261"
PAPERS = evaluated_papers(Nets())
TABLES = {(paper.name, table.name): table for paper in PAPERS for table in paper.all_tables}


def row_of(table: Table, name: str) -> Row:
    return next(row for row in table.rows if row.name == name)


def with_row(net: NetworkSpec, **rows: Layer) -> NetworkSpec:
    return replace(net, body={**net.body, **rows})
