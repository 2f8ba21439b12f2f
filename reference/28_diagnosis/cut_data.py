"""Writes breast_masses.json anew: three of the thirty columns that scikit-learn has of each mass, and which were malignant."""

from __future__ import annotations

import json
from pathlib import Path

from sklearn.datasets import load_breast_cancer

DATA = Path(__file__).parents[2] / "katas/28_diagnosis/breast_masses.json"
COLUMNS = ["mean radius", "mean texture", "mean smoothness"]

masses = load_breast_cancer()
chosen = [list(masses.feature_names).index(column) for column in COLUMNS]
data = {
    "source": "W. Wolberg, O. Mangasarian, N. Street, W. Street, Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning "
    "Repository (1995), doi:10.24432/C5DW2B; as sklearn.datasets.load_breast_cancer() has it, three columns of thirty",
    "licence": "Creative Commons Attribution 4.0 International, https://creativecommons.org/licenses/by/4.0/",
    "columns": COLUMNS,
    "malignant": (1 - masses.target).tolist(),
    "masses": masses.data[:, chosen].tolist(),
}
lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in data.items())
DATA.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
