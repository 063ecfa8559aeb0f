"""Lists of images."""

import json
from pathlib import Path

import pytest

from inceptorch.data import find_split, find_train_and_val, fingerprint, without_unreadable
from inceptorch.data.sources.manifest import open_manifest
from inceptorch.errors import DataError
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)
RED, BLUE = "train/red/00.png", "train/blue/00.png"


def csv_of(root: Path, header: str, *rows: str) -> Path:
    path = root / "list.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def rows_of(root: Path, split: bool) -> list[dict[str, str]]:
    return [
        {
            "path": path.relative_to(root).as_posix(),
            "label": path.parent.name,
            **({"split": path.parents[1].name} if split else {}),
        }
        for path in sorted(root.rglob("*.png"), reverse=True)
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_list_with_splits_is_what_the_folders_are(images: Path, kind: str) -> None:
    rows = rows_of(images, split=True)
    data = images / f"list.{kind}"
    if kind == "csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    else:
        lines = [*map(json.dumps, rows), ""]
    data.write_text("\n".join(lines))
    for listed, found in zip(find_train_and_val(data, 0.2, 0), find_train_and_val(images, 0.2, 0), strict=True):
        assert listed.paths == found.paths
        assert listed.labels.tolist() == found.labels.tolist()
        assert (listed.classes, listed.name) == (found.classes, found.name)
        assert listed.read(5) == found.read(5)
        assert fingerprint(listed) == fingerprint(found)
        assert listed.file(0) == found.file(0)
    assert len(find_split(data, CLASSES, "val")) == len(find_split(data, CLASSES)) == 12


def test_a_list_without_splits_is_divided_as_a_folder_is(images: Path) -> None:
    root = images / "train"
    lines = [json.dumps(row) for row in rows_of(root, split=False)]
    (root / "list.jsonl").write_text("\n".join(lines))
    listed, found = (find_train_and_val(data, 0.2, 3) for data in (root / "list.jsonl", root))
    assert [part.paths for part in listed] == [part.paths for part in found]
    assert fingerprint(*listed) == fingerprint(*found)


def test_a_broken_image_of_a_list_is_named(images: Path) -> None:
    (images / "broken.jpg").write_bytes(b"")
    data = csv_of(images, "label,path", "red,train/red/00.png", "red,broken.jpg", "blue,val/blue/00.png")
    kept, skipped = without_unreadable(find_split(data, CLASSES), QUIET)
    assert [one["file"] for one in skipped] == [str(images / "broken.jpg")]
    assert len(kept) == 2


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["path,kind", f"{RED},red"], "list.csv, line 1: there is no 'label', only 'path', 'kind'. Name path"),
        (["path,red", f"{RED},1"], "list.csv, line 1: there is no 'label', only 'path', 'red'. Name path"),
        (["path|label", f"{RED}|red"], "list.csv, line 1: there is no 'path', only 'path|label'. Name path"),
        (["file,path2,class,breed", f"{RED},,a,b"], "columns 'class' and 'breed' may each be the label. Call one of"),
        (["file,image,class", f"{RED},{RED},a"], "columns 'file' and 'image' may each be the path. Call one of"),
        (
            ["filename,red,blue", f"{RED},1,0"],
            "2 columns mark classes with 0 and 1, by which an image may have several",
        ),
        (
            ["path,label", f"{RED},red", f"{BLUE},blue", 'val/red/00.png,"red, blue"'],
            "list.csv: it gives images several classes, such as 'red, blue'. Give each image one",
        ),
        ([""], "list.csv, line 1: there is no 'path', only an empty line. Name path"),
        (["path,label,label ", f"{RED},red,red"], "list.csv, line 1: the column 'label' occurs twice"),
        (
            ["path,label", f"{RED},red", f"{BLUE},blue, dark"],
            "list.csv, line 3 has more fields than the 2 columns of line 1; quote the label",
        ),
        (["path,label", f"{RED},red", f"{BLUE},"], "list.csv, line 3: the label is empty"),
        (["path,label", f"{RED},red", BLUE], "list.csv, line 3: the label is empty"),
        (["path,label", ",red"], "list.csv, line 2: the path is empty"),
        (["path,label", f"{RED},red", "none.jpg,red"], r"list.csv, line 3: .*none.jpg does not exist. Try paths"),
        (["path,label,split", f"{RED},red,tran"], "list.csv, line 2: there is no split 'tran'; did you mean 'train'"),
        (["path,label,split", f"{RED},red,train", f"{BLUE},blue,"], "list.csv, line 3: the split is empty"),
        (["path,label", f"{RED},red", f"{RED},blue"], f"list.csv, line 3: it lists {RED} again, which line 2 has"),
        (["path,label", f"{RED},red", f"./{RED},blue"], f"list.csv, line 3: it lists ./{RED} again, which line 2 has"),
        (
            ["path,label", f"val/../{RED},red", f"{RED},red"],
            f"list.csv, line 3: it lists {RED} again, which line 2 has",
        ),
        (["path,label"], "list.csv: it lists no images"),
        (["path,label", f'{RED},"red'], "list.csv: it is not a table of comma-separated values: .*line 2"),
        (["path,label,split", f"{RED},red,val"], "list.csv: it has val but no train. Add the images"),
        (["path,label", f"{RED},red"], "the one class 'red'. Add another"),
    ],
)
def test_faults_of_a_table_name_the_line(images: Path, lines: list[str], sentence: str) -> None:
    data = csv_of(images, *lines)
    with pytest.raises(DataError, match=sentence):
        find_train_and_val(data, 0.2, 0)


def test_a_image_by_its_whole_path_is_the_same(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    csv_of(images, "path,label", f"{RED},red", f"{images / RED},red")
    monkeypatch.chdir(images)
    with pytest.raises(DataError, match=f"list.csv, line 3: it lists {images / RED} again, which line 2 has"):
        find_train_and_val("list.csv", 0.2, 0)


def test_blanks_around_labels_and_columns_do_not_count(images: Path) -> None:
    rows = [f"train/{name}/{number:02}.png,{name}{' ' * number}, train" for name in CLASSES for number in range(3)]
    data = csv_of(images, "path , label, split", *rows)
    assert find_split(data, CLASSES, "train").counts() == dict.fromkeys(CLASSES, 3)
    data = images / "list.jsonl"
    data.write_text(f'{{"path": "{RED}", "label": "red"}}\n{{"path": "{BLUE}", "label": " red\\n"}}\n')
    assert find_split(data, CLASSES).counts() == {"blue": 0, "green": 0, "red": 2}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "line 2: it is not a JSON object"),
        ("[1]", "line 2: it is not a JSON object"),
        ('{"path": "train/blue/00.png"}', "line 2: there is no 'label', only 'path'. Name path"),
        ('{"path": "train/blue/00.png", "label": null}', "line 2: the label is empty"),
        ('{"path": 7, "label": "red"}', "line 2: the path is 7, not text"),
        ('{"path": "a\\u0000b", "label": "red"}', "line 2: the path is .*not text"),
        ('{"path": "a", "label": "\\ud800"}', "line 2: the label is .*not text"),
        (
            '{"path": "train/blue/00.png", "label": "red", "split": "train"}',
            "some rows have a split and some have none",
        ),
    ],
)
def test_faults_of_lines_of_json_name_the_line(images: Path, line: str, sentence: str) -> None:
    data = images / "list.jsonl"
    data.write_text(f'{{"path": "{RED}", "label": 3}}\n{line}\n')
    with pytest.raises(DataError, match=sentence):
        find_train_and_val(data, 0.2, 0)


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("path,label,split", "utf-8"),
        ("filename;class;set", "utf-8-sig"),
        ("Image\tLabel\tSubset", "utf-16"),
        ('"image_id","breed","Data Set"', "utf-16-be"),
        ("\tfile_name\tspecies\tsplit", "utf-32"),
    ],
)
def test_tables_as_other_programs_write_them(images: Path, header: str, encoding: str) -> None:
    delimiter = next(mark for mark in "\t;," if mark in header)
    splits = {"train": ["Train", "TRAIN", "training"], "val": ["valid", "validation", "Val"]}
    rows = [header]
    for number, row in enumerate(rows_of(images, split=True)):
        path = row["path"].replace("/", "\\")
        path = path.removesuffix(".png") if "id" in header else path
        row = {"path": path, "label": row["label"], "split": splits[row["split"]][number % 3]}
        rows.append(delimiter.join([*([str(number)] if header[0] == "\t" else []), *row.values()]))
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    data = images / f"list.{'tsv' if delimiter == chr(9) else 'csv'}"
    data.write_bytes((mark + "\r\n".join(rows)).encode(encoding))
    for listed, found in zip(find_train_and_val(data, 0.2, 0), find_train_and_val(images, 0.2, 0), strict=True):
        assert (listed.paths, listed.labels.tolist()) == (found.paths, found.labels.tolist())
        assert fingerprint(listed) == fingerprint(found)


def test_lines_of_json_may_name_their_values_otherwise(images: Path) -> None:
    data = images / "metadata.jsonl"
    lines = [{"file_name": RED, "label": "red"}, {"label": "blue", "image": BLUE, "width": 3}]
    data.write_text("\n".join(map(json.dumps, lines)))
    assert find_split(data, CLASSES).counts() == {"blue": 1, "green": 0, "red": 1}


def test_a_class_name_without_end_is_refused(images: Path) -> None:
    data = csv_of(images, "path,label", f"{RED},red", f"{BLUE},{'b' * 2000}")
    with pytest.raises(DataError, match=r"the name of the class 'bbb.*bbb' has 2000 characters, of at most 1000"):
        find_train_and_val(data, 0.2, 0)


def test_accents_written_in_two_ways_are_one_class(images: Path) -> None:
    data = csv_of(images, "path,label", f"{RED},c\u00e9", f"{BLUE},ce\u0301", "train/blue/01.png,tea")
    assert find_split(data, ("c\u00e9", "tea")).counts() == {"c\u00e9": 2, "tea": 1}


def test_a_list_in_another_encoding_is_refused(images: Path) -> None:
    (images / "list.csv").write_bytes("path,label\nä,b\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"list.csv is not text in UTF-8"):
        find_split(images / "list.csv", CLASSES)


def test_a_list_may_do_without_labels_where_none_are_needed(images: Path) -> None:
    path = csv_of(images, "path,split", f"{RED},train", "val/red/00.png,val")
    with pytest.raises(DataError, match="there is no 'label'"):
        open_manifest(path)
    splits = open_manifest(path, labeled=False)
    assert {name: list(find().paths) for name, find in splits.items()} == {"train": [RED], "val": ["val/red/00.png"]}
    path = csv_of(images, "path,label,class", f"{RED},,")
    assert list(open_manifest(path, labeled=False)[""]().paths) == [RED]
    path = csv_of(images, "name,label", f"{RED},red")
    with pytest.raises(DataError, match="there is no 'path'"):
        open_manifest(path, labeled=False)
