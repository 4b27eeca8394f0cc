"""The form of an answer: made of what a person gives as its schema, and held to.

A pydantic model goes out with the rules that structured outputs cannot take as words in its
descriptions; the answer is validated against all of them. Where no schema can be sent, words
carry the whole of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvision.errors import RequestError, UnreadableAnswer
from nbvision.findings import Findings
from nbvision.json_reader import read_json
from nbvision.markup import plain
from nbvision.schemas import (
    broken_findings,
    copied_schema,
    dialect_findings,
    lost_findings,
    place_in_words,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["AnswerForm", "answer_form"]

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The form that an answer is asked for.

    Attributes
    ----------
    sent
        The JSON schema that travels.
    full
        The JSON schema that the answer is held to.
    model
        The pydantic model that it becomes, if there is one.
    """

    sent: dict[str, Any]
    full: dict[str, Any]
    model: "type[BaseModel] | None" = None

    def read(self, text: str, response: object = None) -> Any:
        """Return the answer as data, or as an instance of the model.

        Raises
        ------
        UnreadableAnswer
            If it is not JSON, or does not follow the whole schema; ``text`` keeps the words.

        Examples
        --------
        >>> form = answer_form({"type": "object", "properties": {"n": {"type": "integer"}},
        ...                     "additionalProperties": False})
        >>> form.read('Here it is: {"n": 3}')
        {'n': 3}
        """
        data = read_json(text)
        if self.model is None:
            value, wrong = _validated(data, self.full)
        else:
            value, wrong = _modelled(data, self.model)
        if wrong:
            raise UnreadableAnswer(
                f"the answer does not follow the schema: {plain(wrong, limit=300)}",
                cure="the words are kept in error.text; say in the prompt what was missing",
                text=text,
                response=response,
            )
        return value


def answer_form(schema: object, *, is_sent: bool = True) -> AnswerForm:
    """Return the form of an answer, from what a person gives as its schema.

    Parameters
    ----------
    schema
        A JSON schema as a dict, or a pydantic model class.
    is_sent
        Whether it travels as a schema; otherwise words ask for it, and they can say anything.

    Raises
    ------
    RequestError
        If it is neither, cannot be JSON, is no valid schema, or the dialect of structured
        outputs cannot express it.

    Examples
    --------
    >>> answer_form({"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}},
    ...              "additionalProperties": False})
    Traceback (most recent call last):
    nbvision.errors.RequestError: the schema at $.properties.n has minimum
      limit: what structured outputs can express
      cure:  leave it out and say it in the description, or give a pydantic model: its rules \
go out as words, and the answer is held to them
    """
    model = _as_model(schema)
    full = copied_schema(schema if model is None else _schema_of(model))
    findings = Findings(broken_findings(full))
    if is_sent and not findings and model is not None:
        findings = Findings(lost_findings(full))
    _require_none(findings, "a schema that can be read and kept")
    sent = full
    if is_sent:
        sent = full if model is None else _transformed(full)
        _require_none(dialect_findings(sent), "what structured outputs can express")
    return AnswerForm(sent, full, model)


def _validated(data: Any, full: dict[str, Any]) -> tuple[Any, str]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # A registry of its own: nothing is ever fetched because a schema names an address.
    registry: Registry[Any] = Registry()
    validator = Draft202012Validator(full, registry=registry)
    try:
        error = best_match(validator.iter_errors(data))
    except (Unresolvable, RecursionError) as failure:
        return None, f"the schema cannot be applied ({type(failure).__name__})"
    return data, "" if error is None else f"{place_in_words(error.absolute_path)}: {error.message}"


def _modelled(data: Any, model: "type[BaseModel]") -> tuple[Any, str]:
    from pydantic import ValidationError

    try:
        # As JSON, so that a strict model takes dates and the like from text.
        return model.model_validate_json(json.dumps(data)), ""
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        more = error.error_count() - 1
        return None, f"{place_in_words(first['loc'])}: {first['msg']}" + (
            f" (and {more} more)" if more else ""
        )
    except Exception as error:  # noqa: BLE001 - the class is the user's, the words are paid for
        return None, f"{model.__name__} failed: {type(error).__name__}: {error}"


def _require_none(findings: Findings, limit: str) -> None:
    if not findings:
        return
    more = len(findings) - _MOST_NAMED
    named = "; ".join(finding.value for finding in findings[:_MOST_NAMED])
    raise RequestError(
        f"the schema at {named}" + (f"; and {more} more" if more > 0 else ""),
        limit=limit,
        cure="; ".join(dict.fromkeys(finding.cure for finding in findings[:_MOST_NAMED])),
    )


def _as_model(schema: object) -> "type[BaseModel] | None":
    from pydantic import BaseModel

    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema
    if isinstance(schema, Mapping):
        return None
    cure = "schema=MyModel, a class with one field for each thing you want to know"
    if isinstance(schema, BaseModel):
        cure = f"give the class: schema={type(schema).__name__}"
    raise RequestError(
        f"schema={plain(repr(schema), limit=120)}",
        limit="a JSON schema as a dict, or a pydantic model class",
        cure=cure,
    )


def _schema_of(model: "type[BaseModel]") -> dict[str, Any]:
    from pydantic import PydanticUserError

    try:
        return model.model_json_schema()
    except (PydanticUserError, AttributeError, RecursionError, TypeError, ValueError) as error:
        words = plain(str(error).partition("\n")[0], limit=200)
    raise RequestError(
        f"{model.__name__} has no JSON schema: {words}",
        limit="fields of types that JSON knows",
        cure="leave the field out, or give it another type",
    )


def _transformed(full: dict[str, Any]) -> dict[str, Any]:
    from anthropic import transform_schema

    try:
        return dict(transform_schema(full))
    except (ValueError, TypeError, AssertionError, AttributeError, KeyError) as error:
        words = plain(str(error), limit=200)
    raise RequestError(
        f"the model's schema cannot be put into the dialect: {words}",
        limit="what structured outputs can express",
        cure="give a JSON schema as a dict instead",
    )
