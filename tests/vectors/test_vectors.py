"""Every reference vector that lies beside the project passes, and the report tells of what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.vectors.__main__ import check, main, market_of

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "data" / "vectors"
FILES = sorted(VECTORS.glob("*.json"))


@pytest.mark.skipif(not FILES, reason="the reference vectors lie beside the project, not in it")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_reference_vector_is_met(file: Path) -> None:
    failed = [case for case in check(file, market_of(VECTORS)) if case.ok is False]
    assert not failed, "\n".join(" · ".join(map(str, case)) for case in failed)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "cannot be read"), ("[]", "cannot be read"), ('{"kind": "alchemy"}', "kind 'alchemy'"),
     ('{"kind": "ou", "gold": 1}', "nobody answers")],
)  # fmt: skip
def test_what_cannot_be_checked_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (tmp_path / "one.json").write_text(text, encoding="utf-8")
    assert main([str(tmp_path)]) == 1
    assert words in capsys.readouterr().out


def test_an_empty_folder_proves_nothing(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1


def test_a_kind_without_a_complete_model_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"kind": "forecast"}), encoding="utf-8")
    assert main([str(tmp_path)]) == 0
    assert "not yet" in capsys.readouterr().out
