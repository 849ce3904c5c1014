from pathlib import Path

import pytest

from pypes.config import Settings, example, load_settings
from pypes.core.addresses import is_loopback, split_bind
from pypes.core.limits import Limits
from pypes.core.pools import Pool
from pypes.errors import InvalidConfig
from tests.certificates import Authority


def settings(tmp_path: Path, ini: str | None = None, flags: dict[str, object] | None = None, **environ: str) -> Settings:
    if ini is not None:
        (tmp_path / "pypes.ini").write_text(ini)
    return load_settings(flags=flags, environ=environ, folder=tmp_path)


def problems(tmp_path: Path, ini: str | None = None, flags: dict[str, object] | None = None, **environ: str) -> dict[str, str]:
    with pytest.raises(InvalidConfig) as caught:
        settings(tmp_path, ini, flags, **environ)
    assert caught.value.code == "config.invalid"
    return {problem.path: problem.message for problem in caught.value.problems}


def test_flags_go_over_the_environment_over_the_file_over_defaults(tmp_path: Path) -> None:
    ini = "[server]\nbind = 127.0.0.1:1\nworkers = 3\ninstances = 4\n[queue]\ndurability = never\n"
    found = settings(
        tmp_path, ini, {"server.bind": "127.0.0.1:3", "server.workers": None}, PYPES_SERVER_BIND="x:2", PYPES_SERVER_WORKERS="5"
    )
    assert (found.server.bind, found.server.workers, found.server.instances) == ("127.0.0.1:3", 5, 4)
    assert found.queue.durability == "never"
    assert found.limits == Limits()


def test_paths_start_where_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "node.ini").write_text("[server]\ndata = d\nfleet = f\nload = a.py, b.py\n")
    found = load_settings(tmp_path / "etc" / "node.ini", {"server.graphs": "g"}, {}, tmp_path)
    assert found.server.data == tmp_path / "etc" / "d"
    assert found.server.fleet == tmp_path / "etc" / "f"
    assert found.server.load == (tmp_path / "etc" / "a.py", tmp_path / "etc" / "b.py")
    assert found.server.graphs == tmp_path / "g"


@pytest.mark.parametrize(("text", "size"), [("64MiB", 64 << 20), ("1_000", 1000), ("1.5 k", 1536), ("2GB", 2 << 30), ("7B", 7)])
def test_sizes(tmp_path: Path, text: str, size: int) -> None:
    assert settings(tmp_path, f"[limits]\nbody_bytes = {text}\n").limits.body_bytes == size


def test_every_problem_is_told_at_once_and_names_its_key(tmp_path: Path) -> None:
    ini = "[server]\nworkrs = 1\nworkers = 0\ninsecure = maybe\ndurability = always\n[limts]\nx = 1\n"
    ini += "[limits]\njson_bytes = 2 bananas\n"
    found = problems(tmp_path, ini, {"server.instances": "two"}, PYPES_QUEUE_DURABILITY="sometimes", PYPES_SERVER_COLOUR="red")
    source = f"{tmp_path / 'pypes.ini'}: "
    assert "did you mean workers?" in found[source + "server.workrs"]
    assert "more than zero" in found[source + "server.workers"]
    assert "yes or no" in found[source + "server.insecure"]
    assert "belongs to section [queue]" in found[source + "server.durability"]
    assert "unknown section" in found[source + "[limts]"]
    assert "such as" in found[source + "limits.json_bytes"]
    assert "number" in found["--instances"]
    assert "one of always, interval, never" in found["PYPES_QUEUE_DURABILITY"]
    assert "unknown key" in found["PYPES_SERVER_COLOUR"]


def test_sessions_last_for_a_second_at_least(tmp_path: Path) -> None:
    settings = load_settings(environ={"PYPES_ACCESS_SESSION_S": "60", "PYPES_ACCESS_SESSION_IDLE_S": "0"}, folder=tmp_path)
    assert (settings.access.session_s, settings.access.session_idle_s) == (60.0, 0.0)
    for value, told in (("0", "must be 1 at least"), ("1e9", "must be 31536000 at most")):
        with pytest.raises(InvalidConfig) as caught:
            load_settings(environ={"PYPES_ACCESS_SESSION_S": value}, folder=tmp_path)
        assert told in str(caught.value)


def test_beyond_loopback_a_token_is_needed(tmp_path: Path) -> None:
    assert "token" in problems(tmp_path, flags={"server.bind": "0.0.0.0:80"})["--bind"]
    assert settings(tmp_path, flags={"server.bind": "0.0.0.0:80"}, PYPES_TOKEN="secret").token == "secret"
    assert settings(tmp_path, flags={"server.bind": "0.0.0.0:80", "server.insecure": True}).token is None


def test_a_certificate_is_read_with_the_settings(tmp_path: Path) -> None:
    files = Authority(tmp_path).issue()
    found = settings(tmp_path, "[server]\ntls_cert = node.pem\ntls_key = node.key\n").tls
    assert found is not None
    assert found.key == files.key.read_text()
    assert "PRIVATE" not in repr(settings(tmp_path))
    flags: dict[str, object] = {"server.tls_cert": str(files.chain), "server.tls_key": "none.key"}
    assert "cannot be read" in problems(tmp_path, "", flags)["--tls-key"]
    assert "give tls_key too" in problems(tmp_path, "[server]\ntls_cert = node.pem\n")[f"{tmp_path}/pypes.ini: server.tls_cert"]
    assert "give tls_cert too" in problems(tmp_path, "", {"server.tls_key": "node.key"})["--tls-key"]
    assert "no certificate" in problems(tmp_path, "", {**flags, "server.tls_cert": str(files.key)})["--tls-cert"]


def test_proxies_are_networks(tmp_path: Path) -> None:
    found = settings(tmp_path, "[server]\nproxies = 10.0.0.0/8, ::1\n")
    assert found.server.proxies == ("10.0.0.0/8", "::1")
    for wrong in ("10.0.0.1/8", "balancer", "10.0.0.0/40"):
        assert "10.0.0.0/8" in problems(tmp_path, "", {"server.proxies": ("::1", wrong)})["--proxies"]


def test_the_token_comes_from_its_file_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    found = settings(tmp_path, "[server]\ntoken_file = token\n", PYPES_TOKEN="other")
    assert found.token == "s3cret"
    assert "s3cret" not in repr(found)
    (tmp_path / "token").write_text("\n")
    assert "empty" in next(iter(problems(tmp_path, "[server]\ntoken_file = token\n").values()))
    assert "cannot be read" in problems(tmp_path, "", {"server.token_file": "none"})["--token-file"]


def test_callbacks_are_signed_or_none(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    found = settings(tmp_path, "[callbacks]\nhosts = example.com, hooks.example.com:8443\nsecret_file = secret\n")
    assert (found.callbacks.hosts, found.callback_secret) == (("example.com", "hooks.example.com:8443"), "s3cret")
    assert "s3cret" not in repr(found)
    [(name, message)] = problems(tmp_path, "[callbacks]\nhosts = example.com\n").items()
    assert name.endswith("callbacks.hosts")
    assert "secret_file" in message
    (tmp_path / "secret").write_text("\n")
    assert "empty" in next(iter(problems(tmp_path, "[callbacks]\nsecret_file = secret\n").values()))
    assert settings(tmp_path, "").callback_secret is None


def test_a_file_that_is_no_ini_says_where(tmp_path: Path) -> None:
    (tmp_path / "pypes.ini").write_text("bind = 1\n")
    with pytest.raises(InvalidConfig, match=r"line: 1"):
        load_settings(environ={}, folder=tmp_path)
    with pytest.raises(InvalidConfig, match="cannot be read"):
        load_settings(tmp_path / "none.ini", environ={}, folder=tmp_path)


def test_grace_has_a_second_name(tmp_path: Path) -> None:
    assert settings(tmp_path, "[server]\ngrace_s = 3\n").limits.grace_s == 3.0


@pytest.mark.parametrize("bind", ["8080", ":8080", "host:", "host:x", "host:70000"])
def test_a_bad_bind_is_refused(tmp_path: Path, bind: str) -> None:
    assert "address and a port" in problems(tmp_path, flags={"server.bind": bind})["--bind"]


def test_addresses() -> None:
    assert split_bind("[::1]:80") == ("::1", 80)
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "10.0.0.1", "example.com")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_the_example_is_complete_and_says_what_the_defaults_are(tmp_path: Path) -> None:
    page = Path(__file__).parents[1] / "pypes.ini"
    assert page.read_text() == example(), "run: python -m pypes.config > pypes.ini"
    lines = [line.removeprefix("; ") for line in example().splitlines()]
    values = "\n".join(line for line in lines if line.startswith("[") or (" = " in line and line.split(" = ")[0].isidentifier()))
    found = settings(
        tmp_path,
        values.replace("one per four cores", "1")
        .replace("one per core", "2")
        .replace("three quarters of the machine's over its cores", "1GiB"),
    )
    assert found.limits == Limits()
    assert found.queue == Settings().queue
    assert found.log == Settings().log


def test_pools_of_the_node(tmp_path: Path) -> None:
    found = settings(tmp_path, "[pool:models]\nprocesses = 1\nmemory = 2GiB\ntimeout_s = 30\n[pool:io]\nthreads = 64\n")
    assert found.pools == {"models": Pool(processes=1, memory=2 << 30, timeout_s=30), "io": Pool(threads=64)}
    assert found.pool_rules.named == found.pools


def test_faults_of_pools_name_the_section(tmp_path: Path) -> None:
    found = problems(tmp_path, "[pool:models]\nprocesses = many\nworkers = 2\n[pool:none]\nstride = 8\n")
    ini = f"{tmp_path / 'pypes.ini'}: "
    assert set(found) == {f"{ini}pool:models.processes", f"{ini}pool:models.workers", f"{ini}pool:none"}


@pytest.mark.parametrize("name", ["", " ", " models", "models "])
@pytest.mark.parametrize("options", ["processes = 1\n", ""])
def test_a_pool_needs_a_name_that_filters_can_write(tmp_path: Path, name: str, options: str) -> None:
    found = problems(tmp_path, f"[pool:{name}]\n{options}[pool:io]\nthreads = 1\n")
    assert list(found) == [f"{tmp_path / 'pypes.ini'}: pool:{name}"]
    assert "[pool:models]" in next(iter(found.values()))


@pytest.mark.parametrize("section", ["servr", "pool", "Pool:a", " server ", "a.b"])
def test_an_unknown_section_is_named_once_even_if_it_is_empty(tmp_path: Path, section: str) -> None:
    ini = f"{tmp_path / 'pypes.ini'}: "
    for options in ("", "x = 1\ny.z = 2\n"):
        found = problems(tmp_path, f"[{section}]\n{options}")
        assert list(found) == [f"{ini}[{section}]"]
        assert "unknown section" in found[f"{ini}[{section}]"]


def test_an_empty_pool_says_what_it_needs(tmp_path: Path) -> None:
    found = problems(tmp_path, "[pool:models]\n")
    assert "processes" in found[f"{tmp_path / 'pypes.ini'}: pool:models"]


def test_names_of_pools_may_have_dots_and_blanks(tmp_path: Path) -> None:
    found = settings(tmp_path, "[pool:models.v2]\nprocesses = 1\n[pool:my models]\nthreads = 2\n")
    assert found.pools == {"models.v2": Pool(processes=1), "my models": Pool(threads=2)}
