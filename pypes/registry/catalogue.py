"""Catalogue: all known components by name, and the distributions that could not be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pypes.component import KINDS
from pypes.errors import InvalidInput, NotFound, Problem
from pypes.graph.spec import ComponentSpec
from pypes.graph.validation import unknown_component


@dataclass(frozen=True, slots=True)
class Broken:
    """A distribution (or a load file) of which at least one component cannot be used, and why.

    ``file`` is the path of a load file of which nothing can be used.
    """

    distribution: str
    version: str
    error: str
    file: str = ""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".rstrip()


class Catalogue(Mapping[str, ComponentSpec]):
    """Components by name; never changes. One with an ``error`` is listed, but no graph can use it.

    A name that two distributions claim belongs to neither: it is listed with an error that names both. What was ``loaded`` from
    a file by hand takes the place of what is installed under its name: ``overridden`` says where, a sentence for each.
    """

    broken: tuple[Broken, ...]
    overridden: tuple[str, ...]

    def __init__(
        self, specs: Iterable[ComponentSpec] = (), broken: Iterable[Broken] = (), loaded: Iterable[ComponentSpec] = ()
    ) -> None:
        claims: dict[str, list[ComponentSpec]] = {}
        for spec in loaded:
            claims.setdefault(spec.name, []).append(spec)
        given = {name: found[0].distribution for name, found in claims.items()}
        overridden = []
        for spec in specs:
            if spec.name in given:
                owner = f"{spec.distribution} {spec.version}".rstrip()
                overridden.append(f"component {spec.name!r} is that of {given[spec.name]}, not that of {owner}")
            else:
                claims.setdefault(spec.name, []).append(spec)
        self.overridden = tuple(overridden)
        self._specs = {name: claims[name][0] for name in sorted(claims)}
        listed = list(broken)
        for name, rivals in claims.items():
            if len(rivals) > 1:
                owners = " and ".join(f"{spec.distribution} {spec.version}".rstrip() for spec in rivals)
                error = f"the name {name!r} is claimed by {owners}; uninstall one of them"
                self._specs[name] = replace(rivals[0], error=error, missing=())
                listed += [Broken(spec.distribution, spec.version, error) for spec in rivals]
        self.broken = tuple(listed)

    def __getitem__(self, name: str) -> ComponentSpec:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    @property
    def unread(self) -> list[str]:
        """Of each load file that could not be read, which one and why: what a graph lacks may be in it."""
        return [f"{broken.file} cannot be used: {broken.error}" for broken in self.broken if broken.file]

    def by_kind(self, kind: str) -> list[str]:
        """Sorted names of the components of a kind, named as the REST interface does: ``Publishers``.

        Raises :class:`NotFound` for a kind that does not exist.
        """
        metatype = KINDS.get(kind)
        if metatype is None:
            raise NotFound(f"there is no kind {kind!r}; kinds are {', '.join(KINDS)}", code="component.unknown_kind")
        return [name for name, spec in self._specs.items() if spec.kind == metatype]

    def find(self, name: str) -> ComponentSpec:
        """A component by its name. Raises :class:`NotFound`."""
        spec = self._specs.get(name)
        if spec is None:
            raise NotFound(f"there is no component {name!r}; GET /components lists them", code="component.not_found", where=name)
        return spec

    def used(self, name: str, path: str) -> ComponentSpec:
        """The component that a request names at ``path``. Raises :class:`InvalidInput` if it is not installed."""
        spec = self._specs.get(name)
        if spec is None:
            problem = Problem(path, unknown_component(name, self._specs), "component.unknown")
            raise InvalidInput(problem.message, code=problem.code, where=path, problems=[problem])
        return spec
