"""Aliases of a server, moved by compare-and-set.

A server carries out the actions of one call one after another under one lock, and stops at the first that fails; a
*rename* fails where the alias to be renamed is not there. So each alias has a *marker* beside it, a second alias
whose name is made of the alias and the collection it shows. Moving ``docs`` from one collection to another begins
with the rename of its marker: where somebody else was faster, that marker is gone and nothing happens at all.

A marker that is missing (the alias is new, or was set by other tools) is made first and the alias looked at once
more. Of two that do so at one moment one wins, as it should. Only where a third, held up between the two steps for as
long as all that took, comes last, two of them may be told that they won; the alias then shows what the last wanted.

Other tools see the markers among a server's aliases: they begin with :data:`MARKER` and are nobody's index.
"""

import hashlib

from qdrant_client import models

from adapters.qdrant.connection import Connection
from adapters.qdrant.failures import Missing

MARKER = "embedstream-alias."


def read_aliases(connection: Connection) -> dict[str, str]:
    """Alias → collection, without markers."""
    return {alias: name for alias, name in _all(connection).items() if not alias.startswith(MARKER)}


def move_alias(connection: Connection, alias: str, expected: str | None, wanted: str | None) -> bool:
    """Whether the alias showed ``expected`` and shows ``wanted`` now. Raises Outage: perhaps it does.

    ``wanted`` exists; the caller has looked.
    """
    stood = _all(connection)
    if stood.get(alias) != expected:
        return False
    if expected == wanted:
        return True
    before, after = marker(alias, expected), marker(alias, wanted)
    anchor = wanted or expected
    assert anchor is not None  # noqa: S101 - they differ
    if before not in stood:
        _change(connection, [_create(before, expected or anchor)])
        if _all(connection).get(alias) != expected:
            _change(connection, [_delete(before)])
            return False
    moved: list[models.AliasOperations] = [
        models.RenameAliasOperation(rename_alias=models.RenameAlias(old_alias_name=before, new_alias_name=after)),
        _delete(after),
        _create(after, anchor),
        _delete(alias),
    ]
    if wanted is not None:
        moved.append(_create(alias, wanted))
    try:
        _change(connection, moved)
    except Missing:
        return False
    return True


def marker(alias: str, collection: str | None) -> str:
    """Its name holds a digest: both names together may be longer than a server takes."""
    both = f"{alias}\0{collection or ''}".encode()
    return f"{MARKER}{hashlib.blake2b(both, digest_size=16).hexdigest()}"


def _all(connection: Connection) -> dict[str, str]:
    found = connection.call("reading aliases", lambda client: client.get_aliases())
    return {alias.alias_name: alias.collection_name for alias in found.aliases}


def _change(connection: Connection, actions: list[models.AliasOperations]) -> None:
    connection.call("moving an alias", lambda client: client.update_collection_aliases(actions))


def _create(alias: str, collection: str) -> models.AliasOperations:
    made = models.CreateAlias(alias_name=alias, collection_name=collection)
    return models.CreateAliasOperation(create_alias=made)


def _delete(alias: str) -> models.AliasOperations:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
