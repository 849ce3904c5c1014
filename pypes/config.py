"""Settings of a node: command line over environment over ``pypes.ini`` over defaults.

Every setting has a section and a key: ``bind`` of ``[server]`` is ``--bind``, ``PYPES_SERVER_BIND`` and ``bind =`` under
``[server]``. ``python -m pypes.config`` writes a commented ``pypes.ini`` with all defaults to standard output.
"""

from __future__ import annotations

import configparser
import difflib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pypes.access.settings import AccessSettings
from pypes.core.addresses import is_loopback, network_of, split_bind
from pypes.core.certificate import Certificate, UnusableCertificate
from pypes.core.converting import converted
from pypes.core.limits import Limits
from pypes.core.pools import Pool, PoolRules, read_section
from pypes.core.settings import CallbackSettings, ComponentSettings, FleetSettings, LogSettings, QueueSettings, ServerSettings
from pypes.errors import InvalidConfig, Problem
from pypes.observe.otlp.settings import Otlp, from_variables, otlp_of
from pypes.observe.settings import ObserveSettings

PREFIX = "PYPES_"
#: Beginning of the names of sections that are pools.
POOL_SECTION = "pool:"
TOKEN_VARIABLE = "PYPES_TOKEN"
#: Characters of a secret of a fleet.
MIN_SECRET = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a node, resolved and checked."""

    server: ServerSettings = field(default_factory=ServerSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    components: ComponentSettings = field(default_factory=ComponentSettings)
    callbacks: CallbackSettings = field(default_factory=CallbackSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    limits: Limits = field(default_factory=Limits)
    log: LogSettings = field(default_factory=LogSettings)
    observe: ObserveSettings = field(default_factory=ObserveSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    #: Pools for the filters of all graphs, by name: sections ``[pool:NAME]`` of the file.
    pools: Mapping[str, Pool] = field(default_factory=dict)
    #: The bearer token clients must show, ``None`` if there is none. Never logged.
    token: str | None = field(default=None, repr=False)
    #: The certificate with which clients are served over TLS, ``None`` without. Its key is never logged.
    tls: Certificate | None = None
    #: Secret that signs callbacks, ``None`` without one. Never logged.
    callback_secret: str | None = field(default=None, repr=False)
    #: Secrets that the nodes of the fleet share, the one in use first; empty: the node is in none. Never logged.
    fleet_secrets: tuple[str, ...] = field(default=(), repr=False)
    #: The collector to which traces and metrics are sent, if any. Its headers are never logged.
    otlp: Otlp | None = None
    #: The file that was read, ``None`` if there was none.
    source: Path | None = None
    #: Keys that were given in any way, such as ``server.graphs``; all others have their defaults.
    given: frozenset[str] = frozenset()

    @property
    def pool_rules(self) -> PoolRules:
        """The pools that graphs may name, and the interpreters that their own may."""
        return PoolRules(self.pools, self.components.pythons)


SECTIONS: Mapping[str, type[Any]] = {
    "server": ServerSettings,
    "queue": QueueSettings,
    "components": ComponentSettings,
    "callbacks": CallbackSettings,
    "fleet": FleetSettings,
    "limits": Limits,
    "log": LogSettings,
    "observe": ObserveSettings,
    "access": AccessSettings,
}

#: Second names of a setting.
_ALIASES = {"server.grace_s": "limits.grace_s"}


def load_settings(
    config: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Resolve the settings; raises :class:`InvalidConfig` with every problem, each naming its key.

    ``config`` must exist if given; otherwise ``pypes.ini`` in ``folder`` (default: the working directory) is read if
    there is one. ``flags`` is ``"server.bind"`` → value; ``None`` means not given. Relative paths of ``pypes.ini`` start at the
    folder it lies in, all others at ``folder``.
    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    source = config or settings_file(folder)
    reader = _Reader()
    reader.add(
        {f"observe.{name}": value for name, value in from_variables(environ).items()}, "OpenTelemetry's variables: ", folder
    )
    if source is not None:
        reader.add_file(_read_ini(source), f"{source}: ", source.absolute().parent)
    reader.add(_read_environ(environ), "", folder, lambda key: PREFIX + key.replace(".", "_").upper())
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    reader.add(given, "", folder, lambda key: "--" + key.partition(".")[2].replace("_", "-"))
    reader.absolute(folder)
    token = reader.token(environ)
    secrets = reader.callback_secret(), reader.fleet_secrets()
    settings = reader.build(token, *secrets, reader.certificate(), reader.otlp(environ), source)
    if reader.problems:
        raise InvalidConfig("the configuration is not valid", problems=reader.problems)
    return settings


def settings_file(folder: Path) -> Path | None:
    """The settings file of a node that is started in ``folder``, if there is one."""
    path = folder / "pypes.ini"
    return path if path.is_file() else None


class _Reader:
    """Collects values and their problems, from the weakest source to the strongest."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        self.problems: list[Problem] = []
        #: Options of the pools, as they are written, and the way in which problems name them.
        self._pools: dict[str, Mapping[str, str]] = {}
        self._pool_prefix = ""
        self._names: dict[str, str] = {}

    def add_file(self, sections: Mapping[str, Mapping[str, str]], prefix: str, folder: Path) -> None:
        """Take the sections of a file, those included in which nothing stands: a name with a fault hides what it was to say."""
        self._pool_prefix = prefix
        for section, options in sections.items():
            if section in SECTIONS:
                self.add({f"{section}.{option}": value for option, value in options.items()}, prefix, folder)
            elif section.startswith(POOL_SECTION):
                self._pools[section.removeprefix(POOL_SECTION)] = options
            else:
                known = ", ".join(f"[{name}]" for name in (*SECTIONS, f"{POOL_SECTION}NAME"))
                message = f"unknown section; there are {known}"
                self.problems.append(Problem(f"{prefix}[{section}]", message, "config.unknown_key"))

    def add(self, given: Mapping[str, Any], prefix: str, folder: Path, name: Any = str) -> None:
        for key, value in given.items():
            shown = prefix + name(key)
            section, _, option = _ALIASES.get(key, key).partition(".")
            known = {f.name: f for f in fields(SECTIONS[section])}
            if option not in known:
                self.problems.append(Problem(shown, _unknown(key, section), "config.unknown_key"))
                continue
            try:
                self.values[section][option] = converted(known[option], value, folder)
                self._names[f"{section}.{option}"] = shown
            except ValueError as error:
                self.problems.append(Problem(shown, f"{error}, not {str(value)!r}", "config.invalid"))

    def absolute(self, folder: Path) -> None:
        for option in ("data", "graphs"):
            self.values["server"].setdefault(option, folder / option)

    def token(self, environ: Mapping[str, str]) -> str | None:
        path: Path | None = self.values["server"].get("token_file")
        if path is None:
            return environ.get(TOKEN_VARIABLE, "").strip() or None
        return self._secret(path, "server.token_file", "token")

    def callback_secret(self) -> str | None:
        path: Path | None = self.values["callbacks"].get("secret_file")
        if path is not None:
            return self._secret(path, "callbacks.secret_file", "secret")
        if self.values["callbacks"].get("hosts"):
            self._problem(
                "callbacks.hosts",
                "callbacks must be signed, so that receivers can tell that they come from this node: give secret_file too",
            )
        return None

    def fleet_secrets(self) -> tuple[str, ...]:
        fleet = FleetSettings(**self.values["fleet"])
        if not fleet.nodes:
            return ()
        if fleet.secret_file is None:
            self._problem("fleet.nodes", "nodes answer only to those that know their secret: give secret_file, the same for all")
            return ()
        lines = (self._secret(fleet.secret_file, "fleet.secret_file", "secret") or "").splitlines()
        secrets = tuple(line.strip() for line in lines if line.strip())
        if any(len(secret) < MIN_SECRET for secret in secrets):
            self._problem("fleet.secret_file", f"a secret has {MIN_SECRET} characters at least; openssl rand -hex 32 makes one")
        return secrets

    def certificate(self) -> Certificate | None:
        chain, key = (self.values["server"].get(name) for name in ("tls_cert", "tls_key"))
        if chain is None and key is None:
            return None
        if chain is None or key is None:
            given, missing = ("tls_key", "tls_cert") if chain is None else ("tls_cert", "tls_key")
            self._problem(f"server.{given}", f"is of no use alone: give {missing} too; one file may hold both")
            return None
        try:
            return Certificate.read(chain, key)
        except UnusableCertificate as error:
            self._problem("server.tls_key" if error.is_key else "server.tls_cert", str(error))
            return None

    def otlp(self, environ: Mapping[str, str]) -> Otlp | None:
        observe = ObserveSettings(**self.values["observe"])
        path = observe.otlp_headers_file
        headers = None if path is None else self._secret(path, "observe.otlp_headers_file", "header fields")
        try:
            return otlp_of(observe.otlp_endpoint, headers or "", observe.otlp_interval_s, environ)
        except InvalidConfig as error:
            self._problem(f"observe.{error.where}", error.message)
            return None

    def _secret(self, path: Path, key: str, what: str) -> str | None:
        try:
            secret = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._problem(key, f"cannot be read: {error}")
            return None
        if not secret:
            self._problem(key, f"{path} is empty; write the {what} into the file")
        return secret or None

    def build(
        self,
        token: str | None,
        callback_secret: str | None,
        fleet_secrets: tuple[str, ...],
        tls: Certificate | None,
        otlp: Otlp | None,
        source: Path | None,
    ) -> Settings:
        built = {section: cls(**self.values[section]) for section, cls in SECTIONS.items()}
        settings = Settings(
            **built,
            pools={name: self._pool(name, options) for name, options in self._pools.items()},
            token=token,
            tls=tls,
            callback_secret=callback_secret,
            fleet_secrets=fleet_secrets,
            otlp=otlp,
            source=source,
            given=frozenset(self._names),
        )
        self._check_proxies(settings.server.proxies)
        try:
            host, _ = split_bind(settings.server.bind)
        except ValueError as error:
            self._problem("server.bind", f"{error}, not {settings.server.bind!r}")
            return settings
        if not is_loopback(host) and token is None and not settings.server.insecure:
            self._problem(
                "server.bind",
                f"{host} can be reached from other machines: give a token (token_file or {TOKEN_VARIABLE}), or say insecure",
            )
        return settings

    def _check_proxies(self, proxies: Iterable[str]) -> None:
        for proxy in proxies:
            try:
                network_of(proxy)
            except ValueError as error:
                self._problem("server.proxies", f"{error}, not {proxy!r}")

    def _pool(self, name: str, options: Mapping[str, str]) -> Pool:
        def add(option: str, message: str) -> None:
            where = f"{self._pool_prefix}{POOL_SECTION}{name}"
            self.problems.append(Problem(f"{where}.{option}" if option else where, message, "config.invalid"))

        if not name or name != name.strip():
            add("", "needs a name, without blanks around it, by which filters name the pool, such as [pool:models]")
            return Pool()
        return read_section(options, add)

    def _problem(self, key: str, message: str) -> None:
        self.problems.append(Problem(self._names.get(key, key), message, "config.invalid"))


#: Settings of earlier releases, and what stands in their place.
_RETIRED = MappingProxyType(
    {"limits.receipts_kept": "receipts are kept for receipts_s, within receipts_bytes, whatever their number; remove this key"}
)


def _unknown(key: str, section: str) -> str:
    option = key.partition(".")[2]
    if key in _RETIRED:
        return _RETIRED[key]
    everything = {f.name: name for name, cls in SECTIONS.items() for f in fields(cls)}
    if option in everything:
        return f"unknown key; {option} belongs to section [{everything[option]}]"
    here = [f.name for f in fields(SECTIONS[section])]
    near = difflib.get_close_matches(option, here, 1)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; [{section}] has {', '.join(here)}"


def _read_ini(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="\0", inline_comment_prefixes=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"cannot be read: {error}", where=str(path)) from error
    except configparser.Error as error:
        raise InvalidConfig(" ".join(str(error).split()), where=str(path)) from error
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _read_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings in the environment: variables that start with PYPES_ and the name of a section."""
    found = {}
    for name, value in environ.items():
        section, _, option = name.removeprefix(PREFIX).partition("_")
        if name.startswith(PREFIX) and option and section.lower() in SECTIONS:
            found[f"{section}.{option}".lower()] = value
    return found


def example() -> str:
    """A commented ``pypes.ini`` with every setting at its default."""
    lines = [
        "; Settings of a Pypes node. Every one can be overridden by the environment (PYPES_SERVER_BIND=...) and most by a flag."
    ]
    lines += ["; Lines that start with ; are comments: these are the defaults. Sizes may be written as 64MiB, times are seconds."]
    for section, cls in SECTIONS.items():
        lines += ["", f"[{section}]"]
        for info in fields(cls):
            lines += [f"; {info.metadata['help']}", f"; {info.name} = {_shown(info)}".rstrip()]
    return "\n".join(lines) + "\n"


def _shown(info: Any) -> str:
    if info.default is MISSING:
        return str(info.metadata.get("shown", info.name))
    if info.default is None:
        return str(info.metadata.get("shown", ""))
    if isinstance(info.default, bool):
        return "yes" if info.default else "no"
    if isinstance(info.default, tuple):
        return ", ".join(map(str, info.default))
    if info.name.endswith("_bytes"):
        for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
            if info.default % 1024**power == 0:
                return f"{info.default // 1024**power}{unit}"
    return f"{info.default:g}" if isinstance(info.default, float) else str(info.default)


if __name__ == "__main__":
    sys.stdout.write(example())
