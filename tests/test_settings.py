"""Settings: every name that is promised works, the nearest source wins, a bad value is refused in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dope.errors import SettingsError
from dope.settings import Settings, load, unknown_variables
from tests import settings_pages
from tests.settings_pages import ROOT, aliases

#: a value for each setting that is not its default, as text and as Python sees it
OTHER: dict[str, tuple[str, Any]] = {
    "source": ("sim", "sim"),
    "venues": ("okx, binance_spot", ("okx", "binance_spot")),
    "symbols": ("BTC-USDT", ("BTC-USDT",)),
    "endpoints": ('{"okx":{"ws":"ws://127.0.0.1:9001"}}', {"okx": {"ws": "ws://127.0.0.1:9001"}}),
    "bybit_api_url": ("http://127.0.0.1:9002", "http://127.0.0.1:9002"),
    "fees": ('{"okx":{"spot":8}}', {"okx": {"spot": 8.0}}),
    "fee_tiers": ('{"kraken":"from 10000"}', {"kraken": "from 10000"}),
    "fee_discounts": ('{"okx":20}', {"okx": 20.0}),
    "buy_as": ("maker", "maker"),
    "sell_as": ("maker", "maker"),
    "roles": ('{"okx":{"buy":"maker"}}', {"okx": {"buy": "maker"}}),
    "parameters": ('{"jumps":{"min_bps":4}}', {"jumps": {"min_bps": 4.0}}),
    "depth_bps": ("1, 100", (1, 100)),
    "sim_scenario": ("de-peg", "de-peg"),
    "model_dir": ("elsewhere/models", Path("elsewhere/models")),
    "data_dir": ("elsewhere/data", Path("elsewhere/data")),
    "host": ("::1", "::1"),
    "allowed_hosts": ("desk.example", ("desk.example",)),
    "allowed_origins": ("https://desk.example", ("https://desk.example",)),
    "allowed_origin_primary": ("https://one.example", "https://one.example"),
    "allowed_origin_secondary": ("http://two.example:8050", "http://two.example:8050"),
    "keys": ('{"coincap":"a-key"}', {"coincap": SecretStr("a-key")}),
    "api_token": ("operate-0123456789", SecretStr("operate-0123456789")),
    "read_token": ("read-0123456789ab", SecretStr("read-0123456789ab")),
    "log_level": ("debug", "DEBUG"),
}


def other(name: str) -> tuple[str, Any]:
    default = Settings.model_fields[name].default
    if name in OTHER:
        return OTHER[name]
    if isinstance(default, bool):
        return str(not default).lower(), not default
    return str(default + 1), type(default)(default + 1)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Only these variables of ours are set, as in a shell; the former environment comes back afterwards."""
    before = dict(os.environ)
    for name in Settings.model_fields:
        for alias in aliases(name):
            os.environ.pop(alias, None)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.parametrize(("name", "variable"), [(name, alias) for name in Settings.model_fields for alias in aliases(name)])
def test_every_promised_variable_sets_its_setting(name: str, variable: str) -> None:
    text, value = other(name)
    beside = {"DOPE_API_TOKEN": "operate-0123456789"} if name == "read_token" else {}
    with environment(**{variable: text}, **beside):
        settings = load(env_file=None)
    assert getattr(settings, name) == value != Settings.model_fields[name].get_default(call_default_factory=True)


def test_command_line_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DOPE_PORT=1\nDOPE_PUSH_HZ=2\nDOPE_SIM_SEED=3\n")
    with environment(DOPE_PORT="10", DOPE_PUSH_HZ="20"):
        settings = load({"port": 100}, env_file=file)
    assert (settings.port, settings.push_hz, settings.sim_seed, settings.sim_rate) == (100, 20.0, 3, 1.0)


def test_our_own_name_beats_an_alias() -> None:
    with environment(DOPE_PORT="1", PORT="2", API_PORT="3"):
        assert load(env_file=None).port == 1
    with environment(PORT="2", API_PORT="3"):
        assert load(env_file=None).port == 2


def test_the_address_of_one_rest_host_stands_for_its_venues_unless_endpoints_say_otherwise() -> None:
    own = {"bybit": {"ws": "ws://127.0.0.1:9001"}, "bybit_linear": {"rest": "http://127.0.0.1:9003"}}
    with environment(BYBIT_API_URL="https://API.example/", DOPE_ENDPOINTS=json.dumps({**own, "okx": {"ws": "ws://127.0.0.1:9004"}})):
        places = load(env_file=None).places()
    assert places == {**own, "bybit": {**own["bybit"], "rest": "https://api.example"}, "okx": {"ws": "ws://127.0.0.1:9004"}}
    with environment():
        assert load(env_file=None).places() == {}


def test_names_that_shells_set_by_themselves_change_nothing() -> None:
    with environment():
        plain = load(env_file=None)
    with environment(HOST="0.0.0.0", SOURCE="sim", RECORD="false", VENUES="nowhere", FEES="x", SYMBOLS="x"):
        assert load(env_file=None) == plain
    assert plain.host == "127.0.0.1"


def test_an_empty_variable_means_the_default() -> None:
    with environment(DOPE_PORT="", DOPE_VENUES=""):
        settings = load(env_file=None)
    assert (settings.port, settings.venues) == (8080, Settings.model_fields["venues"].default)


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("DOPE_PORT", "99999", "DOPE_PORT: input should be less than or equal to 65535, not '99999'"),
        ("PORT", "http", "PORT: input should be a valid integer"),
        ("DOPE_SOURCE", "life", "DOPE_SOURCE: input should be 'auto', 'live' or 'sim', not 'life'"),
        ("DOPE_ORDER_SIZE", "-5", "DOPE_ORDER_SIZE: input should be greater than 0"),
        ("DOPE_MIN_NET_BPS", "nan", "DOPE_MIN_NET_BPS: input should be a finite number"),
        ("DOPE_RECORD", "perhaps", "DOPE_RECORD: input should be a valid boolean"),
        ("DOPE_DEPTH_BPS", "5,wide", "DOPE_DEPTH_BPS.1: input should be a valid integer"),
        ("DOPE_FEES", '{"okx":', "DOPE_FEES: not valid JSON; JSON: your taker fee"),
        ("DOPE_FEES", '{"okx":{"spot":"free"}}', "DOPE_FEES.okx.spot: input should be a valid number"),
        ("BYBIT_API_URL", "api.bybit.com/v5", "an address such as https://api.bybit.com, without a path"),
        ("STREAM_HEARTBEAT_DELAY", "0", "DOPE_POLL_S: input should be greater than or equal to 0.2"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL: input should be 'DEBUG'"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_would_do(variable: str, text: str, says: str) -> None:
    with environment(**{variable: text}), pytest.raises(SettingsError) as refused:
        load(env_file=None)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"DOPE_API_TOKEN": "too-short-SECRET"[:15]}, "DOPE_API_TOKEN: a token has at least 16 printable ASCII characters and no spaces"),
        ({"DOPE_API_TOKEN": "with a space SECRET"}, "DOPE_API_TOKEN: a token has at least 16"),
        ({"DOPE_READ_TOKEN": "SECRET-SECRET-SECRET"}, "DOPE_READ_TOKEN needs DOPE_API_TOKEN beside it"),
        ({"DOPE_READ_TOKEN": "SECRET-SECRET-SECRET", "DOPE_API_TOKEN": "SECRET-SECRET-SECRET"}, "must differ"),
    ],
)
def test_a_bad_token_is_refused_without_showing_it(variables: dict[str, str], says: str) -> None:
    with environment(**variables), pytest.raises(SettingsError) as refused:
        load(env_file=None)
    assert says in str(refused.value) and "SECRET" not in str(refused.value).replace("_", "")


def test_a_token_is_neither_shown_nor_handed_on_nor_taken_from_the_command_line() -> None:
    with environment(DOPE_API_TOKEN="SECRET-SECRET-SECRET"):
        settings = load(env_file=None)
    assert "SECRET" not in f"{settings!r} {settings} {settings.model_dump(mode='json')} {settings.model_dump_json()}"
    with pytest.raises(SettingsError, match=r"environment or \.env only"):
        load({"api_token": "SECRET-SECRET-SECRET"}, env_file=None)


@pytest.mark.parametrize(
    "origin", ["*", "null", "https://*.example", "desk.example", "https://desk.example/page", "https://a b", "ftp://x", "https://u@x"]
)
def test_an_origin_is_exact(origin: str) -> None:
    with environment(DOPE_ALLOWED_ORIGINS=origin), pytest.raises(SettingsError, match="is no origin"):
        load(env_file=None)
    with environment(ALLOWED_ORIGIN_PRIMARY="HTTPS://Desk.example/", DOPE_ALLOWED_ORIGINS="http://[::1]:80"):
        assert load(env_file=None).origins == ("https://desk.example", "http://[::1]:80")


def test_all_bad_values_are_told_at_once() -> None:
    with environment(DOPE_PORT="x", DOPE_PUSH_HZ="0"), pytest.raises(SettingsError) as refused:
        load(env_file=None)
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["DOPE_PORT", "DOPE_PUSH_HZ"]


def test_a_setting_that_does_not_exist_is_not_swallowed() -> None:
    with pytest.raises(SettingsError, match="prot"):
        load({"prot": 1}, env_file=None)
    assert unknown_variables(["DOPE_PROT", "DOPE_PORT", "dope_host", "PATH"]) == ["DOPE_PROT"]


def test_every_setting_says_in_one_line_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description and "\n" not in field.description and len(field.description) < 120, name


def test_the_example_file_is_the_one_that_the_model_gives() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == settings_pages.env_example(), "write it anew: make env"


def test_the_example_file_with_all_marks_taken_away_gives_the_defaults(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    file = tmp_path / ".env"
    file.write_text("\n".join(line.lstrip("#") for line in lines if line.startswith("#DOPE_")))
    with environment():
        assert load(env_file=file) == load(env_file=None)


def test_the_table_in_the_readme_is_the_one_that_the_model_gives() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == settings_pages.readme_with_table(text), "write it anew: make env"


def test_the_comparison_with_the_readme_would_see_a_difference() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert settings_pages.readme_with_table(text.replace("DOPE_PORT", "DOPE_PROT")) != text.replace("DOPE_PORT", "DOPE_PROT")
    with pytest.raises(ValueError, match="exactly once"):
        settings_pages.readme_with_table("no marks")


def test_a_dotenv_in_the_working_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DOPE_SIM_SEED=12\n")
    code = "from dope.settings import load; print(load().sim_seed)"
    with environment(PYTHONPATH=str(ROOT)):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "12"
