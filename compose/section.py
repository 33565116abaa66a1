"""A section of the configuration: frozen, closed to unknown keys, and silent about secrets.

Every table of the file is one subclass. A value whose key sounds like a secret is shown as stars wherever a section
is printed or dumped, whether it is a field here or a Kafka property, so that a log line with the settings gives
nothing away; code that needs the value reads the attribute.

The number types refuse ``true`` where a number belongs (Python would take it as 1) and accept digits as text, which
is how the environment gives them.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from adapters.confidential import masked, secrets_in


class Section(BaseModel):
    """One table of the file."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, value if name is None else masked({name: value})[name]

    def secrets(self) -> Iterator[str]:
        """The secret values in here and in the sections below, to be kept out of whatever is said."""
        return secrets_in(_unmasked(self))

    @model_serializer(mode="wrap")
    def _without_secrets(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return masked(serialize(self))


def _unmasked(value: object) -> Any:  # noqa: ANN401 - the shape of the section
    if isinstance(value, BaseModel):
        return {name: _unmasked(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, list | tuple):
        return {str(number): _unmasked(item) for number, item in enumerate(value)}
    return value


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "a number is expected")
    return value


Text = Annotated[str, StringConstraints(min_length=1)]
Whole = Annotated[int, BeforeValidator(_no_flag)]
Positive = Annotated[int, BeforeValidator(_no_flag), Field(ge=1)]
Seconds = Annotated[float, BeforeValidator(_no_flag), Field(gt=0, le=31_536_000)]
Topic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
