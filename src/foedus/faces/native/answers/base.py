"""What answers have in common."""

from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Out(BaseModel):
    """An answer. ``of`` reads it off a row or a value of the same attributes, unless a class says otherwise."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, value: Any) -> Self:
        return cls.model_validate(value)


class Listed(Out, Generic[T]):
    """A part of a list; ``next`` goes into ``after`` and is null at the end."""

    items: list[T]
    next: int | None


class NothingOut(Out):
    pass


class ReasonOut(Out):
    code: str
    text: str
    facts: dict[str, Any]
