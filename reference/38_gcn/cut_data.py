"""Writes karate_club.json anew, as networkx has the club: friendships without their weights, and who went with the officer."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import networkx

DATA = Path(__file__).parents[2] / "katas/38_gcn/karate_club.json"

club = networkx.karate_club_graph()
package = importlib.metadata.distribution("networkx")
notice = next(path for path in package.files or () if path.name == "LICENSE.txt")
data = {
    "source": "W. W. Zachary, An Information Flow Model for Conflict and Fission in Small Groups, Journal of "
    "Anthropological Research 33 (1977), 452-473; as networkx.karate_club_graph() has it, without weights",
    "licence": package.locate_file(notice).read_text(encoding="utf-8").splitlines(),
    "friends": sorted(sorted(pair) for pair in club.edges),
    "officer": [member for member in sorted(club) if club.nodes[member]["club"] == "Officer"],
}
lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
DATA.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
