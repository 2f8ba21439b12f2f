"""Writes nino12.csv anew from statsmodels' data set elnino, year by year: `python cut_data.py path/to/elnino.csv`."""

from __future__ import annotations

import sys
from pathlib import Path

DATA = Path(__file__).parents[2] / "katas/37_quantile_tcn/nino12.csv"

lines = Path(sys.argv[1]).read_text(encoding="utf-8").replace('"', "").lower().split()
rows = [line.split(",") for line in lines]
cut = [rows[0]] + [[row[0], *(f"{float(value):.2f}" for value in row[1:])] for row in rows[1:]]
DATA.write_text("".join(",".join(row) + "\n" for row in cut), encoding="utf-8")
