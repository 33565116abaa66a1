"""Clients that search without pause and believe nothing: each response is checked against the contract it names.

A score is the cosine of two vectors that anybody can make again who has the encoder of the named contract. So a
response that mixes (a query of one encoding on a collection of another, or a vector that was made otherwise) is found
by its figures, whatever it calls itself. Documents that nobody deletes have to be found in every response that asks
for them.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field

import httpx
import numpy as np

from stream.text import embedded_text

TOLERANCE = 2e-3
"""Of a cosine that an engine computes in float32 on vectors that it has normalized."""


@dataclass
class Witnesses:
    """``deployments``: every pair that may answer. ``steady``: document → a text of its own, to be asked for."""

    url: str
    deployments: list
    steady: dict
    count: int = 20
    answers: Counter = field(default_factory=Counter)
    """Contract → responses."""
    faults: list = field(default_factory=list)

    def __post_init__(self):
        self._encoders = {one.contract.fingerprint: one.profiles.query for one in self.deployments}
        self._cutters = {one.contract.fingerprint: one.cutter for one in self.deployments}
        self._collections = {one.contract.fingerprint: one.collection for one in self.deployments}
        self._vectors = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(self.count)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self, number):
        names = list(self.steady)
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30) as client:
            turn = number
            while not self._stopping.is_set():
                document = names[turn % len(names)]
                turn += 1
                try:
                    answer = client.post("/v1/search", json={"query": self.steady[document], "limit": 5})
                    fault = self._fault(document, answer)
                except httpx.HTTPError as error:
                    fault = f"no answer: {error!r}"
                if fault:
                    self.faults.append(fault)

    def _fault(self, document, answer):
        if answer.status_code != 200:
            return f"{answer.status_code}: {answer.text[:300]}"
        told = answer.json()
        contract = told["contract"]
        with self._lock:
            self.answers[contract] += 1
        if told["collection"] != self._collections.get(contract):
            return f"contract {contract} is told of {told['collection']}"
        if document not in {hit["doc_id"] for hit in told["hits"]}:
            return f"{document} is missing under {contract}"
        asked = self._vector(contract, "query", self.steady[document])
        for hit in told["hits"]:
            title = self._cutters[contract].embedded_title(hit["title"])
            made = self._vector(contract, "passage", embedded_text(title, hit["text"]))
            wanted = float(asked @ made / (np.linalg.norm(asked) * np.linalg.norm(made)))
            if abs(wanted - hit["score"]) > TOLERANCE:
                return f"{hit['doc_id']} scores {hit['score']} under {contract}, and its vectors {wanted:.4f}"
        return None

    def _vector(self, contract, kind, text):
        with self._lock:
            known = self._vectors.get((contract, kind, text))
            if known is None:
                known = self._vectors[contract, kind, text] = self._encoders[contract].encode(kind, [text])[0].values
            return known
