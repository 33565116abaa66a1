"""``embedstream search``: asks the running query service, or, where none answers, searches by itself.

The service is asked only under the configuration's own contract: another one's answers would be of another index, and
it refuses with both fingerprints shown. Searching by itself loads the model, which takes some seconds.
"""

import httpx
import orjson
from rich.console import Console

from adapters.metrics import wall_clock_ms
from compose.deployment import Deployment
from schemas.chunk_event import Json
from serving.desk import CONTRACT_HEADER
from serving.handle import LiveIndex
from serving.search import Question, search
from stream.errors import Fatal, Outage

_TIMEOUT_S = 30.0
_PASSAGE = 240


def ask(deployment: Deployment, text: str, limit: int) -> dict[str, Json]:
    """The answer as the API gives it. Raises Fatal with the service's own sentence."""
    listen = deployment.settings.query.listen
    try:
        response = httpx.post(
            f"http://{listen}/v1/search",
            json={"query": text, "limit": limit},
            headers={CONTRACT_HEADER: deployment.contract.fingerprint, **_key(deployment)},
            timeout=_TIMEOUT_S,
            trust_env=False,
        )
    except httpx.ConnectError:
        return _search_here(deployment, text, limit)
    except httpx.HTTPError as error:
        raise Outage(f"The query service on {listen} does not answer ({type(error).__name__}); try again.") from error
    try:
        answer: dict[str, Json] = orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        raise Fatal(f"What answers on {listen} is no query service; correct query.listen.") from error
    if response.is_error:
        raise Fatal(_told(answer))
    return answer


def show(answer: dict[str, Json], console: Console) -> None:
    """One block a hit: score, document, version, age; then the passage."""
    hits = answer["hits"]
    if not isinstance(hits, list) or not hits:
        console.print("no hits")
        return
    for number, hit in enumerate(hits, 1):
        if not isinstance(hit, dict):
            continue
        age = hit.get("age_ms")
        shown = "age unknown" if not isinstance(age, int | float) else f"{age / 1000:.1f} s old"
        console.print(
            f"{number}. {hit['score']:.3f}  {hit['doc_id']}  version {hit['version']}, {shown}", markup=False
        )
        passage = " ".join(str(hit.get("text") or hit.get("title") or "").split())
        console.print(f"   {passage[:_PASSAGE]}{'…' if len(passage) > _PASSAGE else ''}", markup=False)


def _key(deployment: Deployment) -> dict[str, str]:
    """The first key of the configuration that sees everything, or the first at all."""
    keys = deployment.settings.query.key
    chosen = next((key for key in keys if key.only is None), keys[0] if keys else None)
    return {} if chosen is None else {"Authorization": f"Bearer {chosen.secret}"}


def _told(answer: dict[str, Json]) -> str:
    error = answer.get("error")
    return str(error["message"]) if isinstance(error, dict) and "message" in error else str(answer)


def _search_here(deployment: Deployment, text: str, limit: int) -> dict[str, Json]:
    index = deployment.settings.index
    if index.not_made_yet:
        raise Fatal(f"There is no index in {index.folder} yet; `embedstream run all` makes it.")
    catalog = deployment.catalog(serve=False)
    try:
        live = LiveIndex(catalog, deployment.settings.index.name, [deployment.profiles.query])
        answer = search(live.current(), Question((text,), limit), wall_clock_ms())
    finally:
        catalog.close()
    return {"index": deployment.settings.index.name, **answer.to_json()}
