"""Clients to be shared, which note when they are made and closed."""

from __future__ import annotations

from typing import Any


class Client:
    """Made of anything; notes in ``told`` when it is made and closed."""

    told: list[str] = []  # of one test, see the fixture

    def __init__(self, *args: Any, name: str = "client", **kwargs: Any) -> None:
        self.args, self.name, self.is_open = args, name, True
        self.told.append(f"made {name}")

    def close(self) -> None:
        self.is_open = False
        self.told.append(f"closed {self.name}")

    @classmethod
    def of(cls, *args: Any) -> Client:
        return cls(*args)


class Faulty(Client):
    def close(self) -> None:
        super().close()
        raise OSError("gone already")
