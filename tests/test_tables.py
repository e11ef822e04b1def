"""Segments, flows and verdicts as tables: the same as in the report, whole, and read by other tools."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from analyzer.cli.main import run
from analyzer.model.event import Doubt
from analyzer.model.flow import Kind
from analyzer.pipeline.files import analyze
from analyzer.reports.tables import schema
from analyzer.reports.tables.export import Export
from analyzer.reports.tables.frames import Folder
from analyzer.reports.tables.rows import verdict_rows
from tests.bench.flows import plan
from tests.bench.generate import generate
from tests.captures import ROOT, frames_of, sample
from tests.sources.build import pcap

DOC = (ROOT / "docs/tables.md").read_text()
NAMES = (
    "rst-after-fin-send-first",
    "icmp-host-unreachable-connect",
    "clean-request-response",
    "crowd",
    "retransmission-timeout",
)
Capsys = pytest.CaptureFixture[str]


def tables(folder: Path, form: str = "parquet") -> dict[str, pl.DataFrame]:
    read = pl.read_parquet if form == "parquet" else pl.read_csv
    return {name: read(folder / name / f"*.{form}") for name in schema.TABLES}


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Real captures, and a large one of many flows."""
    large = tmp_path_factory.mktemp("captures") / "large.pcap"
    generate(large, plan("realistic", 30_000, None, 1, 60.0))
    return [*(str(sample(name)) for name in NAMES), str(large)]


@pytest.fixture(scope="module")
def exported(captures: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "tables"
    assert run(["export", *captures, "--to", "parquet", str(folder)]) == 0
    return folder


def test_each_segment_is_there_once(exported: Path, captures: list[str]) -> None:
    found, report = tables(exported), analyze(*captures)
    segments = found["segments"]
    assert segments.select("capture", "frame").is_duplicated().sum() == 0
    rows = report.totals.packets - report.totals.other_packets - sum(report.totals.undecoded.values())
    assert len(segments) == rows
    assert found["captures"]["packets"].to_list() == [capture.packets for capture in report.captures]
    assert found["captures"]["path"].to_list() == captures
    assert found["captures"]["problems"].to_list() == [capture.problems for capture in report.captures]


def test_segments_are_those_of_the_capture(exported: Path) -> None:
    own = tables(exported)["segments"].filter(pl.col("capture") == 0)
    frames = frames_of(sample(NAMES[0]).read_bytes())
    for row in own.iter_rows(named=True):
        frame = frames[row["frame"] - 1]
        tcp = frame.data[14 + 20 :]
        assert row["seq"] == int.from_bytes(tcp[4:8])
        assert row["flags"] == tcp[13]
        assert row["window"] == int.from_bytes(tcp[14:16])
        assert row["from_client"] == (int.from_bytes(tcp[2:4]) == 8036)
    assert own.filter(pl.col("kinds") & Kind.RST > 0)["frame"].to_list() == [17]


def test_what_is_no_icmp_error_has_no_type_of_one(exported: Path) -> None:
    found = tables(exported)["segments"]
    assert found["icmp"].any()
    for column in ("icmp_type", "icmp_code"):
        assert (found[column].is_not_null() == found["icmp"]).all()


def test_flows_have_the_packets_of_their_segments(exported: Path, captures: list[str]) -> None:
    found, report = tables(exported), analyze(*captures, all_flows=True)
    flows = found["flows"]
    assert len(flows) == report.totals.tcp_flows + report.totals.udp_flows
    assert flows["flow"].is_duplicated().sum() == 0
    counted = found["segments"].filter(~pl.col("icmp")).group_by("flow", "from_client").len()
    ends = found["flows"].sort("flow")
    for column, client in (("client_packets", True), ("server_packets", False)):
        own = counted.filter(pl.col("from_client") == client).select("flow", "len")
        joined = ends.join(own, on="flow", how="left").with_columns(pl.col("len").fill_null(0))
        assert joined[column].to_list() == joined["len"].to_list()
    first = found["segments"].sort("capture", "frame").group_by("flow", maintain_order=True).first()
    joined = ends.join(first, on="flow", suffix="_first")
    assert len(joined) == len(ends)
    assert (joined["frame"] == joined["frame_first"]).all()
    assert (joined["capture"] == joined["capture_first"]).all()
    ends_told = sorted((r.flow.client.address, r.flow.client.port, r.flow.start) for r in report.flows)
    own_ends = flows.select("client", "client_port", pl.col("start").dt.epoch("ns")).rows()
    assert set(ends_told) <= set(own_ends)


def test_verdicts_are_those_of_the_report(exported: Path, captures: list[str]) -> None:
    found = tables(exported)
    wanted = list(verdict_rows(analyze(*captures)))
    told = found["verdicts"].with_columns(pl.selectors.datetime().dt.epoch("ns"))
    for name in schema.VERDICTS:
        if name != "flow":
            assert told[name].to_list() == [row[name] for row in wanted], name
    failed = found["flows"].filter("failed")
    assert sorted(failed["flow"]) == sorted(set(found["verdicts"]["flow"]))
    both = found["verdicts"].join(found["flows"], on="flow", suffix="_of_flow")
    assert len(both) == len(told)
    for name in ("client", "client_port", "server", "server_port", "capture", "start", "protocol"):
        assert (both[name] == both[f"{name}_of_flow"]).all()


def test_the_files_of_a_rotation_have_their_own_frame_numbers(tmp_path: Path) -> None:
    frames = frames_of(sample(NAMES[0]).read_bytes())
    for number, part in enumerate((frames[:9], frames[9:])):
        (tmp_path / f"trace{number}.pcap").write_bytes(pcap(part))
    assert run(["export", str(tmp_path), "--to", "parquet", str(tmp_path / "tables")]) == 0
    found = tables(tmp_path / "tables")
    assert found["flows"]["flow"].to_list() == [0]
    assert set(found["segments"]["capture"]) == {0, 1}
    assert found["segments"].filter(pl.col("capture") == 1)["frame"][0] == 1
    assert found["verdicts"]["frames"].to_list() == [[16 - 9, 17 - 9]]
    assert found["verdicts"]["frame_captures"].to_list() == [[1, 1]]


def test_rows_come_in_several_files(
    captures: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyzer.reports.tables.export.ROWS", 4096)
    export = Export(Folder(tmp_path / "tables", "parquet", "--to"))
    report = analyze(captures[-1], seeing=export, max_frames=1000)
    export.finish(report)
    files = sorted((tmp_path / "tables/segments").iterdir())
    assert len(files) > 5
    assert sum(len(pl.read_parquet(file)) for file in files) == 30_000
    assert pl.read_parquet(files)["frame"].is_sorted()


def test_the_version_is_in_every_file(exported: Path) -> None:
    about = json.loads((exported / "_errnoscope.json").read_text())
    assert about["schema"] == schema.VERSION
    for table, columns in schema.TABLES.items():
        (path, *_) = sorted((exported / table).iterdir())
        told = pl.read_parquet_metadata(path)
        assert (told["errnoscope.schema"], told["errnoscope.table"]) == (schema.VERSION, table)
        assert list(pl.read_parquet_schema(path)) == list(columns)
        assert about["rows"][table] == len(pl.read_parquet(exported / table / "*.parquet"))


@pytest.mark.parametrize("table", schema.TABLES)
def test_every_column_is_documented(table: str) -> None:
    section = re.split(rf"\n## {table}\n", DOC)[1].split("\n## ")[0]
    shared = re.findall(r"\| (`.+?)\|", re.split(r"\n## flows\n", DOC)[1])[0] if table == "verdicts" else ""
    named = set(re.findall(r"`(\w+)`", section + shared))
    assert set(schema.TABLES[table]) <= named


def test_csv_tables_have_the_same_rows(tmp_path: Path, exported: Path) -> None:
    assert run(["export", str(sample("crowd")), "--to", "csv", str(tmp_path / "tables")]) == 0
    found = tables(tmp_path / "tables", "csv")
    whole = tables(exported)["segments"].filter(pl.col("capture") == NAMES.index("crowd"))
    assert found["segments"]["frame"].to_list() == whole["frame"].to_list()
    assert found["verdicts"].columns == list(schema.VERDICTS)
    assert len(found["verdicts"]) == 3
    assert found["segments"]["time"][0].endswith("Z")
    assert datetime.fromisoformat(found["segments"]["time"][0][:26]) == whole["time"][0].replace(tzinfo=None)


# Verdicts of analyze


def test_analyze_writes_csv(capsys: Capsys) -> None:
    path = str(sample(NAMES[0]))
    assert run(["analyze", path, "-o", "csv"]) == 0
    (line,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert list(line) == [*schema.VERDICTS, "path"]
    assert (line["errno"], line["number"], line["call"], line["frames"]) == ("EPIPE", "32", "send", "16;17")
    assert (line["path"], line["recovered"], line["tunnel"]) == (path, "false", "")
    moment = datetime(2026, 11, 21, 5, 56, 23, 685_114, tzinfo=UTC)
    assert datetime.fromisoformat(line["time"][:-4] + "Z") == moment


def test_texts_of_a_list_can_be_told_apart(capsys: Capsys) -> None:
    """What doubts say may have a semicolon in it."""
    path = str(sample("udp-connection-refused"))
    assert run(["analyze", path, "-o", "csv"]) == 0
    told = [line["doubts"] for line in csv.DictReader(io.StringIO(capsys.readouterr().out))]
    report = analyze(path)
    doubts = [verdict.doubts for result in report.flows for verdict in result.verdicts]
    assert [set(text.split(" | ")) for text in told] == [set(map(str, one)) or {""} for one in doubts]
    assert not any("|" in doubt for doubt in Doubt)
    assert any(";" in doubt for doubt in Doubt)


def test_analyze_writes_parquet_and_other_formats(capsys: Capsys, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    assert run(["analyze", str(sample(NAMES[0])), "-o", f"parquet={folder}", "-o", "text"]) == 0
    assert "EPIPE" in capsys.readouterr().out
    assert pl.read_parquet(folder / "verdicts/*.parquet")["errno"].to_list() == ["EPIPE"]
    assert not (folder / "segments").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["analyze", "-o", "parquet"], "-o parquet: the tables are files in a folder"),
        (["analyze", "-o", "parquet=FULL"], "there is something in this directory"),
        (["export", "--to", "parquet", "FULL"], "there is something in this directory"),
        (["export", "--to", "parquet", "FULL/file"], "this is no directory"),
        (["export", "--to", "parquet", "FULL/file/below"], "cannot be written"),
        (["export", "--to", "excel", "new"], "there is no such kind of table"),
        (["export", "--to", "parquet", "--jobs"], "the directory is missing"),
        (["export", "--to", "csv", "s3://bucket/tables"], "this is written to this machine only"),
        (["analyze", "-o", "parquet=s3://bucket/tables"], "this is written to this machine only"),
        (["analyze", "-o", "csv=https://host/verdicts.csv"], "this is written to this machine only"),
        (["analyze", "--carve", "s3://bucket/failed"], "this is written to this machine only"),
    ],
)
def test_what_cannot_be_written_is_said(
    arguments: list[str], said: str, capsys: Capsys, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("full")
    line = [argument.replace("FULL", str(tmp_path)) for argument in arguments]
    assert run([*line, str(sample(NAMES[0]))]) == 2
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True)


def test_nothing_is_left_of_an_export_that_could_not_begin(capsys: Capsys, tmp_path: Path) -> None:
    folder = tmp_path / "some" / "tables"
    assert run(["export", str(tmp_path / "nothing.pcap"), "--to", "parquet", str(folder)]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_polars_is_named_where_it_is_missing(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    assert run(["export", str(sample(NAMES[0])), "--to", "parquet", str(tmp_path / "tables")]) == 2
    assert "pip install 'errnoscope[tables]'" in capsys.readouterr().err


def test_polars_is_imported_only_for_tables() -> None:
    code = (
        "import sys; from analyzer.cli.main import run; "
        f"run(['analyze', {str(sample(NAMES[0]))!r}, '-o', 'csv']); assert 'polars' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)


# The examples of docs/tables.md


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOC, flags=re.S)


def rows(statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        database.execute("set timezone = 'UTC'")
        return database.execute(statement).fetchall()


def test_failures_an_hour_and_service(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported.parent)
    by_duckdb = rows(examples("sql")[0])
    space: dict[str, Any] = {}
    exec(examples("python")[0], space)
    by_polars = space["table"].rows()
    assert by_duckdb == by_polars
    november = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    verdicts = tables(exported)["verdicts"]
    within = verdicts.filter(pl.col("time").is_between(*november, closed="left") & ~pl.col("recovered"))
    assert sum(row[-1] for row in by_duckdb) == len(within) > 3
    assert any(row[1:4] == ("10.9.1.2", 8036, "EPIPE") for row in by_duckdb)


def test_the_share_that_failed(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported.parent)
    told = rows(examples("sql")[1])
    flows = tables(exported)["flows"].filter((pl.col("protocol") == "tcp") & pl.col("same_as").is_null())
    assert sum(row[2] for row in told) == len(flows)
    assert told[0][3] == 1
    assert ("10.9.1.2", 8036, 1, 1.0) in told


def test_what_was_sent_again(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported.parent)
    assert rows(examples("sql")[2])
